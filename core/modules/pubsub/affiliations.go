package pubsub

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// setAffiliations: XEP-0060 §8.9.2.
func (o *op) setAffiliations() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	list, err := o.entries("affiliation", bareOf) // §8.9.2.4: not two of one entity
	if err != nil {
		return nil, err
	}
	stays, err := o.needsOwner(list)
	if err != nil {
		return nil, err
	}
	c := changes{out: xmlstream.NewNode(ns.PubSubOwner, "affiliations", "node", o.name)}
	for _, e := range list {
		was := node.None
		who, err := jid.Parse(e.Attr("jid"))
		if err != nil {
			err = stanza.NewError(stanza.JIDMalformed, "An address is not valid.")
		} else {
			who = who.Bare().Clone()
			if was, err = o.m.affiliation(o.ctx, o.svc, o.rec, who); err != nil {
				return nil, err
			}
			err = o.setAffiliation(who, was, e.Attr("affiliation"), stays)
		}
		if err == nil {
			continue
		}
		if err := c.refused(err, affiliationNode(e.Attr("jid"), was)); err != nil {
			return nil, err
		}
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	return nil, c.outcome()
}

// needsOwner tells whether the entries would leave the node without an owner: then no owner's entry is done (§8.9.2.4).
func (o *op) needsOwner(list []*xmlstream.Node) (bool, error) {
	if o.svc.account {
		return false, nil
	}
	next := map[string]bool{}
	for _, e := range list {
		a, ok := node.ParseAffiliation(e.Attr("affiliation"))
		if ok && a == node.Owner {
			if _, err := jid.Parse(e.Attr("jid")); err == nil {
				return false, nil
			}
		}
		if ok {
			next[bareOf(e)] = true
		}
	}
	for _, owner := range o.m.owners(o.ctx, o.svc, o.rec) {
		if !next[owner.String()] {
			return false, nil
		}
	}
	return true, nil
}

// setAffiliation changes what an entry says, and what follows for the person's subscriptions. It changes nothing if it fails.
func (o *op) setAffiliation(who jid.JID, was node.Affiliation, want string, needOwner bool) error {
	a, ok := node.ParseAffiliation(want)
	switch {
	case !ok:
		return stanza.NewError(stanza.NotAcceptable, "There is no such affiliation.")
	case o.svc.account && (who == o.svc.jid || a == node.Owner):
		return stanza.NewError(stanza.NotAcceptable, "A node of an account belongs to the account.")
	case needOwner && was == node.Owner:
		return stanza.NewError(stanza.NotAcceptable, "A node has at least one owner.")
	}
	ends := a == node.Outcast || a == node.PublishOnly || a == node.None && o.rec.Config.Access == node.Whitelist
	if a == was && !ends {
		return nil
	}
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, true)
	if err != nil {
		return err
	}
	o.affiliate(who, a)
	ev := xmlstream.NewNode(ns.PubSub, "pubsub").Add(xmlstream.NewNode(ns.PubSub, "affiliations", "node", o.name).
		Add(xmlstream.NewNode(ns.PubSub, "affiliation", "jid", who.String(), "affiliation", string(a))))
	typ := o.rec.Config.Message
	o.after = append(o.after, func() { o.m.message(context.Background(), o.svc, typ, who, ev) }) // §8.9.4
	for i := range list {
		s := &list[i]
		switch {
		case ends: // §4.1: who may not read is not subscribed, and does not wait for it (§8.7.4)
			s.State = node.NoState
			o.dropSub(s)
		case s.State == node.Pending && a != node.None: // §8.7.4: who is on the list needs no approval
			s.State = node.Subscribed
			if err := o.putSub(s, false); err != nil {
				return err
			}
			o.lastItemAfter(s)
		default:
			continue
		}
		o.tellSubscriber(s)
	}
	return nil
}
