package roster

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Options of the module; zero values take the defaults.
type Options struct {
	MaxItems     int // contacts of one account, and as many people who are not; 2,000
	MaxBytes     int // of all that is kept of its contacts, and as many of requests that wait; 1 MiB
	MaxGroups    int // groups of one contact; 32
	MaxNameBytes int // length of a name or group; 1,023
	MaxCached    int // rosters kept in memory beside those in use; 4,096
}

func (o *Options) fill() {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxItems, 2000}, {&o.MaxBytes, 1 << 20}, {&o.MaxGroups, 32}, {&o.MaxNameBytes, 1023}, {&o.MaxCached, 4096}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// Lanes tells in which queue stanzas are delivered to an account; core/server provides the router.
type Lanes interface {
	Lane(j jid.JID) journal.Poster
}

// Module implements module.Module.
type Module struct {
	o     Options
	d     module.Deps
	lanes Lanes
	cache cache
}

// New returns the module.
func New(o Options) *Module {
	o.fill()
	return &Module{o: o}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "roster", Specs: []module.Spec{
		{ID: "RFC 6121", Version: "2011-03", Status: "partial", Note: "§2, with versioning"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.cache.init(r.Deps.Store.Roster(), m.o.MaxCached)
	r.Need(&m.lanes)
	r.Provide(m)
	r.Deps.Events.C2S.Features.On(event.Record, "roster", features)
	r.Deps.Events.Account.Deleted.On(event.After, "roster", m.deleted)
	r.Feature(module.ScopeServer, ns.Roster)
	return r.IQ(
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeGet, Space: ns.Roster, Local: "query", OwnOnly: true, Handle: m.get},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.Roster, Local: "query", OwnOnly: true, Handle: m.set},
	)
}

// features: RFC 6121 §2.6.1.
func features(_ context.Context, f *event.StreamFeatures) error {
	if !f.Stream.User.IsZero() {
		f.Features = append(f.Features, xmlstream.NewNode(ns.RosterVer, "ver"))
	}
	return nil
}

func (m *Module) deleted(_ context.Context, c *event.AccountChange) error {
	m.cache.drop(c.JID.Bare().String())
	return nil
}

// Item returns one contact of an account; one that is not there has subscription none and is not Listed.
func (m *Module) Item(ctx context.Context, owner, contact jid.JID) (storage.RosterItem, error) {
	a, err := m.cache.lock(ctx, owner.Bare().String())
	if err != nil {
		return storage.RosterItem{}, err
	}
	defer m.cache.unlock(a)
	return a.get(contact.Bare().String()), nil
}

// Items returns everything that is known of an account's contacts, also requests of people who are not Listed, in no order.
func (m *Module) Items(ctx context.Context, owner jid.JID) ([]storage.RosterItem, error) {
	a, err := m.cache.lock(ctx, owner.Bare().String())
	if err != nil {
		return nil, err
	}
	defer m.cache.unlock(a)
	out := make([]storage.RosterItem, 0, len(a.items))
	for _, it := range a.items {
		out = append(out, it)
	}
	return out, nil
}

// Subscribers returns the contacts that get the account's presence (subscription from or both). The slice is shared: it is not to be changed.
func (m *Module) Subscribers(ctx context.Context, owner jid.JID) ([]jid.JID, error) {
	a, err := m.cache.lock(ctx, owner.Bare().String())
	if err != nil {
		return nil, err
	}
	defer m.cache.unlock(a)
	return a.subscribers(), nil
}

// Subscribed tells whether a contact gets the account's presence.
func (m *Module) Subscribed(ctx context.Context, owner, contact jid.JID) (bool, error) {
	it, err := m.Item(ctx, owner, contact)
	return it.Subscription == "from" || it.Subscription == "both", err
}
