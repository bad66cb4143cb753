package c2s

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// step is one element of the negotiation: who handles it in the stages in which it may come, and what it gets in the others (nil: a stream error).
type step struct {
	stages    stage
	handle    func(*client, *xmlstream.Element) error
	otherwise func(*client, *xmlstream.Element) error
}

// elements is the table of negotiation. The stanzas of a bound client do not go through it.
func elements() map[xmlstream.Name]step {
	return map[xmlstream.Name]step{
		{Space: ns.TLS, Local: "starttls"}:  {stageTLS, (*client).startTLS, (*client).tlsFailure},
		{Space: ns.SASL, Local: "auth"}:     {unauthenticated, (*client).saslAuth, nil},
		{Space: ns.SASL, Local: "response"}: {unauthenticated, (*client).saslResponse, nil},
		{Space: ns.SASL, Local: "abort"}:    {unauthenticated, (*client).saslAbort, nil},
		{Space: ns.Client, Local: "iq"}:     {unauthenticated | stageBind, (*client).earlyIQ, nil},
		{Space: ns.SM, Local: "enable"}:     {stageBound, (*client).smEnable, (*client).smUnexpected},
		{Space: ns.SM, Local: "resume"}:     {stageBind, (*client).smResume, (*client).smUnexpected},
		{Space: ns.SM, Local: "r"}:          {stageBound, (*client).smRequest, (*client).smUnexpected},
		{Space: ns.SM, Local: "a"}:          {stageBound, (*client).smAnswer, (*client).smUnexpected},
	}
}

// negotiation is what a stream needs until a resource is bound.
type negotiation struct {
	offer    sasl.Offer
	exchange sasl.Exchange
	attempt  attempt
	failures int // wrong passwords and proofs
	refusals int // what failed before one was looked at
}

// sendFeatures sends what may be negotiated now (RFC 6120 §4.3.2).
func (c *client) sendFeatures() {
	f := event.StreamFeatures{Stream: c.info()}
	switch c.stage {
	case stageTLS: // attacks row 7: nothing else before TLS
		f.Features = append(f.Features, xmlstream.NewNode(ns.TLS, "starttls").Add(xmlstream.NewNode(ns.TLS, "required")))
	case stageAuth:
		f.Features = append(f.Features, c.saslFeatures()...)
		f.Features = append(f.Features, limitsFeature(c.srv.Config(), xmlstream.PreAuth.MaxBytes))
	case stageBind:
		f.Features = append(f.Features,
			xmlstream.NewNode(ns.Bind, "bind").Add(xmlstream.NewNode(ns.Bind, "required")),
			xmlstream.NewNode(ns.Session, "session").Add(xmlstream.NewNode(ns.Session, "optional")), // RFC 3921 §3, for clients that insist
			xmlstream.NewNode(ns.SM, "sm"),
			limitsFeature(c.srv.Config(), c.srv.Config().StanzaBytes))
	}
	if c.stage != stageTLS {
		if err := c.srv.o.Events.C2S.Features.Fire(c.ctx, &f); err != nil {
			c.log.Error("c2s: features", "error", err)
		}
	}
	c.send(c.srv.framing.AppendFeatures(nil, f.Features, ns.Client))
}

// startTLS is RFC 6120 §5.4.2.
func (c *client) startTLS(*xmlstream.Element) error {
	c.next = c.upgrade
	return transport.ErrPause
}

// upgrade does the handshake, when everything that was said in the clear is written.
func (c *client) upgrade() {
	pending := c.dec.Buffered()
	if err := c.flush(c.ctx); err != nil {
		c.lost(err)
		return
	}
	c.out.speak(false)
	proceed := xmlstream.AppendNode(nil, xmlstream.NewNode(ns.TLS, "proceed"), ns.Client)
	if err := c.conn.StartTLS(c.ctx, transport.Server, c.srv.o.TLS, proceed, pending); err != nil {
		c.lost(err) // attacks row 8: also what was put behind <starttls/>
		return
	}
	c.dec.Close()
	c.dec = xmlstream.NewDecoder(xmlstream.PreAuth)
	c.out.restart()
	c.onward(stageAuth)
}

// tlsFailure answers <starttls/> where TLS is on already or too late (RFC 6120 §5.4.2.2).
func (c *client) tlsFailure(*xmlstream.Element) error {
	c.finish(c.srv.framing.AppendEnd(xmlstream.AppendNode(nil, xmlstream.NewNode(ns.TLS, "failure"), ns.Client)))
	return nil
}

// relieve goes on in a fresh goroutine.
func (c *client) relieve() error {
	c.next = func() { c.onward(c.stage) }
	return transport.ErrPause
}

var (
	errLoginFirst = stream.NewError(stream.NotAuthorized, "Log in first.")
	errStopping   = stream.NewError(stream.SystemShutdown, "The server is being stopped.")
)
