package mam

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// start and end are inclusive (XEP-0313 §3.1.2); ids have milliseconds.
func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 500_000_000, time.UTC)
	first := storage.MessageID(at.UnixMilli() << 20)
	last := storage.MessageID((at.UnixMilli()+1)<<20) - 1
	for name, c := range map[string]struct {
		field, value string
		id           storage.MessageID
		want         bool
	}{
		"start, equal":          {"start", "2026-11-20T12:00:00.5Z", first, true},
		"start, before":         {"start", "2026-11-20T12:00:00.5Z", first - 1, false},
		"start, between":        {"start", "2026-11-20T12:00:00.4999Z", first, true},
		"start, just behind":    {"start", "2026-11-20T12:00:00.5001Z", last, false},
		"start, another offset": {"start", "2026-11-20T13:00:00.5+01:00", first, true},
		"end, equal":            {"end", "2026-11-20T12:00:00.5Z", last, true},
		"end, behind":           {"end", "2026-11-20T12:00:00.5Z", last + 1, false},
		"end, between":          {"end", "2026-11-20T12:00:00.5009Z", last, true},
		"start, far":            {"start", "9999-12-31T23:59:59Z", last, false},
		"end, far":              {"end", "9999-12-31T23:59:59Z", last, true},
		"start, long ago":       {"start", "0001-01-01T00:00:00Z", first, true},
		"end, long ago":         {"end", "0001-01-01T00:00:00Z", first, false},
		"end, 1970":             {"end", "1970-01-01T00:00:00Z", first, false},
	} {
		r := &reader{q: &question{}}
		if err := fieldReaders[c.field](r, form.Field{Var: c.field, Values: []string{c.value}}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := r.q.match
		if m.Before == 0 {
			m.Before = math.MaxInt64
		}
		if got := !r.q.nothing && c.id > m.After && c.id < m.Before; got != c.want {
			t.Errorf("%s: %v, range %+v", name, got, r.q.match)
		}
	}
}

// The bounds of form and page together are the tighter ones.
func TestBounds(t *testing.T) {
	q := &question{match: storage.Range{After: 10, Before: 100, Peer: "p"}, after: 20, before: 200}
	q.page.Max = 7
	if got, want := q.bounds(), (storage.Range{After: 20, Before: 100, Peer: "p", Limit: 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	q.after, q.before, q.page.Max, q.page.Backward = 0, 50, -1, true
	if got, want := q.bounds(), (storage.Range{After: 10, Before: 50, Peer: "p", Limit: maxPage, Backward: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// One person does not keep all others from looking for words, and all together do not ask without end.
func TestAskers(t *testing.T) {
	var a askers
	who := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("u%d@example.org", i)) }
	for i := range maxAskedEach + 1 {
		if got := a.enter(who(0)); got != (i < maxAskedEach) {
			t.Fatalf("question %d of one person: %t", i, got)
		}
	}
	n := maxAskedEach
	for i := 1; a.enter(who(i)); i++ {
		n++
	}
	if n != maxAsked {
		t.Errorf("%d wait, not %d", n, maxAsked)
	}
	for range maxAskedEach {
		a.leave(who(0))
	}
	if !a.enter(who(0)) {
		t.Error("who has her answers may not ask again")
	}
	a.leave(who(0))
	for i := 1; i <= maxAsked-maxAskedEach; i++ {
		a.leave(who(i))
	}
	if len(a.by) > 0 || a.all != 0 {
		t.Errorf("%d askers and %d questions are left", len(a.by), a.all)
	}
}
