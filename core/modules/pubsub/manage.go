package pubsub

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// listSubscriptions: XEP-0060 §8.8.1.
func (o *op) listSubscriptions() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSubOwner, "subscriptions", "node", o.name)
	return o.listed(out, list{table: o.m.t.sub, owner: o.svc.owner(o.rec.ID), show: func(_ string, r storage.Row) (*xmlstream.Node, error) {
		s, err := decodeSub(r)
		if err == nil && s.Over(o.m.d.Clock.Now()) {
			return nil, nil
		}
		n := subscriptionNode(ns.PubSubOwner, o.name, &s)
		n.DelAttr("node")
		return n, err
	}})
}

// listAffiliations: XEP-0060 §8.9.1.
func (o *op) listAffiliations() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSubOwner, "affiliations", "node", o.name)
	if o.svc.account {
		out.Add(affiliationNode(o.svc.name, node.Owner))
	}
	return o.listed(out, list{table: o.m.t.affil, owner: o.svc.owner(o.rec.ID), show: func(key string, r storage.Row) (*xmlstream.Node, error) {
		return affiliationNode(key, node.Affiliation(r.Value)), nil
	}})
}

func affiliationNode(who string, a node.Affiliation) *xmlstream.Node {
	return xmlstream.NewNode(ns.PubSubOwner, "affiliation", "jid", who, "affiliation", string(a))
}

// tellSubscriber: XEP-0060 §8.8.4, §12.14.
func (o *op) tellSubscriber(s *node.Subscription) {
	ev := wrap(subscriptionNode(ns.PubSubEvent, o.name, s))
	typ := o.rec.Config.Message
	j, err := jid.Parse(s.JID)
	if err != nil {
		return
	}
	o.after = append(o.after, func() { o.m.message(context.Background(), o.svc, typ, j, ev) })
}

// owners lists a node's owners, as far as a page of its list shows them.
func (m *Module) owners(ctx context.Context, svc *service, r *record) []jid.JID {
	if svc.account {
		return []jid.JID{svc.jid}
	}
	out, err := m.affiliated(ctx, svc, r, node.Owner)
	if err != nil {
		m.d.Log.Error("the owners of a node cannot be read", "service", svc.name, "node", r.Name, "err", err)
	}
	return out
}

// affiliated lists those who have an affiliation with a node, up to a bound.
func (m *Module) affiliated(ctx context.Context, svc *service, r *record, a node.Affiliation) ([]jid.JID, error) {
	var out []jid.JID
	from := ""
	for {
		rows, err := m.t.affil.Range(ctx, svc.owner(r.ID), from, "", maxPage, false)
		if err != nil {
			return out, fmt.Errorf("pubsub: read affiliations: %w", err)
		}
		for _, row := range rows {
			if node.Affiliation(row.Value) != a {
				continue
			}
			if j, err := jid.Parse(row.Key); err == nil {
				out = append(out, j)
			}
		}
		if len(rows) < maxPage || len(out) >= maxPerSet {
			return out, nil
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
}
