package rejoin

import (
	"context"
	"encoding/base32"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
)

// Lanes are the queues in which stanzas are delivered to an address; core/server provides the router.
type Lanes interface {
	Lane(j jid.JID) journal.Poster
}

// Module implements module.Module.
type Module struct {
	o     Options
	d     module.Deps
	reg   *module.Registry
	lanes Lanes
	own   map[string]bool // hosts of this server whose rooms are not watched

	ctx     context.Context // of what the module sends itself; ended by Stop
	cancel  context.CancelFunc
	stopped atomic.Bool

	accounts accounts
	seats    atomic.Int64 // all
	known    atomic.Int64 // occupants remembered in all seats
	held     atomic.Int64 // bytes that wait in all seats
	asking   atomic.Int64 // pings under way
	stats    stats
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New(o Options) *Module { return &Module{o: o.withDefaults()} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "rejoin", Specs: []module.Spec{{ID: "XEP-0410", Version: "1.1.0", Status: "complete",
		Note: "asked in the name of people here who are in rooms elsewhere"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d, m.reg = r.Deps, r.Registry()
	m.accounts.init()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if m.o.Off {
		return nil
	}
	r.Need(&m.lanes)
	ev := r.Deps.Events
	ev.Presence.Directed.On(event.After, "rejoin", m.directed)
	ev.Presence.Unavailable.On(event.Record, "rejoin", m.unavailable)
	ev.C2S.Closed.On(event.After, "rejoin", m.closed)
	ev.C2S.Resumed.On(event.After, "rejoin", m.resumed)
	ev.C2S.Saving.On(event.Record, "rejoin", m.saving)
	ev.C2S.Restored.On(event.After, "rejoin", m.restored)
	ev.Route.Any.On(event.Guard, "rejoin", m.passing)
	ev.Route.Linked.On(event.After, "rejoin", m.linked)
	return nil
}

// hostedHere is the kind of a host whose rooms live in this process: what they say does not pass by where this module looks.
const hostedHere module.Scope = "muc"

// Start implements module.Starter.
func (m *Module) Start(context.Context) error {
	m.own = map[string]bool{}
	for _, h := range m.reg.Hosts {
		if h.Scope == hostedHere {
			m.own[h.Name] = true
		}
	}
	return nil
}

// Stop implements module.Starter: nothing more is sent, and no timer runs on.
func (m *Module) Stop(context.Context) error {
	m.stopped.Store(true)
	m.cancel()
	m.accounts.each(func(a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range a.places {
			p.stopTimers()
		}
	})
	return nil
}

// watches tells whether rooms of a domain are this module's business.
func (m *Module) watches(domain string) bool {
	return !m.own[domain] && !m.d.Hosts.IsAccountDomain(domain)
}

// Stats are counters since the start.
type Stats struct {
	Seats  int64  // watched now
	Known  int64  // occupants remembered in them
	Held   int64  // bytes that wait
	Asking int64  // pings under way
	Pings  uint64 // sent
	Lost   uint64 // found
	Healed uint64 // entered again
	GaveUp uint64 // told to the client
	Filled uint64 // messages fetched from archives
}

type stats struct{ pings, lost, healed, gaveUp, filled atomic.Uint64 }

// Stats returns the counters.
func (m *Module) Stats() Stats {
	return Stats{Seats: m.seats.Load(), Known: m.known.Load(), Held: m.held.Load(), Asking: m.asking.Load(), Pings: m.stats.pings.Load(), Lost: m.stats.lost.Load(), Healed: m.stats.healed.Load(),
		GaveUp: m.stats.gaveUp.Load(), Filled: m.stats.filled.Load()}
}

// Figures adds those of the metrics page.
func (m *Module) Figures(out map[string]float64) {
	out["rejoin_rooms"] = float64(m.seats.Load())
	out["rejoin_pings_total"] = float64(m.stats.pings.Load())
	out["rejoin_lost_total"] = float64(m.stats.lost.Load())
	out["rejoin_healed_total"] = float64(m.stats.healed.Load())
	out["rejoin_given_up_total"] = float64(m.stats.gaveUp.Load())
	out["rejoin_messages_total"] = float64(m.stats.filled.Load())
}

// newID returns an id that nobody can guess: 80 random bits.
func (m *Module) newID() string {
	var b [10]byte
	if _, err := io.ReadFull(m.d.Rand, b[:]); err != nil {
		panic(fmt.Sprintf("rejoin: no randomness: %v", err)) // the system's never fails
	}
	return "j" + base32.StdEncoding.EncodeToString(b[:])
}

// jittered spreads a time by a tenth in both directions, so that not everybody asks at once.
func (m *Module) jittered(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := io.ReadFull(m.d.Rand, b[:]); err != nil {
		return d
	}
	return d + d*time.Duration(int(b[0])-128)/1280
}

// within returns a time up to d, so that not all that wait for the same do so at once.
func (m *Module) within(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := io.ReadFull(m.d.Rand, b[:]); err != nil {
		return d
	}
	return d * time.Duration(b[0]) / 256
}

// account is what is watched for one account. Its lock is held for a look or a change; what follows from it is posted to lane meanwhile, so that it
// happens in the order in which it was decided.
type account struct {
	m    *Module
	bare jid.JID
	lane journal.Poster

	mu     sync.Mutex
	places map[jid.JID]*place // by the room's bare JID
}

// post has fn run in the account's lane, without the lock.
func (a *account) post(fn func()) { a.lane.Post(fn) }

// later runs fn in the lane after a time.
func (a *account) later(d time.Duration, fn func()) module.Timer {
	return a.m.d.Clock.AfterFunc(d, func() {
		if !a.m.stopped.Load() {
			a.post(fn)
		}
	})
}

// accounts is the table of those that have seats.
type accounts struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu   sync.RWMutex
	list map[jid.JID]*account
}

func (t *accounts) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].list = map[jid.JID]*account{}
	}
}

func (t *accounts) shard(bare jid.JID) *shard {
	return &t.shards[maphash.String(t.seed, bare.String())%uint64(len(t.shards))]
}

// get returns an account, nil if it has no seat.
func (t *accounts) get(bare jid.JID) *account {
	s := t.shard(bare)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list[bare]
}

// make returns an account that is made if it is not there, locked.
func (t *accounts) make(m *Module, bare jid.JID) *account {
	s := t.shard(bare)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.list[bare]
	if a == nil {
		bare = bare.Clone()
		a = &account{m: m, bare: bare, lane: m.lanes.Lane(bare), places: map[jid.JID]*place{}}
		s.list[bare] = a
	}
	a.mu.Lock()
	return a
}

// drop forgets an account that has no places any more.
func (t *accounts) drop(a *account) {
	s := t.shard(a.bare)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.places) == 0 && s.list[a.bare] == a {
		delete(s.list, a.bare)
	}
}

func (t *accounts) each(fn func(*account)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		list := make([]*account, 0, len(s.list))
		for _, a := range s.list {
			list = append(list, a)
		}
		s.mu.RUnlock()
		for _, a := range list {
			fn(a)
		}
	}
}
