package caps

import (
	"context"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Options of the module; zero values take the defaults.
type Options struct {
	MaxHashes  int           // capabilities that are known; 4,096
	MaxRemote  int           // sessions of other servers; 20,000
	MaxWaiting int           // questions under way; 1,000
	MaxPerPeer int           // of them to one account; 8
	Timeout    time.Duration // of a question; 30 seconds
}

func (o *Options) fill() {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxHashes, 4096}, {&o.MaxRemote, 20000}, {&o.MaxWaiting, 1000}, {&o.MaxPerPeer, 8}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
}

// set is the features of somebody; it is shared and never changed.
type set struct{ features map[string]struct{} }

func (s *set) has(feature string) bool {
	if s == nil {
		return false
	}
	_, ok := s.features[feature]
	return ok
}

// maxAccounts bounds how many accounts here one session of another server is remembered for.
const maxAccounts = 1000

// entity is one session.
type entity struct {
	key key
	set *set // nil: not known
	// told is what the watchers were told last, by the account to which a session of another server has sent its presence (zero: a session here).
	told map[jid.JID]*set
}

// Watcher is told of features that a session has newly got. account is zero for a session here.
type Watcher = func(ctx context.Context, full, account jid.JID, gained func(feature string) bool)

// Module implements module.Module.
type Module struct {
	o        Options
	d        module.Deps
	queue    *journal.Queue
	watchers []Watcher

	mu       sync.Mutex // nothing else is locked under it
	hashes   map[key]*set
	entities map[jid.JID]*entity
	remote   map[jid.JID]map[jid.JID]struct{} // sessions of other servers by their bare JID
	remotes  int
	asking   map[key]*question
	asked    uint64         // how many questions there have been
	open     map[string]int // requests without an answer yet, by the bare JID that is asked, and by the domain of another server
}

// New returns the module.
func New(o Options) *Module {
	o.fill()
	return &Module{o: o, hashes: map[key]*set{}, entities: map[jid.JID]*entity{}, remote: map[jid.JID]map[jid.JID]struct{}{}, asking: map[key]*question{}, open: map[string]int{}}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "caps", Specs: []module.Spec{
		{ID: "XEP-0115", Version: "1.6.0", Status: "complete", Note: "what clients announce is learnt and verified; presence is not optimised"},
		{ID: "XEP-0390", Version: "0.3.2", Status: "partial", Note: "processing entity"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.queue = journal.NewQueue(func(v any) { m.d.Log.Error("an answer about capabilities panicked", "panic", v) })
	r.Provide(m)
	ev := r.Deps.Events
	ev.Presence.Available.On(event.After, "caps", func(ctx context.Context, p *event.PresenceChange) error {
		m.learn(ctx, p.Stanza, p.Session.Info().JID, jid.JID{}, false)
		return nil
	})
	ev.Presence.Unavailable.On(event.After, "caps", func(_ context.Context, p *event.PresenceChange) error {
		m.forget(p.Session.Info().JID)
		return nil
	})
	ev.C2S.Closed.On(event.After, "caps", func(_ context.Context, e *event.SessionClosed) error {
		m.forget(e.Info.JID)
		return nil
	})
	ev.C2S.Restored.On(event.After, "caps", func(ctx context.Context, s *event.SessionState) error { m.again(ctx, s.Session); return nil })
	ev.C2S.Resumed.On(event.After, "caps", func(ctx context.Context, s *event.SessionBound) error { m.again(ctx, s.Session); return nil })
	ev.Route.Any.On(event.Record, "caps", m.routed)
	return nil
}

// again learns what a session had said before; nobody is told of what is not new.
func (m *Module) again(ctx context.Context, s event.Session) {
	if info := s.Info(); info.Presence != nil {
		m.learn(ctx, info.Presence, info.JID, jid.JID{}, true)
	}
}

// routed sees the presence of other servers' people.
func (m *Module) routed(ctx context.Context, v *event.Routed) error {
	st := v.Stanza
	if st.Kind != stanza.Presence || !st.From.IsFull() || !st.To.HasLocal() || m.d.Hosts.IsLocal(st.From.Domain()) || !m.d.Hosts.IsAccountDomain(st.To.Domain()) {
		return nil
	}
	switch st.Type {
	case "":
		m.learn(ctx, st, st.From.Clone(), st.To.Bare().Clone(), false)
	case stanza.TypeUnavailable, stanza.TypeError:
		m.forgetRemote(st.From, st.To.Bare())
	}
	return nil
}

// WatchCaps registers a watcher. It is called before the server starts; fn must not wait.
func (m *Module) WatchCaps(fn func(ctx context.Context, full, account jid.JID, gained func(feature string) bool)) {
	m.watchers = append(m.watchers, fn)
}

// Supports tells whether a session is known to have a feature.
func (m *Module) Supports(_ context.Context, full jid.JID, feature string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[full]
	return e != nil && e.set.has(feature)
}

// Remote returns the sessions of another server's contact that have sent presence to an account here.
func (m *Module) Remote(account, contact jid.JID) []jid.JID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []jid.JID
	for full := range m.remote[contact.Bare()] {
		if _, ok := m.entities[full].told[account.Bare()]; ok {
			out = append(out, full)
		}
	}
	return out
}

// forget drops a session.
func (m *Module) forget(full jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(full)
}

// forgetRemote drops what a session of another server has told one account.
func (m *Module) forgetRemote(full, account jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entities[full]
	if e == nil {
		return
	}
	if delete(e.told, account); len(e.told) == 0 {
		m.drop(full)
	}
}

// drop removes a session; mu is held.
func (m *Module) drop(full jid.JID) {
	delete(m.entities, full)
	bare := full.Bare()
	if list := m.remote[bare]; list != nil {
		if _, ok := list[full]; ok {
			m.remotes--
			delete(list, full)
		}
		if len(list) == 0 {
			delete(m.remote, bare)
		}
	}
}

// entity returns the entry of a session, made if there is none; mu is held. Of other servers' there is a bounded number: one of them makes room.
func (m *Module) entity(full jid.JID, account jid.JID) *entity {
	e := m.entities[full]
	if e != nil {
		return e
	}
	e = &entity{told: map[jid.JID]*set{}}
	if !account.IsZero() {
		if m.remotes >= m.o.MaxRemote {
			m.evict()
		}
		list := m.remote[full.Bare()]
		if list == nil {
			list = map[jid.JID]struct{}{}
			m.remote[full.Bare()] = list
		}
		list[full] = struct{}{}
		m.remotes++
	}
	m.entities[full] = e
	return e
}

func (m *Module) evict() {
	for _, list := range m.remote {
		for full := range list {
			m.drop(full)
			return
		}
	}
}
