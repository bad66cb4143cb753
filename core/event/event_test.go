package event

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

type value struct{ trace []string }

func note(s string, err error) func(context.Context, *value) error {
	return func(_ context.Context, v *value) error { v.trace = append(v.trace, s); return err }
}

func TestPhasesRunInOrder(t *testing.T) {
	var p Point[value]
	p.On(After, "m", note("after", nil))
	p.On(Record, "m", note("record", nil))
	p.On(Guard, "m", note("guard", nil))
	p.On(Deliver, "m", note("deliver", nil))
	p.On(Rewrite, "m", note("rewrite", nil))
	var v value
	if err := p.Decide(t.Context(), &v); err != nil {
		t.Fatal(err)
	}
	if want := []string{"guard", "rewrite", "record"}; !slices.Equal(v.trace, want) {
		t.Errorf("decide ran %v", v.trace)
	}
	if err := p.Committed(t.Context(), &v); err != nil {
		t.Fatal(err)
	}
	if want := []string{"guard", "rewrite", "record", "deliver", "after"}; !slices.Equal(v.trace, want) {
		t.Errorf("all ran %v", v.trace)
	}
	if got := p.Listeners(); len(got) != 5 || got[0] != "guard m" {
		t.Errorf("listeners %v", got)
	}
}

func TestRefusalEndsTheDecision(t *testing.T) {
	var p Point[value]
	refusal := stanza.NewError(stanza.Forbidden, "")
	p.On(Guard, "a", note("a", refusal))
	p.On(Guard, "b", note("b", nil))
	p.On(Record, "c", note("c", nil))
	var v value
	if err := p.Decide(t.Context(), &v); !errors.Is(err, refusal) {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(v.trace, []string{"a"}) {
		t.Errorf("ran %v", v.trace)
	}
}

func TestAfterIsToldThoughDeliveryFails(t *testing.T) {
	var p Point[value]
	p.On(Deliver, "a", note("deliver", Stop))
	p.On(Deliver, "b", note("not reached", nil))
	p.On(After, "c", note("after", nil))
	var v value
	if err := p.Committed(t.Context(), &v); !errors.Is(err, Stop) {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(v.trace, []string{"deliver", "after"}) {
		t.Errorf("ran %v", v.trace)
	}
}

func TestPanicIsCaughtAndAttributed(t *testing.T) {
	c := NewCatalogue()
	var who, point string
	c.OnPanic = func(p, module string, _ any, stack []byte) {
		point, who = p, module
		if len(stack) == 0 {
			t.Error("no stack")
		}
	}
	c.Route.Any.On(Guard, "bad", func(context.Context, *Routed) error { panic("boom") })
	err := c.Route.Any.Decide(t.Context(), &Routed{})
	var se *stanza.Error
	if !errors.As(err, &se) || se.Condition != stanza.InternalServerError {
		t.Errorf("error %v", err)
	}
	if who != "bad" || point != "route.any" {
		t.Errorf("attributed to %s at %s", who, point)
	}
}

func TestCatalogueNamesEveryPoint(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range NewCatalogue().Points() {
		if p.Name == "" || seen[p.Name] {
			t.Errorf("point %q without a name of its own", p.Name)
		}
		seen[p.Name] = true
	}
	for _, want := range []string{"c2s.inbound", "route.account", "muc.message"} {
		if !seen[want] {
			t.Errorf("no point %s", want)
		}
	}
}

func TestPending(t *testing.T) {
	err := Pending(1, func(resolve func(error)) { resolve(nil) })
	var p *PendingError
	if !errors.As(err, &p) {
		t.Fatal("not a PendingError")
	}
	called := false
	p.Start(func(error) { called = true })
	if !called {
		t.Error("not resolved")
	}
}

func BenchmarkDecide(b *testing.B) {
	var p Point[value]
	for range 4 {
		p.On(Record, "m", func(context.Context, *value) error { return nil })
	}
	b.ReportAllocs()
	var v value
	for b.Loop() {
		_ = p.Decide(b.Context(), &v)
	}
}
