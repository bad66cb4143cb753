package attacks

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows is how many rows the list of attacks has.
const rows = 41

var named = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)`")

// TestEveryRowIsTested: each row of docs/attacks.md names tests that exist or says "later", and each test of this package is named.
func TestEveryRowIsTested(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[string]bool{}
	mentioned := map[string]bool{}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		found := named.FindAllStringSubmatch(line, -1)
		for _, m := range found {
			dir, name := m[1], m[2]
			if tests[dir] == nil {
				tests[dir] = testsOf(t, filepath.Join(root, filepath.FromSlash(dir)))
			}
			if !tests[dir][name] {
				t.Errorf("there is no %s in %s", name, dir)
			}
			if dir == "internal/dev/attacks" {
				mentioned[name] = true
			}
		}
		if len(cells) != 5 || strings.HasPrefix(cells[0], "-") || strings.TrimSpace(cells[0]) == "#" {
			continue
		}
		number, status := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[4])
		seen[number] = true
		later := strings.HasPrefix(status, "later: ")
		if later == (len(found) > 0) || !later && !strings.HasPrefix(status, "yes") && !strings.HasPrefix(status, "partly: ") {
			t.Errorf("row %s names %d tests and says %q", number, len(found), status)
		}
	}
	for i := 1; i <= rows; i++ {
		if !seen[fmt.Sprint(i)] {
			t.Errorf("row %d is missing", i)
		}
	}
	for name := range testsOf(t, ".") {
		if strings.HasPrefix(name, "Test") && name != "TestMain" && name != "TestEveryRowIsTested" && !mentioned[name] {
			t.Errorf("%s is not in docs/attacks.md", name)
		}
	}
}

// testsOf returns the tests of a folder.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[fn.Name.Name] = true
			}
		}
	}
	return out
}
