package pubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// partly is the outcome of a change of several entries of which some cannot be: the others are done, and these are told as they stay (XEP-0060
// §8.8.2.4, §8.9.2.4).
type partly struct {
	why  *stanza.Error
	list *xmlstream.Node // <subscriptions/> or <affiliations/> with the entries that were not changed
}

func (p *partly) Error() string { return "pubsub: not all entries were changed: " + p.why.Error() }

// Unwrap makes the error that is sent visible.
func (p *partly) Unwrap() error { return p.why }

func isPartly(err error) bool {
	var p *partly
	return errors.As(err, &p)
}

// withRest adds what was not done to an error.
func withRest(st *stanza.Stanza, o *op, err error) *stanza.Stanza {
	var p *partly
	if !errors.As(err, &p) {
		return st
	}
	return st.WithPayload(xmlstream.NewFragment(o.reply(p.list), p.why.Node()))
}

// changes are the entries of one request.
type changes struct {
	out   *xmlstream.Node
	cause *stanza.Error // why the first of those that cannot be cannot
}

// refused notes an entry that cannot be; err that is the server's fault ends the request.
func (c *changes) refused(err error, stays *xmlstream.Node) error {
	se := stanza.AsError(err)
	if se.Cause != nil || se.Condition == stanza.InternalServerError {
		return err
	}
	if c.cause == nil {
		c.cause = &stanza.Error{Condition: stanza.NotAcceptable, Text: se.Text, App: se.App}
	}
	c.out.Add(stays)
	return nil
}

func (c *changes) outcome() error {
	if c.cause == nil {
		return nil
	}
	return &partly{c.cause, c.out}
}

// entries reads those of a request; key tells two of them apart.
func (o *op) entries(local string, key func(*xmlstream.Node) string) ([]*xmlstream.Node, error) {
	var out []*xmlstream.Node
	seen := map[string]bool{}
	for e := range o.verb.Children(ns.PubSubOwner, local) {
		k := key(e)
		if seen[k] {
			return nil, stanza.NewError(stanza.BadRequest, "Two entries are about the same.")
		}
		seen[k] = true
		out = append(out, e)
	}
	switch {
	case len(out) > maxPerSet:
		return nil, stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("At most %d entries are changed at once.", maxPerSet))
	case len(out) == 0:
		return nil, stanza.NewError(stanza.BadRequest, "Nothing is to be changed.")
	}
	return out, nil
}

// bareOf is the address of an entry as far as it tells entries apart.
func bareOf(e *xmlstream.Node) string {
	j, err := jid.Parse(e.Attr("jid"))
	if err != nil {
		return e.Attr("jid")
	}
	return j.Bare().String()
}

// setSubscriptions: XEP-0060 §8.8.2.
func (o *op) setSubscriptions() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	list, err := o.entries("subscription", func(e *xmlstream.Node) string { return e.Attr("jid") + sep + e.Attr("subid") })
	if err != nil {
		return nil, err
	}
	c := changes{out: xmlstream.NewNode(ns.PubSubOwner, "subscriptions", "node", o.name)}
	for _, e := range list {
		who, err := jid.Parse(e.Attr("jid"))
		if err != nil {
			err = stanza.NewError(stanza.JIDMalformed, "An address is not valid.")
		} else {
			who = who.Clone()
			err = o.setSubscription(who, e)
		}
		if err == nil {
			continue
		}
		stays, failed := o.standing(who, e)
		if failed != nil {
			return nil, failed
		}
		if err := c.refused(err, stays); err != nil {
			return nil, err
		}
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	return nil, c.outcome()
}

// standing is a subscription as it is, for an entry that cannot be.
func (o *op) standing(who jid.JID, e *xmlstream.Node) (*xmlstream.Node, error) {
	s := node.Subscription{JID: e.Attr("jid"), ID: e.Attr("subid"), State: node.NoState}
	if !who.IsZero() {
		have, err := o.m.subs(o.ctx, o.svc, o.rec, who, false)
		if err != nil {
			return nil, err
		}
		for i := range have {
			if s.ID == "" || s.ID == have[i].ID {
				s = have[i]
				break
			}
		}
	}
	n := subscriptionNode(ns.PubSubOwner, o.name, &s)
	n.DelAttr("node")
	return n, nil
}

// setSubscription changes what an entry says: all subscriptions of an address, or the one of a subid. It changes nothing if it fails.
func (o *op) setSubscription(who jid.JID, e *xmlstream.Node) error {
	id := e.Attr("subid")
	state, ok := node.ParseState(e.Attr("subscription"))
	switch {
	case e.Attr("subscription") == "": // §8.8.2.1: it stays
		return nil
	case !ok || state == node.Unconfigured:
		return stanza.NewError(stanza.NotAcceptable, "A subscription cannot be in this state.")
	}
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
	if matched || state == node.NoState {
		return nil
	}
	return o.subscribeOther(who, id, state)
}

// subscribeOther makes a subscription for somebody by an owner's word.
func (o *op) subscribeOther(who jid.JID, id string, state node.State) error {
	a, err := o.m.affiliation(o.ctx, o.svc, o.rec, who)
	switch {
	case err != nil:
		return err
	case id != "":
		return node.Refuse(stanza.NotAcceptable, "", "invalid-subid", "There is no such subscription.")
	case a == node.Outcast || a == node.PublishOnly: // §4.1
		return stanza.NewError(stanza.NotAcceptable, "Who may not read the node cannot be subscribed.")
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

// lastItemAfter shows the last item to a subscription that has begun (XEP-0060 §6.1.7).
func (o *op) lastItemAfter(s *node.Subscription) {
	rec := o.rec
	to, err := jid.Parse(s.JID)
	if err != nil || rec.Config.SendLast == node.SendNever || rec.Config.Kind != node.Leaf {
		return
	}
	o.after = append(o.after, func() { o.m.sendLastItem(context.Background(), o.svc, rec, to) })
}
