package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Problem is one thing that is wrong, with its line (0: no particular one).
type Problem struct {
	File string
	Line int
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Problems is everything that is wrong, in the order of the lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// decoder walks the YAML tree along the struct and collects all problems.
type decoder struct {
	file     string
	env      func(string) (string, bool)
	readFile func(name string) (string, error)
	problems Problems
	// seen maps a path ("limits.off") to its line.
	seen map[string]int
}

func (d *decoder) fail(line int, format string, args ...any) {
	d.problems = append(d.problems, Problem{d.file, line, fmt.Sprintf(format, args...)})
}

// document decodes the top of a file.
func (d *decoder) document(root *yaml.Node, into reflect.Value) {
	if root.Kind == 0 || len(root.Content) == 0 {
		return // an empty file is all defaults
	}
	d.value(root.Content[0], into, "")
}

// fields maps yaml keys to field indexes of a struct type.
func fields(t reflect.Type) map[string]int {
	m := map[string]int{}
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			m[key] = i
		}
	}
	return m
}

var (
	secretType = reflect.TypeFor[Secret]()
	rawType    = reflect.TypeFor[Raw]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Tag == "!!null" && v.Type() != rawType {
		return // "key:" with nothing keeps the default
	}
	switch {
	case v.Type() == rawType:
		raw, err := newRaw(n)
		if err != nil {
			d.fail(n.Line, "%s: %v", path, err)
			return
		}
		v.Set(reflect.ValueOf(raw))
	case v.Type() == secretType:
		d.scalar(n, path, "text", func(s string) error { v.Set(reflect.ValueOf(Secret{s})); return nil })
	case v.Addr().Type().Implements(textType):
		d.scalar(n, path, "text", func(s string) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
		})
	default:
		d.kind(n, v, path)
	}
}

func (d *decoder) kind(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.String:
		d.scalar(n, path, "text", func(s string) error { v.SetString(s); return nil })
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			d.fail(n.Line, "%s must be true or false", path)
			return
		}
		v.SetBool(n.Value == "true" || n.Value == "True" || n.Value == "TRUE")
	case reflect.Int:
		if strings.Contains(path[strings.LastIndexByte(path, '.')+1:], "bytes") {
			d.scalar(n, path, "a size", func(s string) error {
				var size Size
				err := size.UnmarshalText([]byte(s))
				v.SetInt(int64(size))
				return err
			})
			return
		}
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || i < 0 {
			d.fail(n.Line, "%s must be a whole number that is not negative", path)
			return
		}
		v.SetInt(int64(i))
	}
}

func (d *decoder) scalar(n *yaml.Node, path, what string, set func(string) error) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n.Line, "%s must be %s, not a list or a mapping", path, what)
		return
	}
	if err := set(n.Value); err != nil {
		d.fail(n.Line, "%s: %v", path, err)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n.Line, "%s must be a list, such as [a, b]", path)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n.Line, "%s must be a mapping, such as {key: value}", path)
		return
	}
	out := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], e, path+"."+n.Content[i].Value)
		out.SetMapIndex(reflect.ValueOf(n.Content[i].Value), e)
	}
	v.Set(out)
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		where := path
		if where == "" {
			where = "the file"
		}
		d.fail(n.Line, "%s must be a mapping of keys to values", where)
		return
	}
	if f := v.FieldByName("Line"); f.IsValid() {
		f.SetInt(int64(n.Line))
	}
	known := fields(v.Type())
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		here := join(path, key.Value)
		if line, dup := first[key.Value]; dup {
			d.fail(key.Line, "%s stands here for the second time; the first is in line %d", here, line)
			continue
		}
		first[key.Value] = key.Line
		d.seen[here] = key.Line
		if base, ok := strings.CutSuffix(key.Value, "_file"); ok {
			if idx, isField := known[base]; isField && v.Field(idx).Type() == secretType {
				d.secretFile(val, v.Field(idx), here, first[base] > 0)
				continue
			}
		}
		idx, ok := known[key.Value]
		if !ok {
			d.fail(key.Line, "unknown key %q%s%s", key.Value, in(path), suggest(key.Value, known))
			continue
		}
		if _, file := first[key.Value+"_file"]; file && v.Field(idx).Type() == secretType {
			d.fail(key.Line, "%s is given twice: here and as %s_file; keep one", here, key.Value)
			continue
		}
		d.value(val, v.Field(idx), here)
	}
}

func (d *decoder) secretFile(n *yaml.Node, v reflect.Value, path string, twice bool) {
	if twice {
		d.fail(n.Line, "%s: the secret is given twice: in its key and in a file; keep one", path)
		return
	}
	d.scalar(n, path, "the name of a file", func(name string) error {
		s, err := d.readFile(name)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(Secret{s}))
		return nil
	})
}

// environment fills in secrets from VIADUCT_ and the path in capitals.
func (d *decoder) environment(v reflect.Value, path string) {
	for key, idx := range fields(v.Type()) {
		f, here := v.Field(idx), join(path, key)
		switch {
		case f.Type() == secretType:
			name := EnvName(here)
			val, ok := d.env(name)
			if !ok {
				continue
			}
			if !f.Interface().(Secret).IsZero() {
				line := max(d.seen[here], d.seen[here+"_file"])
				d.fail(line, "%s is given twice: here and in the environment as %s; keep one", here, name)
				continue
			}
			f.Set(reflect.ValueOf(Secret{val}))
		case f.Kind() == reflect.Struct && f.Type() != rawType:
			d.environment(f, here)
		}
	}
}

// EnvName returns the variable of a path: "storage.dsn" is VIADUCT_STORAGE_DSN.
func EnvName(path string) string {
	up := strings.ToUpper(path)
	return "VIADUCT_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, up)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// suggest names the known key that is nearest to a wrong one.
func suggest(wrong string, known map[string]int) string {
	best, dist := "", 1+len(wrong)/4 // of three letters, one may be wrong
	keys := make([]string, 0, len(known))
	for k := range known {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if n := distance(strings.ToLower(wrong), k); n <= dist && (best == "" || n < dist) {
			best, dist = k, n
		}
	}
	if best == "" {
		return "; known are " + strings.Join(keys, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
