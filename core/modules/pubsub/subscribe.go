package pubsub

import (
	"context"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// maxPerJID is how many subscriptions one address may have to one node.
const maxPerJID = 20

// subscriber reads the jid of a request. Only one's own addresses may be named (XEP-0060 §6.1.3.1).
func (o *op) subscriber() (jid.JID, error) {
	s := o.verb.Attr("jid")
	if s == "" {
		return jid.JID{}, node.Refuse(stanza.BadRequest, "", "jid-required", "The request names no subscriber.")
	}
	j, err := jid.Parse(s)
	if err != nil {
		return jid.JID{}, stanza.NewError(stanza.JIDMalformed, "The subscriber's address is not valid.")
	}
	return j.Clone(), nil
}

func subscriptionNode(space, name string, s *node.Subscription) *xmlstream.Node {
	n := xmlstream.NewNode(space, "subscription")
	if name != "" { // the root has none (XEP-0248 §8.1)
		n.SetAttr("node", name)
	}
	n.SetAttr("jid", s.JID).SetAttr("subscription", string(s.State))
	if s.ID != "" {
		n.SetAttr("subid", s.ID)
	}
	return n
}

// subscribe: XEP-0060 §6.1.
func (o *op) subscribe() (*xmlstream.Node, error) {
	who, err := o.subscriber()
	if err != nil {
		return nil, err
	}
	if who.Bare() != o.from.Bare() {
		return nil, node.Refuse(stanza.BadRequest, "", "invalid-jid", "One subscribes oneself.")
	}
	if err := o.load(); err != nil {
		return nil, o.elsewhere(err)
	}
	pending, err := o.rec.Config.MaySubscribe(o.rel)
	if err != nil {
		return nil, o.hidden(err)
	}
	f, err := submitted(o.query.Child(ns.PubSub, "options"), ns.PubSubSubscribeOptions)
	if err != nil {
		return nil, err
	}
	have, err := o.m.subs(o.ctx, o.svc, o.rec, who, false)
	if err != nil {
		return nil, err
	}
	for i := range have {
		switch {
		case have[i].State == node.Pending: // §6.1.3.7
			return nil, node.Refuse(stanza.NotAuthorized, "", "pending-subscription", "An owner has not decided yet.")
		case f == nil: // asked for again: it is there
			return o.reply(subscriptionNode(ns.PubSub, o.name, &have[i])), nil
		}
	}
	id, err := o.m.newID()
	if err != nil {
		return nil, err
	}
	sub := node.NewSubscription(who.String(), id, node.Subscribed)
	if pending {
		sub.State = node.Pending
	}
	if f != nil { // §6.3.7
		if err := sub.Submit(f, o.m.d.Clock.Now()); err != nil {
			return nil, err
		}
	}
	o.temporary(&sub)
	if o.rec.Config.Kind == node.Collection && slices.ContainsFunc(have, func(h node.Subscription) bool { return h.Overlaps(&sub) }) {
		return nil, stanza.NewError(stanza.Conflict, "There is a subscription for this already.") // XEP-0248 §6.1.3
	}
	if err := o.roomForSub(len(have)); err != nil {
		return nil, err
	}
	if err := o.putSub(&sub, true); err != nil {
		return nil, err
	}
	o.subscribedAfter(who, sub)
	return o.reply(subscriptionNode(ns.PubSub, o.name, &sub)), o.save()
}

// subscribedAfter is what a new subscription brings about: the last item (§6.1.7), a question to the owners (§6.1.4), or word to them (notify_sub).
func (o *op) subscribedAfter(who jid.JID, sub node.Subscription) {
	rec := o.rec
	switch {
	case sub.State == node.Pending:
		o.after = append(o.after, func() { o.m.askOwners(context.Background(), o.svc, rec, &sub, jid.JID{}) })
	case rec.Config.SendLast != node.SendNever && rec.Config.Kind == node.Leaf:
		o.after = append(o.after, func() { o.m.sendLastItem(context.Background(), o.svc, rec, who) })
	}
	o.tellOwners(&sub)
}

func (o *op) tellOwners(sub *node.Subscription) {
	if !o.rec.Config.NotifySub {
		return
	}
	rec, ev := o.rec, subscriptionNode(ns.PubSubEvent, o.name, sub)
	o.after = append(o.after, func() {
		ctx := context.Background()
		for _, owner := range o.m.owners(ctx, o.svc, rec) {
			o.m.message(ctx, o.svc, rec.Config.Message, owner, wrap(ev))
		}
	})
}

// roomForSub bounds subscriptions (XEP-0060 §6.1.3.9, attacks row 29).
func (o *op) roomForSub(have int) error {
	rows, err := o.m.t.of.Range(o.ctx, o.svc.person(o.from), "s"+sep, "s"+sepAfter, o.m.o.Subscriptions, false)
	if err != nil {
		return fmt.Errorf("pubsub: count subscriptions: %w", err)
	}
	if have >= maxPerJID || len(rows) >= o.m.o.Subscriptions || o.rec.Subs >= o.m.o.Subscribers {
		return node.Refuse(stanza.PolicyViolation, "wait", "too-many-subscriptions", "There are too many subscriptions already.")
	}
	return nil
}

// putSub adds the rows of a subscription, seen from both sides.
func (o *op) putSub(s *node.Subscription, created bool) error {
	b, err := s.Encode()
	if err != nil {
		return err
	}
	j, err := jid.Parse(s.JID)
	if err != nil {
		return fmt.Errorf("pubsub: subscription: %w", err)
	}
	o.u.Add(storage.PutRow{Table: tableSub, Owner: o.svc.owner(o.rec.ID), Key: subKey(s.JID, s.ID), Value: b},
		storage.PutRow{Table: tableOf, Owner: o.svc.person(j), Key: ofSub(o.name, s.JID, s.ID), Value: ofValue(o.rec.ID, string(s.State))})
	o.putLease(s)
	if created {
		o.listWhere(j)
		o.rec.Subs++
		o.watch(s)
	}
	return nil
}

// temporary makes a subscription as the node wants it (XEP-0060 §12.5).
func (o *op) temporary(s *node.Subscription) {
	if o.rec.Config.Temporary {
		s.Temp, s.Until = true, 0
	}
}

// watch asks for the presence of a subscriber elsewhere if it matters (§12.6).
func (o *op) watch(s *node.Subscription) {
	if j, err := jid.Parse(s.JID); err == nil && (o.rec.Config.Present || s.Temp || len(s.Shows) > 0) {
		o.after = append(o.after, func() { o.m.askPresence(context.Background(), o.svc, j) })
	}
}

func (o *op) dropSub(s *node.Subscription) {
	o.u.Add(storage.DeleteRow{Table: tableSub, Owner: o.svc.owner(o.rec.ID), Key: subKey(s.JID, s.ID)})
	if j, err := jid.Parse(s.JID); err == nil {
		o.u.Add(storage.DeleteRow{Table: tableOf, Owner: o.svc.person(j), Key: ofSub(o.name, s.JID, s.ID)})
	}
	o.dropLease(s)
	o.rec.Subs = max(0, o.rec.Subs-1)
}

// pick finds the subscription that a request is about (XEP-0060 §6.2.3, §6.3.4).
func (o *op) pick(missing error) (*node.Subscription, error) {
	who, err := o.subscriber()
	if err != nil {
		return nil, err
	}
	if who.Bare() != o.from.Bare() && o.rel.Affiliation != node.Owner { // §6.2.3.3, §6.3.4.1
		return nil, node.Forbidden("This is somebody else's subscription.")
	}
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, false)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, missing
	}
	id := o.verb.Attr("subid")
	if id == "" {
		if len(list) > 1 {
			return nil, node.Refuse(stanza.BadRequest, "", "subid-required", "There are several; say which.")
		}
		return &list[0], nil
	}
	i := slices.IndexFunc(list, func(s node.Subscription) bool { return s.ID == id })
	if i < 0 {
		return nil, node.Refuse(stanza.NotAcceptable, "", "invalid-subid", "There is no such subscription.")
	}
	return &list[i], nil
}

// unsubscribe: XEP-0060 §6.2.
func (o *op) unsubscribe() (*xmlstream.Node, error) {
	if err := o.load(); err != nil {
		return nil, err
	}
	s, err := o.pick(node.Refuse(stanza.UnexpectedRequest, "cancel", "not-subscribed", "You are not subscribed.")) // §6.2.3.2
	if err != nil {
		return nil, err
	}
	o.dropSub(s)
	s.State = node.NoState
	o.tellOwners(s)
	return o.reply(subscriptionNode(ns.PubSub, o.name, s)), o.save()
}

// getOptions: XEP-0060 §6.3.2, §6.3.3.
func (o *op) getOptions() (*xmlstream.Node, error) {
	s, err := o.optionsOf()
	if err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSub, "options")
	if o.name != "" {
		out.SetAttr("node", o.name)
	}
	out.SetAttr("jid", s.JID).SetAttr("subid", s.ID)
	return o.reply(out.Add(s.Form(o.rec.Config.Kind == node.Collection).Node())), nil
}

func (o *op) optionsOf() (*node.Subscription, error) {
	if err := o.load(); err != nil {
		return nil, err
	}
	return o.pick(node.Refuse(stanza.UnexpectedRequest, "modify", "not-subscribed", "There is no such subscription.")) // §6.3.4.2
}

// setOptions: XEP-0060 §6.3.5, §6.3.6.
func (o *op) setOptions() (*xmlstream.Node, error) {
	s, err := o.optionsOf()
	if err != nil {
		return nil, err
	}
	f, err := submitted(o.verb, ns.PubSubSubscribeOptions)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, node.InvalidOptions("There is no form.")
	}
	o.dropLease(s)
	if err := s.Submit(f, o.m.d.Clock.Now()); err != nil {
		return nil, err
	}
	o.temporary(s)
	o.watch(s)
	return nil, o.putSub(s, false)
}

// defaultOptions: XEP-0060 §6.4.
func (o *op) defaultOptions() (*xmlstream.Node, error) {
	out, collection := xmlstream.NewNode(ns.PubSub, "default"), false
	if o.name != "" {
		if err := o.load(); err != nil {
			return nil, err
		}
		out.SetAttr("node", o.name)
		collection = o.rec.Config.Kind == node.Collection
	}
	s := node.NewSubscription("", "", node.Subscribed)
	return o.reply(out.Add(s.Form(collection).Node())), nil
}
