// Package bookmarks keeps the bookmarks of rooms in step, whatever a client writes them with: one item for each room (XEP-0402), one list in
// publish-subscribe (XEP-0048), or one list in private storage (XEP-0049). That it does is what XEP-0411 and the #compat features of XEP-0402 say.
//
// What holds is the node of XEP-0402. A list in private storage is not stored: it is made of the items when it is read, and when it is written the items
// are changed to match it. The list in publish-subscribe is stored, because clients want to be notified of it; it is written again behind each change of
// the items, and what a client publishes there changes the items. What is in a list and is no room (bookmarks of web pages) is kept beside.
//
// What it is not: it has no say about the nodes themselves. A node that is open to others is not filled (XEP-0411 §6), and the write is refused.
// Notification settings (XEP-0492) and other extensions of a bookmark stay when a client writes it that does not know them.
//
// Storage: table "bookmarks", owner the account's bare JID, key "rest": what is in lists and is no room.
//
// Goroutines: that of the module's queue, which exists while there is something to do.
//
//	modules = append(modules, bookmarks.New())
package bookmarks

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	tableName = "bookmarks"
	keyRest   = "rest"
	// itemCurrent is the id of the only item of the node of XEP-0048 (§3.1).
	itemCurrent = "current"
	// maxBookmarks bounds the items that are looked at; a node holds no more (docs/adr/0007).
	maxBookmarks = 10000
	// maxAtOnce is how many items one publication or retraction may have.
	maxAtOnce = 100
)

// PEP are the nodes of accounts; core/modules/pubsub provides them.
type PEP interface {
	PEPItem(ctx context.Context, account jid.JID, node, id string) (*xmlstream.Node, error)
	PEPItems(ctx context.Context, account jid.JID, node string, limit int) ([]*xmlstream.Node, error)
	PEPPublish(ctx context.Context, account jid.JID, node string, items []*xmlstream.Node, options map[string]string, done func(error))
	PEPRetract(ctx context.Context, account jid.JID, node string, ids []string, done func(error))
	WatchPEP(fn func(ctx context.Context, account jid.JID, node string, published []*xmlstream.Node, retracted []string))
}

// Module implements module.Module. Its maps belong to the goroutine of its queue.
type Module struct {
	d     module.Deps
	table storage.Table
	pep   PEP
	q     *journal.Queue

	lists map[jid.JID]*listing // accounts whose list in publish-subscribe is being written
	own   map[jid.JID][]string // lists that this module has written there and that its watcher has not seen yet
	takes map[jid.JID][]func() // accounts whose items are being changed, with what waits for that
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New() *Module {
	return &Module{lists: map[jid.JID]*listing{}, own: map[jid.JID][]string{}, takes: map[jid.JID][]func(){}}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "bookmarks", Specs: []module.Spec{
		{ID: "XEP-0048", Version: "1.2", Status: "complete"},
		{ID: "XEP-0402", Version: "1.2.0", Status: "complete"},
		{ID: "XEP-0411", Version: "1.1.0", Status: "complete"},
		{ID: "XEP-0492", Version: "0.2.0", Status: "complete", Note: "kept in bookmarks"},
	}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.table = r.Deps.Store.Table(tableName)
	m.q = journal.NewQueue(func(v any) { m.d.Log.Error("keeping bookmarks in step panicked", "panic", fmt.Sprint(v)) })
	r.Need(&m.pep)
	r.Provide(m)
	r.Feature(module.ScopeAccount, ns.BookmarksCompat, ns.BookmarksCompatPEP, ns.BookmarksConversion)
	r.Deps.Events.Account.Deleted.On(event.Record, "bookmarks", func(_ context.Context, v *event.AccountChange) error {
		v.Unit.Add(storage.DeleteRows{Table: tableName, Owner: v.JID.Bare().String()})
		return nil
	})
	return nil
}

// Start implements module.Starter.
func (m *Module) Start(context.Context) error {
	m.pep.WatchPEP(m.changed)
	return nil
}

// Stop implements module.Starter: what is under way is finished by the engine.
func (m *Module) Stop(context.Context) error { return nil }

// changed is told of every change of a node of an account.
func (m *Module) changed(_ context.Context, account jid.JID, node string, published []*xmlstream.Node, _ []string) {
	switch node {
	case ns.Bookmarks:
		m.q.Post(func() { m.writeList(account) })
	case ns.BookmarksStorage:
		if len(published) == 0 {
			return
		}
		s := published[0].Child(ns.BookmarksStorage, "storage")
		if s == nil {
			return
		}
		m.q.Post(func() { m.listPublished(account, s) })
	}
}

// KeepsPrivate implements what private storage asks (XEP-0048 §3).
func (*Module) KeepsPrivate(name xmlstream.Name) bool {
	return name == xmlstream.Name{Space: ns.BookmarksStorage, Local: "storage"}
}

// ReadPrivate makes the list of the items.
func (m *Module) ReadPrivate(ctx context.Context, account jid.JID, _ xmlstream.Name) (*xmlstream.Node, error) {
	return m.list(ctx, account)
}

// WritePrivate changes the items to match a list.
func (m *Module) WritePrivate(_ context.Context, account jid.JID, n *xmlstream.Node, done func(error)) {
	m.q.Post(func() { m.take(account, n, done) })
}

// list makes the list of XEP-0048.
func (m *Module) list(ctx context.Context, account jid.JID) (*xmlstream.Node, error) {
	items, err := m.pep.PEPItems(ctx, account, ns.Bookmarks, maxBookmarks)
	if err != nil {
		return nil, fmt.Errorf("bookmarks: read: %w", err)
	}
	rest, err := m.rest(ctx, account)
	if err != nil {
		return nil, err
	}
	return writeStorage(readItems(items), rest), nil
}

// rest reads what is in lists and is no room.
func (m *Module) rest(ctx context.Context, account jid.JID) ([]*xmlstream.Node, error) {
	b, err := m.table.Get(ctx, account.String(), keyRest)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bookmarks: read: %w", err)
	}
	f, err := xmlstream.ParseFragment(b)
	if err != nil {
		return nil, fmt.Errorf("bookmarks: read: %w", err)
	}
	return f.Nodes(), nil
}

// putRest adds the row of it, if it has changed.
func (m *Module) putRest(ctx context.Context, u *journal.Unit, account jid.JID, rest []*xmlstream.Node) error {
	old, err := m.rest(ctx, account)
	if err != nil {
		return err
	}
	now := xmlstream.NewFragment(rest...)
	switch {
	case now.String() == xmlstream.NewFragment(old...).String():
	case len(rest) == 0:
		u.Add(storage.DeleteRow{Table: tableName, Owner: account.String(), Key: keyRest})
	default:
		u.Add(storage.PutRow{Table: tableName, Owner: account.String(), Key: keyRest, Value: append([]byte(nil), now.Bytes()...)})
	}
	return nil
}
