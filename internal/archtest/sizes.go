package archtest

import (
	"fmt"
	"go/ast"
)

// Sizes in lines. Size is a smell: it is reported, and only what nobody reads to its end fails.
const (
	FileReport    = 400
	FileLimit     = 700
	FuncReport    = 60
	PackageReport = 2000
)

// CheckSizes finds files above FileLimit. Generated files have no size.
func CheckSizes(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if f.Generated || f.Lines <= FileLimit {
				continue
			}
			found = append(found, Finding{
				File: f.Path, Line: f.Lines,
				What: fmt.Sprintf("%d lines", f.Lines),
				Rule: fmt.Sprintf("files have about 100 to 300 lines, and never more than %d", FileLimit),
				Do:   "split it by feature: one file for each thing that somebody would look for by name",
			})
		}
	}
	return found
}

// LongThings lists files, functions and packages that have grown long.
func LongThings(t *Tree) []string {
	var long []string
	for _, p := range t.Packages {
		total := 0
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			if !f.Test {
				total += f.Lines
			}
			if f.Lines > FileReport {
				long = append(long, fmt.Sprintf("%s: %d lines", f.Path, f.Lines))
			}
			long = append(long, t.longFuncs(f)...)
		}
		if total > PackageReport {
			long = append(long, fmt.Sprintf("%s: a package of %d lines", p.Path, total))
		}
	}
	return long
}

func (t *Tree) longFuncs(f *File) []string {
	var long []string
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		if n := t.fset.Position(fn.End()).Line - t.line(fn) + 1; n > FuncReport && !f.Test {
			long = append(long, fmt.Sprintf("%s:%d: %s: a function of %d lines", f.Path, t.line(fn), fn.Name.Name, n))
		}
	}
	return long
}
