package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tree is the parsed source of one module.
type Tree struct {
	Module   string     // the module's path
	Packages []*Package // sorted by Path
	fset     *token.FileSet
}

// Package is one folder with Go files.
type Package struct {
	Path  string // below the module, with slashes; "." is the root
	Files []*File
}

// File is one Go file, whatever its build constraints.
type File struct {
	Path      string // below the module, with slashes
	Test      bool   // *_test.go
	Generated bool   // marked as generated
	Tool      bool   // behind //go:build ignore: run by hand or go generate, part of no build
	Lines     int
	Imports   []Import
	AST       *ast.File
}

// Import is one import declaration.
type Import struct {
	Path string // as written
	Line int
}

// Finding is one place where a rule does not hold.
type Finding struct {
	File string
	Line int
	What string // what is there
	Rule string // the rule, in the words of the architecture
	Do   string // what to do about it
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s\n\trule: %s\n\tdo:   %s", f.File, f.Line, f.What, f.Rule, f.Do)
}

// Load parses every Go file of the module whose root is dir. Like the go command it leaves out testdata,
// folders that begin with a dot or an underscore, and modules inside the module.
func Load(dir string) (*Tree, error) {
	module, err := modulePath(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	t := &Tree{Module: module, fset: token.NewFileSet()}
	byPath := map[string]*Package{}
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != dir && skipped(name, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") {
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		file, err := t.parse(name, filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		p := byPath[path.Dir(file.Path)]
		if p == nil {
			p = &Package{Path: path.Dir(file.Path)}
			byPath[p.Path] = p
			t.Packages = append(t.Packages, p)
		}
		p.Files = append(p.Files, file)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("archtest: load %s: %w", dir, err)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

func skipped(name, base string) bool {
	if base == "testdata" || base == "node_modules" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func modulePath(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("archtest: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", fmt.Errorf("archtest: no module line in %s", file)
}

func (t *Tree) parse(name, rel string) (*File, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(t.fset, rel, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &File{
		Path:      rel,
		Test:      strings.HasSuffix(rel, "_test.go"),
		Generated: ast.IsGenerated(parsed),
		Tool:      ignored(parsed),
		Lines:     bytes.Count(src, []byte("\n")),
		AST:       parsed,
	}
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", rel, spec.Path.Value, err)
		}
		f.Imports = append(f.Imports, Import{Path: p, Line: t.fset.Position(spec.Pos()).Line})
	}
	return f, nil
}

func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// Local returns the path below the module of an imported package, and whether it is one of the module's.
func (t *Tree) Local(imported string) (string, bool) {
	if imported == t.Module {
		return ".", true
	}
	return strings.CutPrefix(imported, t.Module+"/")
}

func (t *Tree) line(n ast.Node) int { return t.fset.Position(n.Pos()).Line }

// code is the files that are built into programs, without tests and tools.
func (p *Package) code() []*File {
	var files []*File
	for _, f := range p.Files {
		if !f.Test && !f.Tool {
			files = append(files, f)
		}
	}
	return files
}
