package router_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// rig is a router between sessions and a store that only exist in the test.
type rig struct {
	t        testing.TB
	r        *router.Router
	events   *event.Catalogue
	reg      *module.Registry
	sessions *sessions
	backend  *backend
	journal  *journal.Committer
	clock    *clock
	accounts map[string]bool
}

func newRig(t testing.TB, set ...func(*rig, *router.Options)) *rig {
	t.Helper()
	g := &rig{t: t, events: event.NewCatalogue(), reg: module.NewRegistry(), backend: &backend{}, clock: &clock{},
		sessions: &sessions{info: map[jid.JID]event.SessionInfo{}, got: map[jid.JID][]session.Item{}},
		accounts: map[string]bool{"alice@a.example": true, "bob@a.example": true, "carol@b.example": true}}
	g.sessions.wake = sync.NewCond(&g.sessions.mu)
	g.journal = journal.New(journal.Options{Backend: g.backend})
	o := router.Options{Domains: []string{"a.example", "b.example"}, Sessions: g.sessions, Accounts: accounts(g.accounts), Journal: g.journal,
		IDs: storage.NewIDs(0, nil), Events: g.events, Clock: g.clock}
	for _, fn := range set {
		fn(g, &o)
	}
	var err error
	if g.r, err = router.New(o); err != nil {
		t.Fatal(err)
	}
	if err := g.r.Attach(g.reg); err != nil {
		t.Fatal(err)
	}
	g.journal.Start()
	t.Cleanup(func() {
		g.r.Stop()
		if err := g.journal.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// route routes the stanza as a client's stream does and waits until its unit is done.
func (g *rig) route(xml string) {
	g.t.Helper()
	g.routeIn(context.Background(), xml)
}

func (g *rig) routeIn(ctx context.Context, xml string) {
	g.t.Helper()
	u := journal.NewUnit(journal.Lane{})
	done := make(chan struct{})
	u.After(direct{}, func(error) { close(done) })
	g.r.Route(ctx, u, parse(g.t, xml))
	<-done
}

type direct struct{}

func (direct) Post(fn func()) { fn() }

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil {
		t.Fatal(err, xml)
	}
	st, err := stanza.FromChild(f.At(0))
	if err != nil {
		t.Fatal(err, xml)
	}
	return st
}

// flush waits until all deliveries have run, also those that deliveries bring about.
func (g *rig) flush() {
	for range 3 {
		done := make(chan struct{})
		u := journal.NewUnit(journal.Lane{})
		u.Add(storage.PutRow{})
		u.After(direct{}, func(error) { close(done) })
		g.journal.Submit(u)
		<-done
		var wg sync.WaitGroup
		for i := range 512 {
			wg.Add(1)
			g.r.Lane(jid.MustParse(fmt.Sprintf("u%d@a.example", i))).Post(wg.Done)
		}
		wg.Wait()
	}
}

// got returns what a session has received since the last call, as XML.
func (g *rig) got(full string) []string {
	g.flush()
	return g.sessions.take(jid.MustParse(full))
}

func (g *rig) expect(full string, want ...string) {
	g.t.Helper()
	got := g.got(full)
	if len(got) != len(want) {
		g.t.Fatalf("%s received %d stanzas, want %d:\n%s", full, len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			g.t.Errorf("%s received %s\nwant %s", full, got[i], want[i])
		}
	}
}

type accounts map[string]bool

func (a accounts) Exists(_ context.Context, bare jid.JID) (bool, error) { return a[bare.String()], nil }

// sessions is a table of sessions without clients.
type sessions struct {
	mu   sync.Mutex
	wake *sync.Cond
	info map[jid.JID]event.SessionInfo
	got  map[jid.JID][]session.Item
	list []jid.JID
	// lose is asked before a delivery; true: the session ends now.
	lose func(jid.JID) bool
}

func (s *sessions) add(full string, priority int8, change ...func(*event.SessionInfo)) {
	j := jid.MustParse(full)
	i := event.SessionInfo{JID: j, Available: true, Priority: priority}
	for _, fn := range change {
		fn(&i)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info[j] = i
	s.list = append(s.list, j)
}

func (s *sessions) remove(j jid.JID) {
	delete(s.info, j)
	s.list = slices.DeleteFunc(s.list, func(o jid.JID) bool { return o == j })
}

func (s *sessions) take(j jid.JID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, it := range s.got[j] {
		out = append(out, string(it.Wire.AppendTo(nil, it.To)))
	}
	delete(s.got, j)
	return out
}

func (s *sessions) Of(_ context.Context, bare jid.JID) []event.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []event.SessionInfo
	for _, j := range s.list {
		if j.Bare() == bare {
			out = append(out, s.info[j])
		}
	}
	return out
}

func (s *sessions) Get(_ context.Context, full jid.JID) (event.SessionInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.info[full]
	return i, ok
}

func (s *sessions) Push(full jid.JID, it session.Item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.info[full]; ok && s.lose != nil && s.lose(full) {
		s.remove(full)
	}
	if _, ok := s.info[full]; !ok {
		return false
	}
	s.got[full] = append(s.got[full], it)
	s.wake.Broadcast()
	return true
}

func (s *sessions) PushAll(full jid.JID, items []session.Item) bool {
	for _, it := range items {
		if !s.Push(full, it) {
			return false
		}
	}
	return true
}

func (s *sessions) Deliver(_ context.Context, full jid.JID, st *stanza.Stanza) bool {
	return s.Push(full, session.Item{Wire: st.Wire(), To: st.To})
}

func (s *sessions) Count() int                                         { return len(s.info) }
func (s *sessions) Close(context.Context, jid.JID, string, string) int { return 0 }

// backend keeps the rows that were committed.
type backend struct {
	mu   sync.Mutex
	ops  []journal.Op
	fail error
	seen map[[16]byte]bool
}

func (b *backend) Commit(_ context.Context, units []*journal.Unit) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(units))
	for i, u := range units {
		errs[i] = b.one(u)
	}
	return errs
}

func (b *backend) one(u *journal.Unit) error {
	if b.fail != nil {
		return b.fail
	}
	for i, op := range u.Ops() {
		d, ok := op.(storage.Dedupe)
		if !ok {
			continue
		}
		if i > 0 {
			return fmt.Errorf("a Dedupe is op %d of its unit", i)
		}
		if b.seen[d.Key] {
			return &journal.DuplicateError{ID: d.ID}
		}
		if b.seen == nil {
			b.seen = map[[16]byte]bool{}
		}
		b.seen[d.Key] = true
	}
	b.ops = append(b.ops, u.Ops()...)
	return nil
}

// refs returns the references that were written, as "kind owner".
func (b *backend) refs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := map[storage.RefKind]string{storage.Archive: "archive", storage.Offline: "offline", storage.Unacked: "unacked"}
	var out []string
	for _, op := range b.ops {
		switch op := op.(type) {
		case storage.PutRef:
			out = append(out, names[op.Ref.Kind]+" "+op.Ref.Owner)
		case storage.DeleteRef:
			out = append(out, "-"+names[op.Kind]+" "+op.Owner)
		}
	}
	b.ops = nil
	return out
}

// clock has timers that run when the test says so.
type clock struct {
	mu     sync.Mutex
	timers []*timer
}

type timer struct {
	c  *clock
	fn func()
}

func (c *clock) Now() time.Time { return time.Unix(1700000000, 0) }

func (c *clock) AfterFunc(_ time.Duration, fn func()) module.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c, fn}
	c.timers = append(c.timers, t)
	return t
}

// fire runs all timers.
func (c *clock) fire() int {
	c.mu.Lock()
	timers := c.timers
	c.timers = nil
	c.mu.Unlock()
	for _, t := range timers {
		t.fn()
	}
	return len(timers)
}

func (t *timer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	n := len(t.c.timers)
	t.c.timers = slices.DeleteFunc(t.c.timers, func(o *timer) bool { return o == t })
	return len(t.c.timers) < n
}

func (t *timer) Reset(time.Duration) bool { return t.Stop() }
