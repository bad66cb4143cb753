package archive

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

func TestRetentionOf(t *testing.T) {
	const day = 24 * time.Hour
	r := &Retention{
		Keep: Keep{Age: 365 * day, Messages: 1000},
		Of: map[string]Keep{
			"example.org":           {Age: 30 * day},
			"alice@example.org":     {Messages: -1, Bytes: 5},
			"hall@rooms.domain.net": {Age: -1, Messages: 7},
		},
	}
	for owner, want := range map[string]Keep{
		"bob@elsewhere.org":     {Age: 365 * day, Messages: 1000},
		"bob@example.org":       {Age: 30 * day, Messages: 1000},
		"alice@example.org":     {Age: 30 * day, Messages: -1, Bytes: 5},
		"hall@rooms.domain.net": {Age: -1, Messages: 7},
	} {
		if d := cmp.Diff(want, r.of(owner)); d != "" {
			t.Errorf("%s (-want +got):\n%s", owner, d)
		}
	}
	if !r.bounded() {
		t.Error("not bounded")
	}
	if (&Retention{Keep: Keep{Messages: -1}, Of: map[string]Keep{"x": {Age: -1}}}).bounded() {
		t.Error("bounded by what is without bound")
	}
}

// clock is a clock whose timers are fired by the test.
type clock struct {
	now    time.Time
	timers chan func()
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) AfterFunc(_ time.Duration, f func()) module.Timer {
	c.timers <- f
	return stopped{}
}

type stopped struct{}

func (stopped) Stop() bool               { return true }
func (stopped) Reset(time.Duration) bool { return true }

// house is a store with a committer and the module over it.
type house struct {
	*testing.T
	m     *Module
	store *sqlite.Store
	j     *journal.Committer
	clock *clock
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func newHouse(t *testing.T, keep Retention) *house {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, store: s, j: journal.New(journal.Options{Backend: s}), clock: &clock{now: noon, timers: make(chan func(), 1)}}
	h.j.Start()
	t.Cleanup(func() {
		if err := h.m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := h.j.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.m = New(Options{NoPeople: true, Keep: keep})
	d := module.Deps{Store: s, Journal: h.j, Clock: h.clock}
	if err := h.m.Register(module.NewRegistry().For("archive", d)); err != nil {
		t.Fatal(err)
	}
	return h
}

func id(hoursAgo int) storage.MessageID {
	return storage.MessageID(noon.Add(-time.Duration(hoursAgo)*time.Hour).UnixMilli() << 20)
}

// keep puts one message an hour into the lists of owners, from so many hours ago to now.
func (h *house) keep(kind storage.RefKind, owner string, hours int) {
	h.Helper()
	u := journal.NewUnit(journal.Lane{})
	for i := range hours {
		u.Add(storage.PutMessage{ID: id(i), Body: fmt.Appendf(nil, "<message>%080d</message>", i)}, storage.PutRef{Ref: storage.Ref{Kind: kind, Owner: owner, ID: id(i)}})
	}
	if err := h.store.Commit(h.Context(), []*journal.Unit{u})[0]; err != nil {
		h.Fatal(err)
	}
}

// round waits for a round to end and returns what begins the next.
func (h *house) round() func() {
	h.Helper()
	select {
	case f := <-h.clock.timers:
		return f
	case <-h.Context().Done():
		h.Fatal("the round does not end")
		return nil
	}
}

func (h *house) left(kind storage.RefKind, owner string, want int) {
	h.Helper()
	refs, _, err := h.store.Messages().Refs(h.Context(), kind, owner, storage.Range{Limit: 10_000})
	if err != nil {
		h.Fatal(err)
	}
	if len(refs) != want {
		h.Errorf("%s has %d messages, want %d", owner, len(refs), want)
	}
	for i, r := range refs { // the oldest went, without holes (XEP-0313 §2.2)
		if r.ID != id(len(refs)-1-i) {
			h.Errorf("%s: message %d is of %s", owner, i, r.ID.Time())
		}
	}
}

func TestRounds(t *testing.T) {
	size := int64(len("<message></message>") + 80)
	h := newHouse(t, Retention{
		Keep: Keep{Age: 100 * time.Hour},
		Of: map[string]Keep{
			"few.example":              {Messages: 10},
			"all@few.example":          {Age: -1, Messages: -1},
			"small@example.org":        {Bytes: 5*size + 1},
			"hall@rooms.example.org":   {Age: 3 * time.Hour},
			"nothing-here@example.org": {Messages: 1},
		},
	})
	h.keep(storage.Archive, "alice@example.org", 750)
	h.keep(storage.Archive, "bob@few.example", 30)
	h.keep(storage.Archive, "all@few.example", 300)
	h.keep(storage.Archive, "small@example.org", 30)
	h.keep(storage.Room, "hall@rooms.example.org", 30)
	h.keep(storage.Room, "other@rooms.example.org", 30)
	h.keep(storage.Offline, "small@example.org", 30)
	if err := h.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := h.round()
	h.left(storage.Archive, "alice@example.org", 101) // of exactly that age is not older
	h.left(storage.Archive, "bob@few.example", 10)
	h.left(storage.Archive, "all@few.example", 300)
	h.left(storage.Archive, "small@example.org", 5)
	h.left(storage.Room, "hall@rooms.example.org", 4)
	h.left(storage.Room, "other@rooms.example.org", 30)
	h.left(storage.Offline, "small@example.org", 30) // not an archive

	h.clock.now = noon.Add(50 * time.Hour)
	again()
	h.round()
	h.left(storage.Archive, "alice@example.org", 51)
	h.left(storage.Archive, "all@few.example", 300)
}

// Without bounds nothing is looked at.
func TestNoRounds(t *testing.T) {
	h := newHouse(t, Retention{})
	if err := h.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.j.Snapshot().Works; n != 0 {
		t.Errorf("%d works without a bound", n)
	}
}

// A round goes on over more owners than a page has, and leaves turns to others.
func TestManyOwners(t *testing.T) {
	h := newHouse(t, Retention{Keep: Keep{Messages: 1}})
	const owners = 2*ownersPerPage + 3
	for i := range owners {
		h.keep(storage.Archive, fmt.Sprintf("person%04d@example.org", i), 1+i%3)
	}
	if err := h.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.round()
	for i := range owners {
		h.left(storage.Archive, fmt.Sprintf("person%04d@example.org", i), 1)
	}
}

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	c.Keep = KeepConfig{Days: 30, Bytes: 1000}
	c.Exceptions = []Exception{{Of: "Example.org", Messages: 5}, {Of: "alice@example.org", Days: 7, All: true}}
	if line, err := c.Check(); err != nil {
		t.Fatal(line, err)
	}
	const day = 24 * time.Hour
	o := c.Options()
	for owner, want := range map[string]Keep{
		"x@example.net":     {Age: 30 * day, Bytes: 1000},
		"bob@example.org":   {Age: 30 * day, Messages: 5, Bytes: 1000},
		"alice@example.org": {Age: 7 * day, Messages: -1, Bytes: -1},
	} {
		if d := cmp.Diff(want, o.Keep.of(owner)); d != "" {
			t.Errorf("%s (-want +got):\n%s", owner, d)
		}
	}
	c.Total, c.Totals = TotalConfig{Messages: 10}, []DomainTotal{{Of: "Rooms.example.org", Bytes: 7}}
	if line, err := c.Check(); err != nil {
		t.Fatal(line, err)
	}
	if r := c.Options().Keep; r.Total != (Total{Messages: 10}) || r.TotalOf["rooms.example.org"] != (Total{Bytes: 7}) {
		t.Errorf("totals %v, %v", r.Total, r.TotalOf)
	}
	for bad, totals := range map[string][]DomainTotal{
		"no domain":    {{Of: "a@example.org", Bytes: 1, Line: 3}},
		"neither":      {{Of: "example.org", Line: 3}},
		"stands there": {{Of: "example.org", Bytes: 1, Line: 2}, {Of: "EXAMPLE.org", Messages: 1, Line: 3}},
	} {
		c.Totals = totals
		if line, err := c.Check(); line != 3 || err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: line %d, %v", bad, line, err)
		}
	}
	if d := DefaultConfig().Options(); d.Keep.bounded() || d.NoPeople {
		t.Errorf("the default is %+v", d)
	}
}
