package c2s

import (
	"errors"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// limitsFeature announces what a stanza may cost and how long silence is taken for life (XEP-0478).
func limitsFeature(cfg Config, maxBytes int) *xmlstream.Node {
	return xmlstream.NewNode(ns.StreamLimits, "limits").Add(
		xmlstream.NewNode(ns.StreamLimits, "max-bytes").SetText(strconv.Itoa(maxBytes)),
		xmlstream.NewNode(ns.StreamLimits, "idle-seconds").SetText(strconv.Itoa(cfg.PingSeconds+cfg.PongSeconds)))
}

// earlyIQ is an iq before a resource is bound: in-band registration before the login, the binding itself after it.
func (c *client) earlyIQ(el *xmlstream.Element) error {
	st, err := stanza.FromElement(el)
	if err != nil || !st.IsRequest() {
		return errLoginFirst
	}
	if c.stage != stageBind {
		return c.preAuth(st)
	}
	bind, ok := st.Child(ns.Bind, "bind")
	if st.Type != stanza.TypeSet || !ok { // RFC 6120 §7.1
		return stream.NewError(stream.NotAuthorized, "Bind a resource first.")
	}
	resource := ""
	if n := bind.Node().Child(ns.Bind, "resource"); n != nil {
		resource = n.TextContent()
	}
	return c.bind(st, resource)
}

// bind is RFC 6120 §7.6 and §7.7.
func (c *client) bind(iq *stanza.Stanza, resource string) error {
	s, err := c.srv.o.Sessions.Bind(c.ctx, session.BindRequest{Account: c.user, Resource: resource, Link: c, ID: c.id})
	var refused *stanza.Error
	switch {
	case errors.Is(err, session.ErrStopping):
		return errStopping
	case errors.As(err, &refused):
		c.reply(iq.ErrorReply(err))
		return nil
	case err != nil:
		c.log.Error("c2s: bind resource", "error", err)
		c.reply(iq.ErrorReply(err))
		return nil
	}
	c.reply(&stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeResult, ID: iq.ID, Payload: xmlstream.NewFragment(
		xmlstream.NewNode(ns.Bind, "bind").Add(xmlstream.NewNode(ns.Bind, "jid").SetText(s.JID().String())))})
	return c.bound(s, &c.srv.o.Events.C2S.Bound)
}

// bound goes on with a session, new or resumed.
func (c *client) bound(s *session.Session, point *event.Point[event.SessionBound]) error {
	c.sess, c.stage, c.neg = s, stageBound, nil
	c.ctx = event.WithSession(c.ctx, s)
	c.rate = bucket{}
	if !c.srv.Config().Off {
		c.rate = newBucket(c.srv.Config().StanzasPerSecond, c.srv.o.Clock.Now())
	}
	c.life.in(c.srv.o.Clock, seconds(c.srv.Config().PingSeconds), c.keepAlive)
	if err := point.Fire(c.ctx, &event.SessionBound{Stream: c.info(), Session: s}); err != nil && !errors.Is(err, event.Stop) {
		c.log.Error("c2s: bound", "error", err)
		return &stream.Error{Condition: stream.InternalServerError, Cause: err}
	}
	c.out.attach(s)
	c.Wake()
	return c.relieve()
}

// reply sends a stanza of the stream's own.
func (c *client) reply(st *stanza.Stanza) {
	if st != nil {
		c.send(st.AppendTo(nil))
	}
}

// preAuth asks the modules about an iq before the login. The stream waits for what the answer needs to be durable.
func (c *client) preAuth(st *stanza.Stanza) error {
	if c.stage == stageTLS || c.domain == "" {
		return errLoginFirst
	}
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: c.domain})
	ev := event.PreAuthIQ{Stream: c.info(), IQ: st, Unit: u}
	done := make(chan error, 1)
	u.After(signal{}, func(err error) { done <- err })
	err := c.srv.o.Events.C2S.PreAuth.Decide(c.ctx, &ev)
	var refused *stanza.Error
	switch {
	case errors.As(err, &refused):
		c.reply(st.ErrorReply(refused))
		return nil
	case err != nil && !errors.Is(err, event.Stop):
		c.reply(st.ErrorReply(err))
		return nil
	case ev.Reply == nil:
		return errLoginFirst
	}
	c.srv.o.Journal.Submit(u)
	var outcome error
	select {
	case outcome = <-done:
	case <-c.ctx.Done():
		return nil
	}
	if outcome == nil {
		_ = c.srv.o.Events.C2S.PreAuth.Committed(c.ctx, &ev)
	}
	if ev.After != nil {
		ev.After(outcome)
	} else if outcome != nil {
		ev.Reply = st.ErrorReply(outcome)
	}
	c.reply(ev.Reply)
	return nil
}

// signal runs a step where it is posted: it only sends into a buffered channel.
type signal struct{}

// Post implements journal.Poster.
func (signal) Post(fn func()) { fn() }
