package pubsub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Scope is the scope of requests to the hosts of this module.
const Scope module.Scope = "pubsub"

// Label is the first label of the hosts.
const Label = "pubsub"

// Module implements module.Module.
type Module struct {
	o        Config
	d        module.Deps
	t        tables
	rosters  Rosters
	caps     Caps
	hosts    map[string]*host
	verbs    map[verbKey]verb
	locks    locks
	queues   [queueCount]*journal.Queue
	watchers []Watcher
	sweeping atomic.Bool

	presences presences

	timers  sync.Mutex // of what follows; setting or stopping a timer is all that is done under it
	sweeper module.Timer
	sweepAt time.Time
	stopped bool
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New(c Config) *Module {
	return &Module{o: c.WithDefaults(), hosts: map[string]*host{}, verbs: verbs()}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "pubsub", Specs: []module.Spec{
		{ID: "XEP-0060", Version: "1.30.0", Status: "partial", Note: "without digests, keywords, message bodies and purge_offline"},
		{ID: "XEP-0084", Version: "1.1.4", Status: "complete", Note: "as nodes of accounts"},
		{ID: "XEP-0163", Version: "1.2.2", Status: "complete"},
		{ID: "XEP-0172", Version: "1.1", Status: "complete", Note: "as nodes of accounts"},
		{ID: "XEP-0223", Version: "1.1.1", Status: "complete"},
		{ID: "XEP-0248", Version: "0.5.0", Status: "complete"},
		{ID: "XEP-0384", Version: "0.9.1", Status: "complete", Note: "as nodes of accounts; a server has no other part"},
		{ID: "XEP-0490", Version: "1.0.1", Status: "complete", Note: "with the server's help"},
		{ID: "XEP-0503", Version: "0.3.0", Status: "complete", Note: "as far as a service takes part"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.t.init(r.Deps.Store)
	for i := range m.queues {
		m.queues[i] = journal.NewQueue(func(v any) { m.d.Log.Error("a publish-subscribe step panicked", "panic", v) })
	}
	r.Need(&m.rosters)
	r.Want(&m.caps)
	r.Provide(m)
	for _, d := range r.Deps.Hosts.Domains() {
		if err := m.addHost(r, d); err != nil {
			return err
		}
	}
	ev := r.Deps.Events
	ev.Route.Account.On(event.Guard, "pubsub", m.accountDecision)
	ev.Route.Sent.On(event.Rewrite, "pubsub", m.displayed)
	ev.Presence.Unavailable.On(event.After, "pubsub", m.unavailable)
	ev.Roster.Changed.On(event.After, "pubsub", m.rosterChanged)
	ev.Account.Deleted.On(event.Record, "pubsub", m.deleted)
	ev.Account.Deleted.On(event.After, "pubsub", m.afterDeletion)
	r.Identity(module.ScopeAccount, module.Identity{Category: "pubsub", Type: "pep"}) // XEP-0163 §6.1
	r.Feature(module.ScopeAccount, append(features(true), ns.MDSServerAssist)...)
	r.Disco(module.ScopeAccount, source{m})
	r.Disco(Scope, source{m})
	return m.routes(r)
}

func (m *Module) addHost(r *module.Registrar, domain string) error {
	j, err := jid.New("", Label+"."+domain, "")
	if err != nil {
		return fmt.Errorf("pubsub: host of %s: %w", domain, err)
	}
	h := &host{m: m, svc: &service{jid: j, name: j.String()}}
	m.hosts[j.Domain()] = h
	return r.Host(module.HostSpec{Name: j.Domain(), Scope: Scope, Handler: h, ListedIn: domain, Title: "Publish-subscribe of " + domain})
}

func (m *Module) routes(r *module.Registrar) error {
	for _, scope := range []module.Scope{module.ScopeAccount, Scope} {
		for _, space := range []string{ns.PubSub, ns.PubSubOwner} {
			if err := r.IQ(module.IQRoute{Scope: scope, Space: space, Local: "pubsub", Handle: m.handle}); err != nil {
				return err
			}
		}
	}
	return r.IQ(module.IQRoute{Scope: Scope, Type: stanza.TypeSet, Space: ns.Commands, Local: "command", Handle: m.command})
}

// Start implements module.Starter.
func (m *Module) Start(context.Context) error {
	if m.caps != nil {
		m.caps.WatchCaps(m.capsGained)
	}
	m.sweepTrash() // what an earlier run has left
	m.sweepGone()
	m.sweepExpired()
	return nil
}

// afterDeletion does behind the deletion of an account what needs the keys of others' nodes, or takes long.
func (m *Module) afterDeletion(context.Context, *event.AccountChange) error {
	m.sweepGone()
	m.sweepTrash()
	return nil
}

// Stop implements module.Starter: it waits for the steps that are under way.
func (m *Module) Stop(ctx context.Context) error {
	m.timers.Lock()
	m.stopped = true
	if m.sweeper != nil {
		m.sweeper.Stop()
	}
	m.timers.Unlock()
	var wait sync.WaitGroup
	for _, q := range m.queues {
		wait.Add(1)
		q.Post(wait.Done)
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pubsub: stop: %w", ctx.Err())
	}
}

// ofPerson calls fn for a person's rows in a range of keys. How many there are is not hers alone to say: owners of nodes put her into their lists.
func (m *Module) ofPerson(ctx context.Context, svc *service, who jid.JID, from, to string, fn func(storage.Row)) error {
	for {
		rows, err := m.t.of.Range(ctx, svc.person(who), from, to, fanoutSlice, false)
		if err != nil {
			return err
		}
		for _, r := range rows {
			fn(r)
		}
		if len(rows) < fanoutSlice {
			return nil
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
}
