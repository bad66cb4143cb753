package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/viaduct-xmpp/viaduct/configs"
)

const configHead = `# The configuration, key by key

Generated from the source (` + "`go generate ./internal/dev/docgen`" + `); do not edit.

The file is YAML and read strictly: an unknown key, a duplicate key or a wrong type is an error that names the line. Three lines are enough
to start: ` + "`domains`, `data_dir`, `tls`" + `. Relative paths are relative to the file. A key marked *secret* can also be given as KEY` + "`_file`" + ` or in the
environment variable shown; two sources for one secret are an error. ` + "`viaduct check config`" + ` says what is wrong.

Sizes are numbers of bytes or have a unit (` + "`256 KiB`" + `).

`

// docs maps "Type.Field" of a package to the comment above the field.
type docs map[string]string

// configReference walks the configuration's types along with their sources.
func configReference(top string) (string, error) {
	w := &configWriter{top: top, sources: map[string]docs{}, env: "VIADUCT"}
	w.b.WriteString(configHead)
	d := configs.Default()
	if err := w.structure(reflect.ValueOf(d).Elem(), "", 0); err != nil {
		return "", err
	}
	return w.b.String(), nil
}

type configWriter struct {
	top     string
	b       strings.Builder
	sources map[string]docs
	env     string
}

func (w *configWriter) structure(v reflect.Value, path string, depth int) error {
	t := v.Type()
	src, err := w.source(t.PkgPath())
	if err != nil {
		return err
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		doc := src[t.Name()+"."+f.Name]
		if doc == "" {
			return fmt.Errorf("%s.%s of %s has no comment", t.Name(), f.Name, t.PkgPath())
		}
		if err := w.field(key, strings.TrimPrefix(path+"."+key, "."), doc, v.Field(i), depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *configWriter) field(key, path, doc string, v reflect.Value, depth int) error {
	indent := strings.Repeat("  ", depth)
	kind, nested := describe(v.Type())
	_, rest, _ := strings.Cut(doc, " ") // a comment begins with the field's name
	fmt.Fprintf(&w.b, "%s- **`%s`** (%s): %s", indent, key, kind, strings.TrimSpace(rest))
	if kind == "secret" && !strings.Contains(path, "[]") { // an entry of a list has no name for a variable; see configs.Secret
		fmt.Fprintf(&w.b, " Environment: `%s`.", configs.EnvName(path))
	}
	if d := defaultOf(v); d != "" && depth < 2 && !strings.Contains(doc, "Default") {
		fmt.Fprintf(&w.b, " Default: %s.", d)
	}
	w.b.WriteByte('\n')
	if nested == nil {
		return nil
	}
	inner := reflect.New(nested).Elem()
	switch v.Kind() {
	case reflect.Struct:
		inner = v
	case reflect.Slice:
		path += "[]"
	}
	return w.structure(inner, path, depth+1)
}

// describe names a type for people, and the struct in it if there is one.
func describe(t reflect.Type) (string, reflect.Type) {
	switch {
	case t == reflect.TypeFor[configs.Secret]():
		return "secret", nil
	case t == reflect.TypeFor[configs.Raw]():
		return "mapping, the plugin's own", nil
	case t == reflect.TypeFor[configs.Size]():
		return "size", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.Slice:
		name, inner := describe(t.Elem())
		return "list of " + name + "s", inner
	case reflect.Map:
		return "mapping of names to text", nil
	case reflect.Struct:
		return "mapping", t
	case reflect.Bool:
		return "true or false", nil
	case reflect.Int:
		return "number", nil
	}
	return "text", nil
}

func defaultOf(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String && v.Len() > 0:
		return fmt.Sprintf("`%q`", v.Interface())
	case v.Kind() == reflect.String && v.Len() > 0, v.Kind() == reflect.Int && v.Int() != 0:
		return fmt.Sprintf("`%v`", v.Interface())
	case v.Kind() == reflect.Bool:
		return fmt.Sprintf("`%t`", v.Bool())
	}
	return ""
}

// source reads the comments of a package's struct fields.
func (w *configWriter) source(pkg string) (docs, error) {
	if d, ok := w.sources[pkg]; ok {
		return d, nil
	}
	_, rel, _ := strings.Cut(pkg, "/viaduct/")
	files, err := filepath.Glob(filepath.Join(w.top, rel, "*.go"))
	if err != nil {
		return nil, err
	}
	out := docs{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok {
				out.add(ts)
			}
			return true
		})
	}
	w.sources[pkg] = out
	return out, nil
}

func (d docs) add(ts *ast.TypeSpec) {
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			d[ts.Name.Name+"."+n.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
		}
	}
}
