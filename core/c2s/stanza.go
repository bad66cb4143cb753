package c2s

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// stanza handles a stanza of a bound client.
func (c *client) stanza(el *xmlstream.Element) error {
	st, err := stanza.FromElement(el)
	if errors.Is(err, stanza.ErrNoStanza) { // RFC 6120 §4.9.3.24
		return stream.NewError(stream.UnsupportedStanzaType, "Only message, presence and iq are stanzas.")
	}
	if e := c.stamp(st, el); e != nil {
		return e
	}
	c.pace()
	c.srv.stats.stanzas.Add(1)
	in, ok := c.sess.Begin(c)
	if !ok { // resumed elsewhere, or over: what comes here is not received any more
		return nil
	}
	defer c.sess.Routed(in)
	if err == nil && st.Kind == stanza.IQ && st.Type == stanza.TypeSet {
		if reply := ownIQ(st); reply != nil {
			c.answer(in, reply)
			return nil
		}
	}
	ev, before := event.Inbound{Session: c.sess, Stanza: st, Unit: in.Unit}, in.Unit.Mark()
	if err == nil {
		err = c.srv.o.Events.C2S.Inbound.Decide(c.ctx, &ev)
	}
	if err == nil {
		c.srv.o.Router.Route(c.ctx, in.Unit, ev.Stanza)
		return nil
	}
	in.Unit.Back(before)
	var reply *stanza.Stanza
	if !errors.Is(err, event.Stop) {
		if se := stanza.AsError(err); se.Cause != nil {
			c.log.Warn("c2s: stanza refused", "condition", string(se.Condition), "error", err)
		}
		reply = ev.Stanza.ErrorReply(err)
	}
	c.answer(in, reply)
	return nil
}

// answer ends a stanza here: reply (nil: none) goes back in its place.
func (c *client) answer(in session.Inbound, reply *stanza.Stanza) {
	if s := c.sess; reply != nil {
		in.Unit.After(s.Queue(), func(error) { s.Send(reply) })
	}
	c.srv.o.Journal.Submit(in.Unit)
}

// ownIQ answers the requests of a bound client that are about its stream: a session (RFC 3921 §3), which it has, and another resource.
func ownIQ(st *stanza.Stanza) *stanza.Stanza {
	if st.To.HasLocal() {
		return nil
	}
	q, ok := st.Query()
	switch {
	case !ok:
	case q.Is(ns.Session, "session"):
		return st.Result()
	case q.Is(ns.Bind, "bind"):
		return st.ErrorReply(stanza.NewError(stanza.NotAllowed, "A stream has one resource."))
	}
	return nil
}

// stamp sets "from" (RFC 6120 §8.1.2.1) and the language of the stream (§8.1.5). A "from" of somebody else ends the stream.
func (c *client) stamp(st *stanza.Stanza, el *xmlstream.Element) error {
	me := c.sess.JID()
	if from, ok := el.AttrOK("from"); ok && (st.From.IsZero() || st.From != me && st.From != me.Bare()) {
		return &stream.Error{Condition: stream.InvalidFrom, Text: "The address in \"from\" is not yours.", Cause: errors.New(from)}
	}
	st.From = me
	if st.Lang == "" {
		st.Lang = c.lang
	}
	return nil
}
