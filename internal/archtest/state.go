package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// CheckInit finds init functions. Generated code has its own.
func CheckInit(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			for _, decl := range f.AST.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if ok && fn.Recv == nil && fn.Name.Name == "init" {
					found = append(found, Finding{
						File: f.Path, Line: t.line(fn), What: "func init",
						Rule: "no init functions: importing a package does nothing",
						Do:   "use a constructor, and an explicit list where things register",
					})
				}
			}
		}
	}
	return found
}

// CheckState finds package variables that change: those that a function assigns to, and those that can
// only be there to change (a mutex, an atomic, an empty map, a channel). Two servers run in one process.
// Pools and sync.OnceValue are caches without meaning and allowed.
func CheckState(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		var files []*File
		var parsed []*ast.File
		for _, f := range p.code() {
			if !f.Generated {
				files = append(files, f)
			}
			parsed = append(parsed, f.AST)
		}
		info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
		// Imports stay unresolved on purpose: which variable a name means is known without them.
		conf := types.Config{Importer: nothing{}, Error: func(error) {}, FakeImportC: true}
		pkg, _ := conf.Check(p.Path, t.fset, parsed, info)
		s := &stateCheck{tree: t, info: info, pkg: pkg}
		for _, f := range files {
			s.file(f)
		}
		found = append(found, s.found...)
	}
	return found
}

type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("archtest: %s is not needed", path)
}

type stateCheck struct {
	tree  *Tree
	info  *types.Info
	pkg   *types.Package
	found []Finding
}

func (s *stateCheck) file(f *File) {
	for _, decl := range f.AST.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			s.declared(f, gen)
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				s.changed(f, left)
			}
		case *ast.IncDecStmt:
			s.changed(f, n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				s.changed(f, n.Key)
				s.changed(f, n.Value)
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (fn.Name == "delete" || fn.Name == "clear" || fn.Name == "copy") {
				s.changed(f, n.Args[0])
			}
		}
		return true
	})
}

// declared looks at what a package variable is made to be.
func (s *stateCheck) declared(f *File, gen *ast.GenDecl) {
	for _, spec := range gen.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || embedded(gen, v) {
			continue
		}
		for i, name := range v.Names {
			var value ast.Expr
			if i < len(v.Values) {
				value = v.Values[i]
			}
			if why := mutable(v.Type, value); why != "" && name.Name != "_" {
				s.add(f, name, fmt.Sprintf("package variable %s is %s", name.Name, why))
			}
		}
	}
}

func embedded(gen *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{gen.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// mutable says why a variable of this type or value can only be there to change; "" if it need not be.
func mutable(typ, value ast.Expr) string {
	switch value := value.(type) {
	case nil:
		switch typ := typ.(type) {
		case *ast.MapType:
			return "a map without content"
		case *ast.ChanType:
			return "a channel"
		case *ast.ArrayType:
			if typ.Len == nil {
				return "a slice without content"
			}
		}
	case *ast.CompositeLit:
		if _, isMap := value.Type.(*ast.MapType); isMap && len(value.Elts) == 0 {
			return "a map without content"
		}
		typ = value.Type
	case *ast.UnaryExpr:
		return mutable(nil, value.X)
	case *ast.CallExpr:
		if fn, ok := value.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
			return fn.Name + "(…)"
		}
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	if sel, ok := typ.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "sync" && sel.Sel.Name != "Pool" || x.Name == "atomic") {
			return "a " + x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// changed looks at the left side of an assignment.
func (s *stateCheck) changed(f *File, left ast.Expr) {
	for left != nil {
		switch e := left.(type) {
		case *ast.ParenExpr:
			left = e.X
		case *ast.StarExpr:
			left = e.X
		case *ast.IndexExpr:
			left = e.X
		case *ast.SliceExpr:
			left = e.X
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok {
				if imported, ok := s.info.Uses[x].(*types.PkgName); ok {
					s.add(f, e, fmt.Sprintf("changes the variable %s of package %s", e.Sel.Name, imported.Imported().Path()))
					return
				}
			}
			left = e.X
		case *ast.Ident:
			if v, ok := s.info.Uses[e].(*types.Var); ok && v.Parent() == s.pkg.Scope() {
				s.add(f, e, "changes the package variable "+e.Name)
			}
			return
		default:
			return
		}
	}
}

func (s *stateCheck) add(f *File, at ast.Node, what string) {
	s.found = append(s.found, Finding{
		File: f.Path, Line: s.tree.line(at), What: what,
		Rule: "no mutable package state: two servers run in one process",
		Do:   "make it a field of what is constructed, and hand it on",
	})
}
