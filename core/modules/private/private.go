// Package private keeps whatever XML a client wants to keep (XEP-0049), one row for each element name.
//
// What it is not: publish-subscribe (XEP-0223), which is where clients of today keep such things. Elements that are kept there too, such as bookmarks,
// are read and written by who keeps both in step ([Keeper]).
//
// Storage: table "private", owner the account's bare JID, key "{namespace}name", value the canonical bytes of the element. The rows go with the
// account.
//
// Writes of one account are done one after the other, each on what the one before has stored, so that requests sent in one go do not pass the bound of
// elements together; those of different accounts do not wait for each other.
//
// Goroutines: that of a queue in which writes that had to wait, or go through a Keeper, go on, while there are any.
//
//	modules = append(modules, private.New(private.Options{}))
package private

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const tableName = "private"

// Keeper keeps an element in another place too, and decides what is read and what a write does. core/modules/bookmarks provides one.
type Keeper interface {
	// KeepsPrivate tells whether the element is its.
	KeepsPrivate(name xmlstream.Name) bool
	// ReadPrivate returns the element, nil if there is none.
	ReadPrivate(ctx context.Context, account jid.JID, name xmlstream.Name) (*xmlstream.Node, error)
	// WritePrivate replaces it; done is told once it is durable, from any goroutine.
	WritePrivate(ctx context.Context, account jid.JID, n *xmlstream.Node, done func(error))
}

// Options of the module.
type Options struct {
	MaxBytes    int // of all elements of one request; 0: 128 KiB
	MaxElements int // of one account; 0: 200
}

// Module implements module.Module.
type Module struct {
	o      Options
	d      module.Deps
	table  storage.Table
	keeper Keeper // nil: nobody
	q      *journal.Queue

	mu      sync.Mutex           // nothing else is locked under it
	writing map[jid.JID][]func() // accounts with a write under way, and what waits for it
}

// New returns the module.
func New(o Options) *Module {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 128 << 10
	}
	if o.MaxElements <= 0 {
		o.MaxElements = 200
	}
	return &Module{o: o, writing: map[jid.JID][]func(){}}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "private", Specs: []module.Spec{{ID: "XEP-0049", Version: "1.2", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.table = r.Deps.Store.Table(tableName)
	m.q = journal.NewQueue(func(v any) { m.d.Log.Error("a write of private data panicked", "panic", fmt.Sprint(v)) })
	r.Want(&m.keeper)
	r.Feature(module.ScopeServer, ns.Private)
	r.Feature(module.ScopeAccount, ns.Private)
	r.Deps.Events.Account.Deleted.On(event.Record, "private", func(_ context.Context, v *event.AccountChange) error {
		v.Unit.Add(storage.DeleteRows{Table: tableName, Owner: v.JID.Bare().String()})
		return nil
	})
	return r.IQ(
		// §2.3: data of another account is forbidden.
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeGet, Space: ns.Private, Local: "query", OwnOnly: true, Handle: m.get},
		module.IQRoute{Scope: module.ScopeAccount, Type: stanza.TypeSet, Space: ns.Private, Local: "query", OwnOnly: true, Handle: m.set},
	)
}

func key(n xmlstream.Name) string { return "{" + n.Space + "}" + n.Local }

// elements reads the children of a request, each in a namespace of its own (§2.3).
func elements(req *module.Request) ([]*xmlstream.Node, error) {
	var out []*xmlstream.Node
	for c := range req.Query.Node().Elements() {
		if c.Name.Space == "" || c.Name.Space == ns.Private || c.Name.Space == ns.Client {
			return nil, stanza.NewError(stanza.NotAcceptable, "An element to keep has a namespace of its own.")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, stanza.NewError(stanza.NotAcceptable, "The request names no element.")
	}
	return out, nil
}

// get: §2.3. An element that was never kept is answered as it was asked for, empty.
func (m *Module) get(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	list, err := elements(req)
	if err != nil {
		return nil, err
	}
	if len(list) > 1 {
		return nil, stanza.NewError(stanza.NotAcceptable, "One element can be asked for at a time.")
	}
	account := req.Target().Bare()
	n, err := m.read(ctx, account, list[0].Name)
	if err != nil {
		return nil, err
	}
	if n == nil {
		n = xmlstream.NewNode(list[0].Name.Space, list[0].Name.Local)
	}
	return xmlstream.NewNode(ns.Private, "query").Add(n), nil
}

func (m *Module) read(ctx context.Context, account jid.JID, name xmlstream.Name) (*xmlstream.Node, error) {
	if m.keeper != nil && m.keeper.KeepsPrivate(name) {
		return m.keeper.ReadPrivate(ctx, account, name)
	}
	b, err := m.table.Get(ctx, account.String(), key(name))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("private: read: %w", err)
	}
	f, err := xmlstream.ParseFragment(b)
	if err != nil || f.NumChildren() != 1 {
		return nil, fmt.Errorf("private: read: %d elements: %w", f.NumChildren(), err)
	}
	return f.At(0).Node(), nil
}
