package admin

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	noAccount := errors.New("auth: there is no such account")
	for _, tc := range []struct{ name, text, want string }{
		{"one package", "auth: the account exists already", "the account exists already"},
		{"wrapped", fmt.Errorf("server: listen.c2s: %w", noAccount).Error(), "listen.c2s: there is no such account"},
		{"a name of two words", "plugin host: stop: too late", "stop: too late"},
		{"none", "data_dir: the disk is full; make room", "data_dir: the disk is full; make room"},
		{"a word within", "the room is muc: it stays", "the room is muc: it stays"},
		{"joined", errors.Join(errors.New("muc: one"), errors.New("auth: two")).Error(), "one\ntwo"},
		{"said twice", "restore: sqlite: restore: no database", "restore: no database"},
		{"nothing else", "storage", "storage"},
		{"an address", `"x@host: y" is no address`, `"x@host: y" is no address`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Plain(errors.New(tc.text)); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestPackages: the list has every package of the server whose errors begin with its name.
func TestPackages(t *testing.T) {
	seen := 0
	for _, top := range []string{"../../core", "../../bridges/gateway", "../../plugins", "../../mappings", "../../configs", "../../internal/appliance"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				fn, ok := call.Fun.(*ast.SelectorExpr)
				lit, isLit := call.Args[0].(*ast.BasicLit)
				if !ok || !isLit || fn.Sel.Name != "Errorf" && fn.Sel.Name != "New" || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					return true
				}
				if first, _, found := strings.Cut(text, ": "); found && first == file.Name.Name {
					seen++
					if !slices.Contains(packages, first) {
						t.Errorf("%s: errors begin with %q, which is not in the list", path, first+": ")
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 100 {
		t.Errorf("only %d errors were looked at", seen)
	}
}
