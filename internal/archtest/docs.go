package archtest

import (
	"fmt"
	"go/ast"
	"strings"
)

// CheckDocs asks every package for a doc comment that begins as godoc wants it.
func CheckDocs(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		files := p.code()
		if len(files) == 0 {
			continue
		}
		name := files[0].AST.Name.Name
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
		}
		if doc := packageDoc(files); !strings.HasPrefix(doc, want) {
			what := fmt.Sprintf("%s has a package comment that does not begin with %q", p.Path, want)
			if doc == "" {
				what = p.Path + " has no package comment"
			}
			found = append(found, Finding{
				File: files[0].Path, Line: 1, What: what,
				Rule: "every package says what it is and is not, who owns its goroutines, its specs, and shows a small example",
				Do:   fmt.Sprintf("write it above the package clause of doc.go or of the first file, beginning with %q", want),
			})
		}
	}
	return found
}

// ShortDocs lists packages whose comment cannot say what a newcomer needs.
func ShortDocs(t *Tree) []string {
	const enough = 200
	var short []string
	for _, p := range t.Packages {
		if doc := packageDoc(p.code()); doc != "" && len(doc) < enough {
			short = append(short, fmt.Sprintf("%s: %d characters of package comment", p.Path, len(doc)))
		}
	}
	return short
}

func packageDoc(files []*File) string {
	for _, f := range files {
		if f.AST.Doc == nil {
			continue
		}
		if doc := strings.TrimSpace((&ast.CommentGroup{List: f.AST.Doc.List}).Text()); doc != "" {
			return doc
		}
	}
	return ""
}
