package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	code   = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	scheme = regexp.MustCompile(`^[a-z]+:`)
)

// broken returns the relative links of a page whose file does not exist.
func broken(page string, text string) (out []string, links int) {
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target == "" || scheme.MatchString(target) {
			continue
		}
		links++
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(target))); err != nil {
			out = append(out, m[1])
		}
	}
	return out, links
}

// TestLinksResolve: what a page of this repository points to is there.
func TestLinksResolve(t *testing.T) {
	const top = "../../.."
	total := 0
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() && (name == "testdata" || name == "node_modules" || path != top && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		bad, links := broken(path, string(text))
		total += links
		for _, l := range bad {
			t.Errorf("%s points to %s, which does not exist", strings.TrimPrefix(path, top+"/"), l)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if total < 20 {
		t.Errorf("%d links were found in the whole tree: the pages were not read", total)
	}
}

func TestBrokenLinkIsFound(t *testing.T) {
	const page = "[a](links_test.go) [b](links_test.go#x) [c](nowhere.md) [d](#here) [e](https://example.org/x) `[f](code.md)`\n```\n[g](block.md)\n```\n"
	bad, links := broken("here.md", page)
	if links != 3 || len(bad) != 1 || bad[0] != "nowhere.md" {
		t.Errorf("%d links, broken: %q", links, bad)
	}
}
