package c2s

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// How many attempts one stream has.
const (
	// maxFailures are wrong passwords and proofs (RFC 6120 §6.4.5 asks for two to five).
	maxFailures = 5
	// maxRefusals are exchanges that end before a proof is looked at: they tell nothing about a password and cost nothing.
	// COMPAT(slixmpp 1.8): it tries each -PLUS mechanism with tls-unique, which TLS 1.3 does not have, then each other one with the flag "y", which RFC 5802 §6
	// refuses, and comes to PLAIN at the seventh attempt.
	maxRefusals = 10
)

// attempt is whom an exchange is about, as far as is known.
type attempt = auth.Attempt

// saslFeatures is the offer of this stream: mechanisms, and what they can be bound to (XEP-0440).
func (c *client) saslFeatures() []*xmlstream.Node {
	c.neg.offer = c.srv.sasl[c.domain].Offer(c.conn.Channel())
	mechanisms := xmlstream.NewNode(ns.SASL, "mechanisms")
	for _, m := range c.neg.offer.Mechanisms {
		mechanisms.Add(xmlstream.NewNode(ns.SASL, "mechanism").SetText(string(m)))
	}
	out := []*xmlstream.Node{mechanisms}
	if types := c.neg.offer.BindingTypes(); len(types) > 0 {
		n := xmlstream.NewNode(ns.SASLChannelBinding, "sasl-channel-binding")
		for _, t := range types {
			n.Add(xmlstream.NewNode(ns.SASLChannelBinding, "channel-binding", "type", string(t)))
		}
		out = append(out, n)
	}
	return out
}

// saslAuth begins an exchange (RFC 6120 §6.4.2).
func (c *client) saslAuth(el *xmlstream.Element) error {
	if c.domain == "" {
		return stream.NewError(stream.BadFormat, "The stream has no header.")
	}
	c.neg.exchange, c.neg.attempt = nil, attempt{}
	if t := c.srv.o.Throttle; t != nil && !t.Allow(c.remote().Addr(), "") {
		return c.saslFailed(&sasl.Error{Condition: sasl.TemporaryAuthFailure, Err: errors.New("c2s: too many failures from this address")})
	}
	x, err := c.srv.sasl[c.domain].Start(el.Attr("mechanism"), c.neg.offer)
	if err != nil {
		return c.saslFailed(err)
	}
	c.neg.exchange = x
	return c.saslStep(el, true)
}

// saslResponse goes on with one (RFC 6120 §6.4.3).
func (c *client) saslResponse(el *xmlstream.Element) error {
	if c.neg.exchange == nil {
		return c.saslFailed(&sasl.Error{Condition: sasl.MalformedRequest, Err: errors.New("c2s: a response to nothing")})
	}
	return c.saslStep(el, false)
}

// saslAbort gives one up (RFC 6120 §6.4.4).
func (c *client) saslAbort(*xmlstream.Element) error {
	c.neg.exchange = nil
	return c.saslFailed(&sasl.Error{Condition: sasl.Aborted})
}

func (c *client) saslStep(el *xmlstream.Element, initial bool) error {
	data, err := sasl.DecodeText([]byte(el.Node().TextContent()), initial)
	if err != nil {
		return c.saslFailed(err)
	}
	reply, err := c.neg.exchange.Step(auth.WithAttempt(c.ctx, &c.neg.attempt), data)
	// Somebody who guesses at one account learns nothing more, whether the guess was right or not.
	if t := c.srv.o.Throttle; t != nil && c.neg.attempt.Username != "" && !t.Allow(c.remote().Addr(), c.neg.attempt.Username+"@"+c.domain) {
		err = &sasl.Error{Condition: sasl.TemporaryAuthFailure, Err: errors.New("c2s: too many failures for this account")}
	}
	if err != nil {
		return c.saslFailed(err)
	}
	if !reply.Done {
		c.sendSASL("challenge", sasl.EncodeText(nonNil(reply.Data)))
		return nil
	}
	return c.authenticated(reply)
}

// nonNil makes an empty challenge empty text and not "=" (RFC 6120 §6.4.3).
func nonNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (c *client) sendSASL(local, text string) {
	n := xmlstream.NewNode(ns.SASL, local)
	if text != "" {
		n.SetText(text)
	}
	c.send(xmlstream.AppendNode(nil, n, ns.Client))
}

// authenticated goes on to a new stream (RFC 6120 §6.4.6).
func (c *client) authenticated(reply sasl.Reply) error {
	user, err := jid.Parse(reply.Identity.Authzid)
	if err != nil || !user.IsBare() || user.Domain() != c.domain {
		return c.saslFailed(&sasl.Error{Condition: sasl.InvalidAuthzid, Err: err})
	}
	c.user = user.Clone()
	c.srv.stats.logins.Add(1)
	c.log.Info("client authenticated", "account", c.user.String(), "mechanism", string(reply.Identity.Mechanism), "binding", string(reply.Identity.Binding), "remote", c.remote().Addr().String())
	c.srv.o.Accounts.Touch(c.ctx, c.user)
	c.sendSASL("success", sasl.EncodeText(reply.Data))
	c.neg = &negotiation{}
	c.dec.SetLimits(c.srv.Config().XMLLimits())
	c.restart(stageBind)
	return nil
}

// saslFailed answers a failed attempt (RFC 6120 §6.4.5) and ends the stream after too many.
func (c *client) saslFailed(err error) error {
	c.neg.exchange = nil
	condition, guess := sasl.ConditionOf(err), sasl.Guess(err)
	c.srv.stats.loginFailures.Add(1)
	name := ""
	if c.neg.attempt.Username != "" {
		name = c.neg.attempt.Username + "@" + c.domain
	}
	c.log.Info("login failed", "account", name, "condition", string(condition), "remote", c.remote().Addr().String(), "error", err)
	if t := c.srv.o.Throttle; t != nil && guess {
		t.Failed(c.remote().Addr(), name)
	}
	c.send(xmlstream.AppendNode(nil, xmlstream.NewNode(ns.SASL, "failure").Add(xmlstream.NewNode(ns.SASL, string(condition))), ns.Client))
	// Who is refused for guessing too much goes on guessing.
	if guess || condition == sasl.TemporaryAuthFailure {
		c.neg.failures++
	} else {
		c.neg.refusals++
	}
	if c.neg.failures >= maxFailures || c.neg.refusals >= maxRefusals {
		return stream.NewError(stream.PolicyViolation, "Too many failed attempts to log in.")
	}
	return nil
}
