package module

import (
	"strings"
	"testing"
)

type greeter interface{ Greet() string }

type english struct{}

func (english) Greet() string { return "hello" }

type french struct{}

func (french) Greet() string { return "bonjour" }

type counter interface{ Count() int }

type abacus struct{}

func (abacus) Count() int { return 7 }

func registry(names ...string) *Registry {
	reg := NewRegistry()
	for _, n := range names {
		reg.Infos = append(reg.Infos, Info{Name: n})
	}
	return reg
}

func TestNeedsAreFilledAndOrderTheStart(t *testing.T) {
	reg := registry("a", "b", "c")
	var g greeter
	var c counter
	var absent interface{ Absent() }
	ra, rb, rc := reg.For("a", Deps{}), reg.For("b", Deps{}), reg.For("c", Deps{})
	ra.Need(&g)
	ra.Want(&absent)
	rb.Need(&c)
	rb.Provide(english{})
	rc.Provide(abacus{})
	order, err := reg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "c b a" {
		t.Errorf("order %s", got)
	}
	if g.Greet() != "hello" || c.Count() != 7 || absent != nil {
		t.Error("needs not filled")
	}
}

func TestBadNeedsNameTheModules(t *testing.T) {
	var g greeter
	var c counter
	for _, tc := range []struct {
		name  string
		setup func(reg *Registry)
		want  []string
	}{
		{"missing", func(reg *Registry) { reg.For("a", Deps{}).Need(&g) }, []string{"a needs", "greeter"}},
		{"ambiguous", func(reg *Registry) {
			reg.For("a", Deps{}).Need(&g)
			reg.For("b", Deps{}).Provide(english{})
			reg.For("c", Deps{}).Provide(french{})
		}, []string{"both b and c"}},
		{"circular", func(reg *Registry) {
			ra, rb := reg.For("a", Deps{}), reg.For("b", Deps{})
			ra.Need(&g)
			rb.Provide(english{})
			rb.Need(&c)
			ra.Provide(abacus{})
		}, []string{"circle", "a", "b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := registry("a", "b", "c")
			tc.setup(reg)
			_, err := reg.Resolve()
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not say %q", err, w)
				}
			}
		})
	}
}

func TestTwoHandlersForOneRequest(t *testing.T) {
	reg := registry("a")
	r := reg.For("a", Deps{})
	if err := r.IQ(IQRoute{Scope: ScopeServer, Space: "x", Local: "q"}); err != nil {
		t.Fatal(err)
	}
	if err := r.IQ(IQRoute{Scope: ScopeServer, Type: "get", Space: "x", Local: "q"}); err == nil {
		t.Error("accepted")
	}
	if err := r.Host(HostSpec{Name: "rooms.x"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Host(HostSpec{Name: "rooms.x"}); err == nil {
		t.Error("a host served twice was accepted")
	}
}
