package session

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite/sqlitetest"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testClock moves only when it is told to.
type testClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*testTimer
}

type testTimer struct {
	c    *testClock
	at   time.Time
	fn   func()
	live bool
}

func newClock() *testClock { return &testClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *testClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *testClock) AfterFunc(d time.Duration, f func()) module.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &testTimer{c: c, at: c.now.Add(d), fn: f, live: true}
	c.timers = append(c.timers, t)
	return t
}

func (t *testTimer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	was := t.live
	t.live = false
	return was
}

func (t *testTimer) Reset(d time.Duration) bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	was := t.live
	t.at, t.live = t.c.now.Add(d), true
	return was
}

// advance moves the clock and runs what is due, in order.
func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*testTimer
	for _, t := range c.timers {
		if t.live && !t.at.After(c.now) {
			t.live = false
			due = append(due, t)
		}
	}
	c.mu.Unlock()
	sort.Slice(due, func(i, j int) bool { return due[i].at.Before(due[j].at) })
	for _, t := range due {
		t.fn()
	}
}

// testLink collects what a session gives to its connection.
type testLink struct {
	mu    sync.Mutex
	ended string
	last  []byte
	woken int
}

func (l *testLink) Wake() { l.mu.Lock(); defer l.mu.Unlock(); l.woken++ }

func (l *testLink) End(last []byte, condition, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.last = "ended "+condition, last
}

func (l *testLink) end() string { l.mu.Lock(); defer l.mu.Unlock(); return l.ended }

// bench is a manager with a store.
type bench struct {
	t       testing.TB
	store   *sqlite.Store
	journal *journal.Committer
	events  *event.Catalogue
	clock   *testClock
	ids     *storage.IDs
	m       *Manager

	mu     sync.Mutex
	closed []string
	lost   []string
}

func newBench(t testing.TB, dir string, limits Limits) *bench {
	t.Helper()
	b := &bench{t: t, store: sqlitetest.OpenDir(t, dir), events: event.NewCatalogue(), clock: newClock()}
	b.journal = sqlitetest.Committer(t, b.store)
	b.events.C2S.Closed.On(event.After, "test", func(_ context.Context, s *event.SessionClosed) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = append(b.closed, s.Info.JID.String()+" "+s.Reason)
		return nil
	})
	var err error
	b.m, err = New(Options{
		Store: b.store, Journal: b.journal, Events: b.events, Clock: b.clock, Limits: limits,
		Undelivered: func(_ context.Context, full jid.JID, st *stanza.Stanza) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lost = append(b.lost, full.Resource()+" "+st.ID)
		},
	})
	check(t, err)
	last, err := b.store.Messages().LastID(t.Context())
	check(t, err)
	b.ids = storage.NewIDs(last, b.clock.Now)
	check(t, b.m.Restore(t.Context()))
	t.Cleanup(func() {
		if err := b.m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) bind(full string) (*Session, *testLink) {
	b.t.Helper()
	j, l := jid.MustParse(full), &testLink{}
	s, err := b.m.Bind(b.t.Context(), BindRequest{Account: j.Bare(), Resource: j.Resource(), Link: l, ID: "conn"})
	check(b.t, err)
	return s, l
}

// settle waits until what was submitted is committed and the session's queue has done what came of it.
func (b *bench) settle(s *Session) {
	b.t.Helper()
	for range 3 { // a step may submit a unit, whose step may submit another
		done := make(chan struct{})
		u := journal.NewUnit(journal.Lane{})
		u.Add(storage.PutRow{Table: "test", Owner: "test", Key: "settle"})
		u.After(s.queue, func(error) { close(done) })
		b.journal.Submit(u)
		<-done
	}
}

// managed binds a session with stream management and returns its SM-ID.
func (b *bench) managed(full string) (*Session, *testLink, string) {
	b.t.Helper()
	s, l := b.bind(full)
	if !s.Enable(true, 0) {
		b.t.Fatal("not enabled")
	}
	b.settle(s)
	out := string(b.fill(s, l))
	_, rest, _ := bytes.Cut([]byte(out), []byte("id='"))
	id, _, ok := bytes.Cut(rest, []byte("'"))
	if !ok {
		b.t.Fatalf("no <enabled/>: %s", out)
	}
	return s, l, string(id)
}

func (b *bench) fill(s *Session, l *testLink) []byte {
	var out []byte
	for {
		dst, more := s.Fill(l, nil, 16<<10)
		out = append(out, dst...)
		if !more {
			return out
		}
	}
}

// received lists the ids of the stanzas in what a link was given.
func received(t interface{ Fatal(...any) }, out []byte) []string {
	f, err := xmlstream.ParseFragment(out)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for c := range f.All() {
		if c.Name().Space == ns.Client {
			ids = append(ids, c.Attr("id"))
		}
	}
	return ids
}

func message(id, to string) *stanza.Stanza {
	st := stanza.NewMessage(stanza.TypeChat, xmlstream.NewNode(ns.Client, "body").SetText("text "+id))
	st.ID, st.From, st.To = id, jid.MustParse("alice@example.org/a"), jid.MustParse(to)
	return st
}

// deliver stores a message for a session and pushes it after the commit, as the router does.
func (b *bench) deliver(s *Session, id string) {
	b.t.Helper()
	st := message(id, s.JID().String())
	u := journal.NewUnit(journal.AccountLane(s.JID().Bare().String()))
	rec := event.NewMessageRecord(u, b.ids.Next(), st)
	smid := s.Info().SMID
	rec.Ref(storage.Unacked, smid, "", nil)
	check(b.t, <-submit(b.journal, u))
	if !b.m.Push(s.JID(), Item{Wire: st.Wire(), To: st.To, Msg: rec.ID, At: rec.ID.Time()}) {
		b.t.Fatalf("%s is over", s.JID())
	}
}

// kept lists the ids of the stanzas in a list of the store.
func (b *bench) kept(kind storage.RefKind, owner string) []string {
	b.t.Helper()
	list, _, err := b.store.Messages().List(b.t.Context(), kind, owner, storage.Range{Limit: 10000})
	check(b.t, err)
	var ids []string
	for _, m := range list {
		st, err := stanza.Unmarshal(m.Body)
		check(b.t, err)
		ids = append(ids, st.ID)
	}
	return ids
}

func (b *bench) told() (closed, lost []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.closed...), append([]string{}, b.lost...)
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
