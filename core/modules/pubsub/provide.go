package pubsub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What other modules use; see docs/adr/0007. It is always about the nodes of an account.

// PEPItem returns one <item/> with its payload, the newest if id is "", nil if there is none.
func (m *Module) PEPItem(ctx context.Context, account jid.JID, name, id string) (*xmlstream.Node, error) {
	svc := accountService(account.Bare())
	r, err := m.find(ctx, svc, name)
	if err != nil || r == nil {
		return nil, err
	}
	if id == "" {
		id = r.Last
	}
	if id == "" {
		return nil, nil
	}
	it, err := m.item(ctx, svc, r, id)
	if err != nil || it == nil || orderKey(it.Seq) < m.expired(&r.Config) {
		return nil, err
	}
	return it.node(ns.PubSub, true, false)
}

// PEPItems returns up to limit <item/>s with their payloads, the newest first.
func (m *Module) PEPItems(ctx context.Context, account jid.JID, name string, limit int) ([]*xmlstream.Node, error) {
	svc := accountService(account.Bare())
	r, err := m.find(ctx, svc, name)
	if err != nil || r == nil {
		return nil, err
	}
	rows, err := m.t.order.Range(ctx, svc.owner(r.Gen), m.expired(&r.Config), "", limit, true)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read items: %w", err)
	}
	var out []*xmlstream.Node
	for _, row := range rows {
		it, err := m.item(ctx, svc, r, string(row.Value))
		if err != nil {
			return nil, err
		}
		if it == nil {
			continue // removed since the order was read
		}
		n, err := it.node(ns.PubSub, true, false)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// PEPPublish publishes <item/>s (in the namespace of XEP-0060) as the account. options are as in publish-options, with or without "pubsub#". done
// (may be nil) is told the outcome in the engine's queue, after the commit.
func (m *Module) PEPPublish(ctx context.Context, account jid.JID, name string, items []*xmlstream.Node, options map[string]string, done func(error)) {
	v := xmlstream.NewNode(ns.PubSub, "publish", "node", name).Add(items...)
	q := xmlstream.NewNode(ns.PubSub, "pubsub").Add(v)
	if len(options) > 0 {
		f := form.New(form.TypeSubmit, ns.PubSubPublishOptions)
		for k, val := range options {
			f.Text("pubsub#"+strings.TrimPrefix(k, "pubsub#"), val)
		}
		q.Add(xmlstream.NewNode(ns.PubSub, "publish-options").Add(f.Node()))
	}
	m.as(ctx, account, name, q, v, verb{run: (*op).publish}, done)
}

// PEPRetract deletes items as the account. One that is not there is an error.
func (m *Module) PEPRetract(ctx context.Context, account jid.JID, name string, ids []string, done func(error)) {
	v := xmlstream.NewNode(ns.PubSub, "retract", "node", name)
	for _, id := range ids {
		v.Add(xmlstream.NewNode(ns.PubSub, "item", "id", id))
	}
	m.as(ctx, account, name, xmlstream.NewNode(ns.PubSub, "pubsub").Add(v), v, verb{run: (*op).retract}, done)
}

// as carries a request of another module out. It begins in the engine's queue, so that a watcher may call it.
func (m *Module) as(ctx context.Context, account jid.JID, name string, q, at *xmlstream.Node, v verb, done func(error)) {
	account = account.Bare()
	o := &op{m: m, ctx: event.WithSession(context.WithoutCancel(ctx), nil), svc: accountService(account), from: account, name: name, query: q,
		verb: at, u: journal.NewUnit(journal.AccountLane(account.String()))}
	if done == nil {
		done = func(err error) {
			if err != nil {
				m.d.Log.Warn("a node could not be changed", "account", account.String(), "node", name, "err", err)
			}
		}
	}
	queue := m.queue(o.svc.key(name))
	queue.Post(func() {
		if !xmlName(name) {
			done(node.NodeRequired())
			return
		}
		o.start(v, func(_ *xmlstream.Node, err error) { done(err) })
	})
}

// Watcher is told of what is published to and removed from accounts' nodes, after the commit: <item/>s with payload, and ids. Both empty: the node
// was purged.
type Watcher = func(ctx context.Context, account jid.JID, node string, published []*xmlstream.Node, retracted []string)

// WatchPEP registers a watcher. It is called before the server starts; fn runs before the node's next change and must not wait.
func (m *Module) WatchPEP(fn func(ctx context.Context, account jid.JID, node string, published []*xmlstream.Node, retracted []string)) {
	m.watchers = append(m.watchers, fn)
}

// changed tells the watchers, once it is committed.
func (o *op) changed(published []*xmlstream.Node, retracted []string) {
	if !o.svc.account || len(o.m.watchers) == 0 {
		return
	}
	svc, name, watchers := o.svc, o.name, slices.Clone(o.m.watchers)
	o.after = append(o.after, func() {
		for _, fn := range watchers {
			fn(context.Background(), svc.jid, name, published, retracted)
		}
	})
}
