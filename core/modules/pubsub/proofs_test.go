package pubsub_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProofs: the table of what proves what names scenarios and tests that are there, and every scenario of XEP-0060.
func TestProofs(t *testing.T) {
	b, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	sources, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sources {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(src)
	}
	named := map[string]bool{}
	rows := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !regexp.MustCompile(`^ \d`).MatchString(cells[1]) {
			continue
		}
		rows++
		for _, proof := range strings.Split(strings.TrimSpace(cells[3]), ", ") {
			spec, name, isFile := strings.Cut(proof, "/")
			switch {
			case proof == "" || proof == "?":
				t.Errorf("§%s has no proof", strings.TrimSpace(cells[1]))
			case isFile && regexp.MustCompile(`^\d+$`).MatchString(spec):
				path := "testdata/scenarios/xep" + strings.Repeat("0", 4-len(spec)) + spec + "/" + name + ".scs"
				named[path] = true
				if _, err := os.Stat(path); err != nil {
					t.Errorf("§%s: %v", strings.TrimSpace(cells[1]), err)
				}
			case strings.HasPrefix(proof, "Test") && !strings.Contains(tests, "func "+proof+"("):
				t.Errorf("§%s: there is no %s", strings.TrimSpace(cells[1]), proof)
			}
		}
	}
	if rows < 150 {
		t.Errorf("the table has %d rows", rows)
	}
	err = filepath.WalkDir("testdata/scenarios/xep0060", func(path string, d fs.DirEntry, err error) error {
		// Fields of forms stand below the table.
		if err == nil && !d.IsDir() && !named[filepath.ToSlash(path)] && !strings.HasPrefix(d.Name(), "16.4") {
			t.Errorf("%s stands nowhere in the table", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
