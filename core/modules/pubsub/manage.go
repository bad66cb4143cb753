package pubsub

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// listed writes a page of a node's list (XEP-0060 §8.8.1, §8.9.1; XEP-0059).
func (o *op) listed(out *xmlstream.Node, table storage.Table, show func(storage.Row) (*xmlstream.Node, error)) (*xmlstream.Node, error) {
	req, err := rsm.Parse(o.query)
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The page that is asked for cannot be understood.")
	}
	from := ""
	if req.After != "" {
		from = req.After + "\x01"
	}
	limit := req.Limit(maxPage)
	rows, err := table.Range(o.ctx, o.svc.owner(o.rec.ID), from, "", limit+1, false)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read list: %w", err)
	}
	more := len(rows) > limit
	rows = rows[:min(limit, len(rows))]
	res := rsm.Result{Index: -1, Count: -1}
	for i, r := range rows {
		if i == 0 {
			res.First = r.Key
		}
		res.Last = r.Key
		n, err := show(r)
		if err != nil {
			return nil, err
		}
		out.Add(n)
	}
	reply := o.reply(out)
	if req.Given || more {
		reply.Add(res.Node())
	}
	return reply, nil
}

// listSubscriptions: XEP-0060 §8.8.1.
func (o *op) listSubscriptions() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	return o.listed(xmlstream.NewNode(ns.PubSubOwner, "subscriptions", "node", o.name), o.m.t.sub, func(r storage.Row) (*xmlstream.Node, error) {
		s, err := decodeSub(r)
		n := subscriptionNode(ns.PubSubOwner, o.name, &s)
		n.DelAttr("node")
		return n, err
	})
}

// listAffiliations: XEP-0060 §8.9.1.
func (o *op) listAffiliations() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSubOwner, "affiliations", "node", o.name)
	if o.svc.account {
		out.Add(xmlstream.NewNode(ns.PubSubOwner, "affiliation", "jid", o.svc.name, "affiliation", string(node.Owner)))
	}
	return o.listed(out, o.m.t.affil, func(r storage.Row) (*xmlstream.Node, error) {
		return xmlstream.NewNode(ns.PubSubOwner, "affiliation", "jid", r.Key, "affiliation", string(r.Value)), nil
	})
}

// entry reads the address of one entry of a change.
func entry(n *xmlstream.Node) (jid.JID, error) {
	j, err := jid.Parse(n.Attr("jid"))
	if err != nil {
		return jid.JID{}, stanza.NewError(stanza.JIDMalformed, "An address is not valid.")
	}
	return j.Clone(), nil
}

// setSubscriptions: XEP-0060 §8.8.2. All entries or none (§8.8.2.4).
func (o *op) setSubscriptions() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	n := 0
	for e := range o.verb.Children(ns.PubSubOwner, "subscription") {
		if n++; n > maxPerSet {
			return nil, stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("At most %d entries are changed at once.", maxPerSet))
		}
		who, err := entry(e)
		if err != nil {
			return nil, err
		}
		state, ok := node.ParseState(e.Attr("subscription"))
		if !ok || state == node.Unconfigured {
			return nil, stanza.NewError(stanza.NotAcceptable, "A subscription cannot be in this state.")
		}
		if err := o.setSubscription(who, e.Attr("subid"), state); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, stanza.NewError(stanza.BadRequest, "Nothing is to be changed.")
	}
	return nil, o.save()
}

func (o *op) setSubscription(who jid.JID, id string, state node.State) error {
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, false)
	if err != nil {
		return err
	}
	matched := false
	for i := range list {
		s := &list[i]
		if id != "" && s.ID != id {
			continue
		}
		matched = true
		if s.State == state {
			continue
		}
		if s.State = state; state == node.NoState {
			o.dropSub(s)
		} else if err := o.putSub(s, false); err != nil {
			return err
		}
		o.tellSubscriber(s)
	}
	switch {
	case matched || state == node.NoState:
		return nil
	case id != "":
		return node.Refuse(stanza.NotAcceptable, "", "invalid-subid", "There is no such subscription.")
	case o.rec.Subs >= o.m.o.Subscribers:
		return node.Refuse(stanza.PolicyViolation, "wait", "too-many-subscriptions", "The node has as many subscriptions as it may.")
	}
	if id, err = o.m.newID(); err != nil {
		return err
	}
	s := node.NewSubscription(who.String(), id, state)
	o.tellSubscriber(&s)
	return o.putSub(&s, true)
}

// tellSubscriber: XEP-0060 §8.8.4, §12.19.
func (o *op) tellSubscriber(s *node.Subscription) {
	ev := wrap(subscriptionNode(ns.PubSubEvent, o.name, s))
	typ := o.rec.Config.Message
	j, err := jid.Parse(s.JID)
	if err != nil {
		return
	}
	o.after = append(o.after, func() { o.m.message(context.Background(), o.svc, typ, j, ev) })
}

// setAffiliations: XEP-0060 §8.9.2. All entries or none.
func (o *op) setAffiliations() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	n := 0
	next := map[jid.JID]node.Affiliation{}
	for e := range o.verb.Children(ns.PubSubOwner, "affiliation") {
		if n++; n > maxPerSet {
			return nil, stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("At most %d entries are changed at once.", maxPerSet))
		}
		who, err := entry(e)
		if err != nil {
			return nil, err
		}
		a, ok := node.ParseAffiliation(e.Attr("affiliation"))
		if !ok {
			return nil, stanza.NewError(stanza.NotAcceptable, "There is no such affiliation.")
		}
		who = who.Bare()
		if o.svc.account && (who == o.svc.jid || a == node.Owner) {
			return nil, stanza.NewError(stanza.NotAcceptable, "A node of an account belongs to the account.")
		}
		next[who] = a
		if err := o.setAffiliation(who, a); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, stanza.NewError(stanza.BadRequest, "Nothing is to be changed.")
	}
	if err := o.keepsOwner(next); err != nil {
		return nil, err
	}
	return nil, o.save()
}

func (o *op) setAffiliation(who jid.JID, a node.Affiliation) error {
	o.affiliate(who, a)
	ev := xmlstream.NewNode(ns.PubSub, "pubsub").Add(xmlstream.NewNode(ns.PubSub, "affiliations", "node", o.name).
		Add(xmlstream.NewNode(ns.PubSub, "affiliation", "jid", who.String(), "affiliation", string(a))))
	typ := o.rec.Config.Message
	o.after = append(o.after, func() { o.m.message(context.Background(), o.svc, typ, who, ev) }) // §8.9.4
	if a != node.Outcast && a != node.PublishOnly && (a != node.None || o.rec.Config.Access != node.Whitelist) {
		return nil
	}
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, true)
	if err != nil {
		return err
	}
	for i := range list { // §4.1: who may not read is not subscribed
		list[i].State = node.NoState
		o.dropSub(&list[i])
		o.tellSubscriber(&list[i])
	}
	return nil
}

// keepsOwner: XEP-0060 §8.9.2.4: a node has an owner.
func (o *op) keepsOwner(next map[jid.JID]node.Affiliation) error {
	if o.svc.account {
		return nil
	}
	for _, a := range next {
		if a == node.Owner {
			return nil
		}
	}
	for _, owner := range o.m.owners(o.ctx, o.svc, o.rec) {
		if _, changed := next[owner]; !changed {
			return nil
		}
	}
	return stanza.NewError(stanza.NotAcceptable, "A node has at least one owner.")
}

// owners lists a node's owners, as far as a page of its list shows them.
func (m *Module) owners(ctx context.Context, svc *service, r *record) []jid.JID {
	if svc.account {
		return []jid.JID{svc.jid}
	}
	var out []jid.JID
	from := ""
	for {
		rows, err := m.t.affil.Range(ctx, svc.owner(r.ID), from, "", maxPage, false)
		if err != nil {
			m.d.Log.Error("the owners of a node cannot be read", "service", svc.name, "node", r.Name, "err", err)
			return out
		}
		for _, row := range rows {
			if node.Affiliation(row.Value) != node.Owner {
				continue
			}
			if j, err := jid.Parse(row.Key); err == nil {
				out = append(out, j)
			}
		}
		if len(rows) < maxPage || len(out) >= maxPerSet {
			return out
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
}
