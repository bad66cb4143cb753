package plugintest

import (
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// TestCoverage: each ability there is has its parts, each part that the table names
// exists, and no part is without its reason.
func TestCoverage(t *testing.T) {
	unused := map[string]bool{}
	for _, p := range allParts() {
		if _, twice := unused[p.name]; twice {
			t.Errorf("two parts are called %q", p.name)
		}
		unused[p.name] = true
	}
	exists := slices.Collect(func(yield func(string) bool) {
		for name := range unused {
			if !yield(name) {
				return
			}
		}
	})
	named := func(what string, parts []string) {
		if len(parts) == 0 {
			t.Errorf("%s: no part holds a bridge to it", what)
		}
		for _, name := range parts {
			if !slices.Contains(exists, name) {
				t.Errorf("%s: there is no part %q", what, name)
			}
			unused[name] = false
		}
	}
	table := abilities()
	for _, a := range sdk.Abilities(demo.New(demo.Options{})) { // the demo bridge has all of them
		named(string(a), table[a])
		delete(table, a)
	}
	for a := range table {
		t.Errorf("nobody has the ability %q", a)
	}
	for _, c := range coverage() {
		named(c.what, c.parts)
	}
	for name, missing := range unused {
		if missing {
			t.Errorf("the part %q is in no row", name)
		}
	}
}
