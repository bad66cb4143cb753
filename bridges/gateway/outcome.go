package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func newLinkUnit(key string) *journal.Unit { return journal.NewUnit(journal.LinkLane(key)) }

// delivered stores what the network made of an operation and removes it: one unit.
func (o *outbox) delivered(ctx context.Context, f *flight, d sdk.Delivered) error {
	u := newLinkUnit(o.p.key)
	o.mu.Lock()
	f.resolved = true
	parts := mergeParts(f.prior, d.Parts)
	o.pause = 0
	o.mu.Unlock()
	n := &f.note
	switch n.Op {
	case opSay, opCorrect:
		target := n.message(f.ref)
		for i, part := range parts {
			if part.Remote == "" || !validID(string(part.Remote)) {
				continue
			}
			u.Add(storage.PutIDPair{Pair: storage.IDPair{Bridge: o.p.b.spec.Name, Portal: o.p.key, Remote: string(part.Remote), RemotePart: partNumber(part.ID),
				Room: n.archive(o.p), Stanza: target, StanzaPart: i, Author: o.p.authorOf(n), At: part.Time}})
		}
	case opReact:
		body, err := o.p.b.m.d.Store.Messages().Body(ctx, f.ref.Msg)
		if err == nil {
			if st, err := stanza.Unmarshal(body); err == nil {
				u.Add(o.p.putReactions(n.Target, n.Bare, reactionSet{mappings.ReadMessage(st.Payload, mappings.ReadOptions{}).Emoji}))
			}
		}
	}
	u.Add(storage.DeleteRef{Kind: storage.Outbox, Owner: o.p.key, ID: f.ref.ID})
	if err := o.p.b.m.commit(ctx, u); err != nil {
		return err
	}
	o.p.b.counters.delivered.Add(1)
	o.mu.Lock()
	o.sent++
	o.mu.Unlock()
	switch l := o.p.link(); {
	case n.Op == opTopic:
		o.p.noteTopic(ctx, f.ref.Msg)
	case n.Receipt && l != nil:
		l.delivered(ctx, o.p, n, f.ref.Msg)
	case n.Receipt:
		o.p.receipt(ctx, n, f.ref.Msg)
	}
	return nil
}

// mergeParts joins what was reported on the way with the result, in the result's order.
func mergeParts(prior, result []sdk.Part) []sdk.Part {
	out := append([]sdk.Part(nil), result...)
	for _, p := range prior {
		known := false
		for _, r := range result {
			known = known || r.ID == p.ID
		}
		if !known {
			out = append(out, p)
		}
	}
	return out
}

// refuse deals with what will never be delivered: it becomes a dead letter. Where the portal is alone, a message that everybody in the room has read is taken back for
// all, and its sender is told why; in a linked room the other networks have it, and only the sender is told. A change is refused to its sender.
func (o *outbox) refuse(ctx context.Context, f *flight, e *sdk.Error, body []byte) error {
	p, n := o.p, &f.note
	o.mu.Lock()
	f.resolved = true
	o.refused++
	o.mu.Unlock()
	p.b.counters.refused.Add(1)
	p.b.log.Info("an operation was refused", "portal", p.key, "op", n.Op, "code", e.Code.String(), "reason", e.Text)
	gone := storage.DeleteRef{Kind: storage.Outbox, Owner: p.key, ID: f.ref.ID}
	reason := refusalText(p.b.title(), e)
	dead := p.bury(ctx, f, e, body)
	if n.Op == opSay && !p.room().IsZero() && p.link() == nil && n.Orig == 0 {
		done := make(chan error, 1)
		err := p.b.m.rooms.Retract(ctx, event.RoomRetraction{Room: p.room(), ID: f.ref.Msg, Reason: reason, Origin: p.b.spec.users(),
			Record: func(r *event.MessageRecord) { r.Unit.Add(append(dead, gone)...) }, Done: func(err error) { done <- err }})
		if err == nil {
			select {
			case err = <-done:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !errors.Is(err, storage.ErrNotFound) && ctx.Err() != nil {
			return err
		}
	}
	u := newLinkUnit(p.key)
	u.Add(append(dead, gone)...)
	if err := p.b.m.commit(ctx, u); err != nil {
		return err
	}
	p.tellRefused(ctx, n, body, e, reason)
	return nil
}

// tellRefused sends the error to who did it, if she is of this side.
func (p *portal) tellRefused(ctx context.Context, n *note, body []byte, e *sdk.Error, reason string) {
	to, err := jid.Parse(n.Full)
	if err != nil || n.Full == "" {
		return
	}
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeError, From: p.from(n), To: to}
	if said, err := stanza.Unmarshal(body); err == nil {
		st.ID = said.ID
	}
	se := &stanza.Error{Condition: conditionOf(e.Code), Text: reason, By: st.From.Bare().String()}
	st.Payload = xmlstream.NewFragment(se.Node())
	p.b.m.d.Router.Send(ctx, st)
}

// from is the address on whose behalf a portal answers: the room, or the puppet of a direct chat.
func (p *portal) from(n *note) jid.JID {
	if !p.room().IsZero() {
		return p.room()
	}
	p.mu.Lock()
	user := p.state.User
	p.mu.Unlock()
	if codec := p.b.codecNow(); codec != nil {
		if a, err := codec.User(user); err == nil {
			return a.JID
		}
	}
	return jid.MustParse(p.b.spec.users())
}

// receipt tells the sender that the network has her message (XEP-0184 §3), if she asked.
func (p *portal) receipt(ctx context.Context, n *note, msg storage.MessageID) {
	to, err := jid.Parse(n.Full)
	if err != nil || n.Full == "" {
		return
	}
	body, err := p.b.m.d.Store.Messages().Body(ctx, msg)
	if err != nil {
		return
	}
	said, err := stanza.Unmarshal(body)
	if err != nil || said.ID == "" {
		return
	}
	typ := ""
	if p.room().IsZero() {
		typ = stanza.TypeChat
	}
	st := stanza.NewMessage(typ, xmlstream.NewNode(ns.Receipts, "received", "id", said.ID), xmlstream.NewNode(ns.Hints, "no-store"))
	st.From, st.To, st.ID = p.from(n), to, "receipt-"+said.ID
	p.b.m.d.Router.Send(ctx, st)
}

// refusalText is what a person is told.
func refusalText(title string, e *sdk.Error) string {
	text := e.Text
	if text == "" {
		text = e.Code.String()
	}
	return title + ": " + strings.TrimSuffix(mappings.Cut(text, 300, 1200), ".") + "."
}

// conditionOf turns a code into a stanza error condition (RFC 6120 §8.3.3).
func conditionOf(c sdk.Code) stanza.Condition {
	switch c {
	case sdk.CodeUnsupported:
		return stanza.FeatureNotImplemented
	case sdk.CodeForbidden, sdk.CodeBlocked:
		return stanza.Forbidden
	case sdk.CodeNotFound:
		return stanza.ItemNotFound
	case sdk.CodeRoomGone, sdk.CodeUserGone:
		return stanza.Gone
	case sdk.CodeInvalid, sdk.CodeTooLong, sdk.CodeTooBig, sdk.CodeTooOld:
		return stanza.NotAcceptable
	case sdk.CodeConflict:
		return stanza.Conflict
	case sdk.CodeEncrypted:
		return stanza.PolicyViolation
	case sdk.CodeBadCredentials:
		return stanza.NotAuthorized
	case sdk.CodeExpired, sdk.CodeUnavailable, sdk.CodeSessionLost:
		return stanza.RemoteServerTimeout
	case sdk.CodeRateLimited:
		return stanza.ResourceConstraint
	}
	return stanza.UndefinedCondition
}

// stanzaError is the error for whoever waits for an answer of the network.
func (b *Bridge) stanzaError(err error) *stanza.Error {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se
	}
	e := sdk.AsError(err)
	out := stanza.NewError(conditionOf(e.Code), refusalText(b.title(), e))
	if e.Temporary {
		out.Type = "wait"
	}
	out.Cause = err
	return out
}
