package muc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// world is the module over a real store and a real committer, with a router that keeps what everybody receives.
type world struct {
	t     testing.TB
	dir   string
	m     *Module
	store *sqlite.Store
	com   *journal.Committer
	back  *breakable
	net   *network
	clock *testClock
	ev    *event.Catalogue
	opts  Options
	logs  *lockedBuffer
}

const epoch = 1_700_000_000

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), opts: o, clock: newTestClock(), logs: &lockedBuffer{}}
	w.net = &network{inbox: map[jid.JID][]*stanza.Stanza{}, sessions: map[jid.JID]event.SessionInfo{}, requests: map[string]pendingRequest{}}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Options{Dir: w.dir})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
	w.back = &breakable{Backend: store}
	w.com = journal.New(journal.Options{Backend: w.back})
	w.com.Start()
	last, err := store.Messages().LastID(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.ev = event.NewCatalogue()
	w.ev.OnPanic = func(point, who string, v any, stack []byte) {
		w.t.Errorf("panic at %s in %s: %v\n%s", point, who, v, stack)
	}
	w.net.journal = w.com
	reg := module.NewRegistry()
	deps := module.Deps{Log: slog.New(slog.NewTextHandler(w.logs, nil)), Clock: w.clock, Rand: &counterRand{}, Store: store, Journal: w.com,
		IDs: storage.NewIDs(last, w.clock.Now), Events: w.ev, Router: w.net, Sessions: w.net, Hosts: w.net, Version: "test"}
	w.m = New(w.opts)
	if err := w.m.Register(reg.For("muc", deps)); err != nil {
		w.t.Fatal(err)
	}
	w.net.m = w.m
	if err := w.m.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.m.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	w.sync()
	if err := w.com.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// send gives a stanza of a client to the module as the router would.
func (w *world) send(from, xml string) {
	w.t.Helper()
	st := parseStanza(w.t, xml)
	st.From = jid.MustParse(from)
	if st.Kind == stanza.IQ && !st.IsRequest() && w.net.answer(st) {
		return
	}
	w.net.Route(context.Background(), journal.NewUnit(journal.AccountLane(st.From.Bare().String())), st)
}

// do is send, and waits until the room is at rest.
func (w *world) do(from, xml string) {
	w.t.Helper()
	w.send(from, xml)
	w.sync()
}

// sync waits until no room has anything to do.
func (w *world) sync() {
	for again := true; again; {
		again = false
		w.m.rooms.each(func(a *actor) {
			done := make(chan bool)
			a.q.Post(func() { done <- len(a.backlog) > 0 || a.inflight > 0 || a.barrier > 0 && !a.looking })
			if <-done {
				again = true
			}
		})
		w.net.mu.Lock()
		again = again || w.net.underWay > 0
		w.net.mu.Unlock()
		runtime.Gosched()
	}
}

// take returns and forgets what an address has received.
func (w *world) take(who string) []*stanza.Stanza {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	j := jid.MustParse(who)
	out := w.net.inbox[j]
	delete(w.net.inbox, j)
	return out
}

func (w *world) forgetAll() {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	clear(w.net.inbox)
}

// join lets somebody enter and forgets what everybody was told of it.
func (w *world) join(who, room, nick string) {
	w.t.Helper()
	w.do(who, fmt.Sprintf("<presence to='%s/%s'><x xmlns='http://jabber.org/protocol/muc'/></presence>", room, nick))
	w.forgetAll()
}

// configure changes a room as its owner.
func (w *world) configure(owner, room string, fields ...string) {
	w.t.Helper()
	x := ""
	for i := 0; i < len(fields); i += 2 {
		x += fmt.Sprintf("<field var='%s'><value>%s</value></field>", fields[i], fields[i+1])
	}
	w.do(owner, fmt.Sprintf("<iq type='set' id='cfg' to='%s'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>%s</x></query></iq>", room, x))
	got := w.take(owner)
	if len(got) == 0 || got[0].Type != stanza.TypeResult {
		w.t.Fatalf("configure %s: %v", room, got)
	}
	w.forgetAll()
}

// open makes a persistent room with an owner, who then leaves or stays.
func (w *world) open(owner, nick, room string, fields ...string) {
	w.t.Helper()
	w.join(owner, room, nick)
	w.configure(owner, room, append([]string{"muc#roomconfig_persistentroom", "1"}, fields...)...)
}

func parseStanza(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	d := xmlstream.NewDecoder(xmlstream.Limits{})
	_, _ = d.Write([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" + xml))
	for {
		k, err := d.Next()
		if err != nil {
			t.Fatalf("parse %s: %v", xml, err)
		}
		if k == xmlstream.StanzaElement {
			break
		}
		if k == xmlstream.NeedMore {
			t.Fatalf("parse %s: incomplete", xml)
		}
	}
	var el xmlstream.Element
	d.Element(&el)
	st, err := stanza.FromElement(&el)
	if err != nil {
		t.Fatalf("parse %s: %v", xml, err)
	}
	return st
}

// network is the router, the session table and the table of hosts of a world.
type network struct {
	m       *Module
	journal journal.Submitter

	mu       sync.Mutex
	inbox    map[jid.JID][]*stanza.Stanza
	sessions map[jid.JID]event.SessionInfo
	requests map[string]pendingRequest
	nextID   int
	underWay int
	bytes    int
	bursts   int
	missing  map[jid.JID]bool // addresses without a session
	mute     bool             // do not keep what is received
	tally    *tally           // counts what is received; nil: nobody counts
}

type pendingRequest struct {
	iq    *stanza.Stanza
	q     journal.Poster
	reply func(*stanza.Stanza)
}

var (
	_ module.Router  = (*network)(nil)
	_ module.Burster = (*network)(nil)
)

func (n *network) deliver(st *stanza.Stanza, to jid.JID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing[to] {
		return false
	}
	if n.tally != nil {
		n.tally.count(st, to)
	}
	if !n.mute {
		n.inbox[to] = append(n.inbox[to], st.With(st.From, to))
	}
	return true
}

func (n *network) Route(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if h := n.m.hosts[st.To.Domain()]; h != nil {
		if q, ok := st.Query(); ok && st.IsRequest() && !st.To.IsFull() {
			if _, known := n.m.dispatch.iq[iqKey{st.Type, q.Name()}]; known {
				req := &module.Request{IQ: st, Query: q, Unit: u}
				if _, err := n.m.request(ctx, req); err != nil || !req.Deferred() {
					n.m.d.Log.Error("request not deferred", "err", err)
				}
				return
			}
		}
		h.HandleStanza(ctx, u, st)
		return
	}
	n.mu.Lock()
	n.underWay++
	n.mu.Unlock()
	u.After(journal.NewQueue(nil), func(err error) {
		if err == nil {
			n.deliver(st, st.To)
		}
		n.mu.Lock()
		n.underWay--
		n.mu.Unlock()
	})
	n.journal.Submit(u)
}

func (n *network) Send(ctx context.Context, st *stanza.Stanza) {
	n.Route(ctx, journal.NewUnit(journal.Lane{}), st)
}

func (n *network) Fanout(_ context.Context, st *stanza.Stanza, to []jid.JID, gone func(jid.JID)) {
	w := st.Wire()
	n.mu.Lock()
	n.bytes += w.Len() * len(to)
	n.mu.Unlock()
	for _, j := range to {
		if !n.deliver(st, j) && gone != nil {
			gone(j)
		}
	}
}

func (n *network) Burst(_ context.Context, to jid.JID, sts []*stanza.Stanza, wires []stanza.Wire, gone func(jid.JID)) {
	n.mu.Lock()
	n.bursts++
	for _, w := range wires {
		n.bytes += w.Len()
	}
	n.mu.Unlock()
	for _, st := range sts {
		if !n.deliver(st, to) {
			gone(to)
			return
		}
	}
}

func (n *network) Request(_ context.Context, iq *stanza.Stanza, _ time.Duration, q journal.Poster, reply func(*stanza.Stanza)) {
	n.mu.Lock()
	n.nextID++
	iq = iq.Copy()
	iq.ID = fmt.Sprintf("req%d", n.nextID)
	n.requests[iq.ID] = pendingRequest{iq, q, reply}
	n.mu.Unlock()
	n.deliver(iq, iq.To)
}

func (n *network) answer(st *stanza.Stanza) bool {
	n.mu.Lock()
	p, ok := n.requests[st.ID]
	ok = ok && p.iq.To == st.From && p.iq.From == st.To
	if ok {
		delete(n.requests, st.ID)
	}
	n.mu.Unlock()
	if ok {
		p.q.Post(func() { p.reply(st) })
	}
	return ok
}

func (n *network) Of(context.Context, jid.JID) []event.SessionInfo { return nil }
func (n *network) Get(_ context.Context, full jid.JID) (event.SessionInfo, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing[full] {
		return event.SessionInfo{}, false
	}
	if s, ok := n.sessions[full]; ok {
		return s, true
	}
	return event.SessionInfo{JID: full, Available: true}, true
}
func (n *network) Deliver(_ context.Context, full jid.JID, st *stanza.Stanza) bool {
	return n.deliver(st, full)
}
func (n *network) Count() int                                         { return 0 }
func (n *network) Close(context.Context, jid.JID, string, string) int { return 0 }
func (n *network) Domains() []string                                  { return []string{"example.org"} }
func (n *network) IsLocal(d string) bool                              { return d == "example.org" || n.m.hosts[d] != nil }
func (n *network) IsAccountDomain(d string) bool                      { return d == "example.org" }

// testClock stands still until it is told to go on.
type testClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*testTimer
}

type testTimer struct {
	c  *testClock
	at time.Time
	f  func()
	on bool
}

func newTestClock() *testClock { return &testClock{now: time.Unix(epoch, 0).UTC()} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) AfterFunc(d time.Duration, f func()) module.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &testTimer{c: c, at: c.now.Add(d), f: f, on: true}
	c.timers = append(c.timers, t)
	return t
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*testTimer
	c.timers = slices.DeleteFunc(c.timers, func(t *testTimer) bool {
		if t.on && !t.at.After(c.now) {
			t.on = false
			due = append(due, t)
		}
		return !t.on
	})
	c.mu.Unlock()
	for _, t := range due {
		t.f()
	}
}

// timersLeft is how many timers run.
func (c *testClock) timersLeft() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, t := range c.timers {
		if t.on {
			n++
		}
	}
	return n
}

func (t *testTimer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	was := t.on
	t.on = false
	return was
}

func (t *testTimer) Reset(d time.Duration) bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	was := t.on
	t.at = t.c.now.Add(d)
	if t.on = true; !slices.Contains(t.c.timers, t) {
		t.c.timers = append(t.c.timers, t)
	}
	return was
}

// counterRand is randomness that is the same in every run.
type counterRand struct {
	mu sync.Mutex
	n  uint64
}

var _ io.Reader = (*counterRand)(nil)

func (r *counterRand) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(p); i += sha256.Size {
		r.n++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, r.n))
		copy(p[i:], sum[:])
	}
	return len(p), nil
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.buf)
}

// addAccount makes an account, so that it can be invited.
func (w *world) addAccount(bare string) {
	w.t.Helper()
	done := make(chan error, 1)
	u := journal.NewUnit(journal.AccountLane(bare))
	u.Add(storage.CreateAccount{Account: storage.Account{JID: bare}})
	u.After(direct{}, func(err error) { done <- err })
	w.com.Submit(u)
	if err := <-done; err != nil && !errors.Is(err, journal.ErrConflict) {
		w.t.Fatal(err)
	}
}

// breakable is a store that can be told to fail.
type breakable struct {
	journal.Backend
	broken atomic.Bool
	err    error
}

func (b *breakable) Commit(ctx context.Context, units []*journal.Unit) []error {
	if !b.broken.Load() {
		return b.Backend.Commit(ctx, units)
	}
	out := make([]error, len(units))
	for i := range out {
		out[i] = b.err
	}
	return out
}

// breakStore makes every commit fail until the flag is cleared.
func (w *world) breakStore(err error) *atomic.Bool {
	w.back.err = err
	w.back.broken.Store(true)
	return &w.back.broken
}
