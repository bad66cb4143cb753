package c2s

import (
	"errors"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// smFailed answers with <failed/> (XEP-0198 §6).
func (c *client) smFailed(condition stanza.Condition) error {
	c.sendBehind(xmlstream.NewNode(ns.SM, "failed").Add(xmlstream.NewNode(ns.Stanzas, string(condition))))
	return nil
}

// sendBehind sends an element in its place behind what the session has queued.
func (c *client) sendBehind(n *xmlstream.Node) {
	if c.sess != nil {
		c.sess.SendNonza(n)
		return
	}
	c.send(xmlstream.AppendNode(nil, n, ns.Client))
}

// smUnexpected answers what comes in the wrong order (XEP-0198 §3).
func (c *client) smUnexpected(*xmlstream.Element) error { return c.smFailed(stanza.UnexpectedRequest) }

// smEnable is XEP-0198 §3.
func (c *client) smEnable(el *xmlstream.Element) error {
	var limit time.Duration
	if n, err := strconv.ParseUint(el.Attr("max"), 10, 31); err == nil {
		limit = time.Duration(n) * time.Second
	}
	if !c.sess.Enable(isTrue(el.Attr("resume")), limit) {
		return stream.NewError(stream.PolicyViolation, "Stream management is enabled already.") // XEP-0198 §3: a client tries once
	}
	return nil
}

func isTrue(v string) bool { return v == "true" || v == "1" }

// smResume is XEP-0198 §5.
func (c *client) smResume(el *xmlstream.Element) error {
	h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
	if err != nil || el.Attr("previd") == "" {
		return c.smFailed(stanza.BadRequest)
	}
	s, err := c.srv.o.Sessions.Resume(c.ctx, session.ResumeRequest{Account: c.user, Token: el.Attr("previd"), H: uint32(h), Link: c, ID: c.id})
	var failed *session.NotResumedError
	switch {
	case errors.As(err, &failed):
		c.sendBehind(failed.Node())
		return nil
	case errors.Is(err, session.ErrStopping):
		return errStopping
	case err != nil:
		return tooHigh(err)
	}
	return c.bound(s, &c.srv.o.Events.C2S.Resumed)
}

// smRequest is the client's <r/> (XEP-0198 §4).
func (c *client) smRequest(*xmlstream.Element) error {
	if !c.sess.Managed() {
		return c.smFailed(stanza.UnexpectedRequest)
	}
	c.sess.AckRequested()
	return nil
}

// smAnswer is the client's <a/> (XEP-0198 §4).
func (c *client) smAnswer(el *xmlstream.Element) error {
	h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
	if err != nil || !c.sess.Managed() {
		return c.smFailed(stanza.UnexpectedRequest)
	}
	return tooHigh(c.sess.Ack(uint32(h)))
}

// tooHigh is the stream error for an ack of what was never sent (XEP-0198 §6).
func tooHigh(err error) error {
	var high *session.AckTooHighError
	if !errors.As(err, &high) {
		return err
	}
	return &stream.Error{Condition: stream.UndefinedCondition, App: high.Node(), Cause: err,
		Text: "You acknowledged " + strconv.FormatUint(uint64(high.H), 10) + " stanzas, but I only sent you " + strconv.FormatUint(uint64(high.Sent), 10) + " so far."}
}
