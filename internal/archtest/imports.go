package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// CheckImports holds every import inside the project against the dependency table.
func CheckImports(t *Tree, rules []Rule) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		rule, first, ok := ruleOf(rules, p.Path)
		if !ok {
			found = append(found, Finding{
				File: p.Files[0].Path, Line: 1,
				What: p.Path + " is in no row of the dependency table",
				Rule: "every package has a row that says what it may import",
				Do:   "put it into a folder that has one, or add a row to internal/archtest/rules.go and to docs/ARCHITECTURE.md",
			})
			continue
		}
		for _, f := range p.Files {
			for _, imp := range f.Imports {
				local, ok := t.Local(imp.Path)
				if !ok || local == p.Path || rule.allows(first, local, f.Test) {
					continue
				}
				found = append(found, Finding{
					File: f.Path, Line: imp.Line, What: p.Path + " imports " + local, Rule: rule.Text, Do: rule.Do,
				})
			}
		}
	}
	return found
}

func ruleOf(rules []Rule, p string) (rule Rule, first string, ok bool) {
	for _, r := range rules {
		for _, pattern := range r.Packages {
			if first, ok := match(pattern, p); ok {
				return r, first, true
			}
		}
	}
	return Rule{}, "", false
}

func (r Rule) allows(first, imported string, test bool) bool {
	if test && matchAny(r.Tests, first, imported) {
		return true
	}
	return matchAny(r.Allow, first, imported) && !matchAny(r.Never, first, imported)
}

// Link is what a program must never contain, however it gets there.
type Link struct {
	Programs []string // patterns of packages
	Never    []string // patterns of packages of the project
	Modules  []string // path prefixes of foreign packages
	Text     string
	Do       string
}

// Links returns what no chain of imports may bring into a program.
func Links() []Link {
	return []Link{
		{
			Programs: []string{"cmd/viaduct-*"},
			Never:    []string{"core/...", "configs/...", "bridges/gateway/...", "plugins/host/...", "internal/..."},
			Text:     "a plugin binary never links core",
			Do:       "find the import in the chain that belongs to the server, and move what is needed into plugins/sdk",
		},
		{
			Programs: []string{"cmd/viaduct"},
			Never:    []string{"core/xmpptest/...", "plugins/plugintest/...", "internal/dev/...", "internal/archtest/..."},
			Modules:  []string{"maunium.net/go/mautrix", "github.com/slack-go/slack", "github.com/bwmarrin/discordgo", "testing"},
			Text:     "the server links no bridge, no platform's library and no test code",
			Do:       "a bridge runs as a process of its own; test support is imported by tests only",
		},
	}
}

// CheckLinks follows all imports from each program.
func CheckLinks(t *Tree, links []Link) []Finding {
	byPath := map[string]*Package{}
	for _, p := range t.Packages {
		byPath[p.Path] = p
	}
	var found []Finding
	for _, p := range t.Packages {
		for _, link := range links {
			if !matchAny(link.Programs, "", p.Path) {
				continue
			}
			walkLinks(t, byPath, p, func(chain []string, f *File, imp Import) (enter bool) {
				local, ours := t.Local(imp.Path)
				if ours && !matchAny(link.Never, "", local) || !ours && !hasModule(link.Modules, imp.Path) {
					return true
				}
				found = append(found, Finding{
					File: f.Path, Line: imp.Line,
					What: fmt.Sprintf("%s links %s (%s)", p.Path, imp.Path, strings.Join(chain, " -> ")),
					Rule: link.Text, Do: link.Do,
				})
				return false
			})
		}
	}
	return found
}

// walkLinks calls visit for every import that a program contains, nearest first, with the shortest chain
// of packages that leads there. It goes on behind an import where visit says so.
func walkLinks(t *Tree, byPath map[string]*Package, from *Package, visit func([]string, *File, Import) bool) {
	seen := map[string]bool{from.Path: true}
	for queue := [][]string{{from.Path}}; len(queue) > 0; queue = queue[1:] {
		chain := queue[0]
		for _, f := range byPath[chain[len(chain)-1]].code() {
			for _, imp := range f.Imports {
				local, ours := t.Local(imp.Path)
				if ours && seen[local] || !visit(chain, f, imp) {
					continue
				}
				if ours && byPath[local] != nil {
					seen[local] = true
					queue = append(queue, append(slices.Clone(chain), local))
				}
			}
		}
	}
}

func hasModule(prefixes []string, imported string) bool {
	for _, p := range prefixes {
		if imported == p || strings.HasPrefix(imported, p+"/") {
			return true
		}
	}
	return false
}
