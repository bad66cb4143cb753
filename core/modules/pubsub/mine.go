package pubsub

import (
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// mySubscriptions: XEP-0060 §5.6, of all nodes or one.
func (o *op) mySubscriptions() (*xmlstream.Node, error) {
	out := xmlstream.NewNode(ns.PubSub, "subscriptions")
	if o.name != "" {
		if err := o.load(); err != nil {
			return nil, err
		}
		out.SetAttr("node", o.name)
		list, err := o.m.subs(o.ctx, o.svc, o.rec, o.from.Bare(), true)
		if err != nil {
			return nil, err
		}
		for i := range list {
			n := subscriptionNode(ns.PubSub, o.name, &list[i])
			n.DelAttr("node") // §5.6: the list says it
			out.Add(n)
		}
		return o.reply(out), nil
	}
	return o.mine(out, "s", func(key, what string) *xmlstream.Node {
		parts := strings.Split(key, sep)
		if len(parts) != 3 {
			return nil
		}
		return subscriptionNode(ns.PubSub, parts[0], &node.Subscription{JID: parts[1], ID: parts[2], State: node.State(what)})
	})
}

// myAffiliations: XEP-0060 §5.7.
func (o *op) myAffiliations() (*xmlstream.Node, error) {
	out := xmlstream.NewNode(ns.PubSub, "affiliations")
	if o.name != "" {
		if err := o.load(); err != nil {
			return nil, err
		}
		out.SetAttr("node", o.name)
		if o.rel.Affiliation != node.None {
			out.Add(xmlstream.NewNode(ns.PubSub, "affiliation", "affiliation", string(o.rel.Affiliation)))
		}
		return o.reply(out), nil
	}
	if o.svc.account && o.from.Bare() == o.svc.jid { // the account owns what it has
		rows, err := o.m.t.node.Range(o.ctx, o.svc.name, "", "", o.m.o.Nodes, false)
		if err != nil {
			return nil, fmt.Errorf("pubsub: read nodes: %w", err)
		}
		for _, r := range rows {
			out.Add(xmlstream.NewNode(ns.PubSub, "affiliation", "node", r.Key, "affiliation", string(node.Owner)))
		}
		return o.reply(out), nil
	}
	return o.mine(out, "a", func(key, what string) *xmlstream.Node {
		return xmlstream.NewNode(ns.PubSub, "affiliation", "node", key, "affiliation", what)
	})
}

// mine lists a person's rows of one kind. Rows of nodes that were deleted a moment ago are left out.
func (o *op) mine(out *xmlstream.Node, kind string, show func(key, what string) *xmlstream.Node) (*xmlstream.Node, error) {
	return o.listed(out, list{table: o.m.t.of, owner: o.svc.person(o.from), kind: kind, show: func(key string, r storage.Row) (*xmlstream.Node, error) {
		if ok, err := o.lives(key, r); err != nil || !ok {
			return nil, err
		}
		_, what := parseOf(r.Value)
		return show(key, what), nil
	}})
}

// lives tells whether a person's row is of a node that is there.
func (o *op) lives(key string, r storage.Row) (bool, error) {
	name, _, _ := strings.Cut(key, sep)
	rec, err := o.m.find(o.ctx, o.svc, name)
	if err != nil || rec == nil {
		return false, err
	}
	id, _ := parseOf(r.Value)
	return id == rec.ID, nil
}
