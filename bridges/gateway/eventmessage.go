package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// inboxTTL is how long an event is recognised when it is delivered again. Messages are recognised for ever, by the id map.
const inboxTTL = 7 * 24 * time.Hour

func onMessage(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Message)
	if !validID(string(e.Message)) || e.Message == "" || !validID(string(e.Part)) {
		a.done(rejected("the message has no id, or a malformed one"))
		return
	}
	if a.echo(ctx, e.Message, e.Part) {
		return
	}
	if a.p.room().IsZero() {
		a.directMessage(ctx, e)
		return
	}
	q, err := a.author(ctx, e.Persona)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	if e.Content.ReplyTo != nil {
		a.p.settle(ctx)
	}
	o, n, rows := a.writeOptions(ctx, e.Content)
	payload := mappings.WriteMessage(e.Content, o)
	if len(payload) == 0 {
		a.ok() // nothing that could be shown
		return
	}
	a.inject(ctx, q, injected{
		id: stanzaIDOf(a.p.key, e.Message, e.Part), payload: payload, sort: "event", note: n, text: e.Content.Body.Plain(),
		record: func(rec *event.MessageRecord) {
			rec.Unit.Add(rows...)
			rec.Unit.Add(storage.PutIDPair{Pair: storage.IDPair{Bridge: a.b.spec.Name, Portal: a.p.key, Remote: string(e.Message), RemotePart: partNumber(e.Part),
				Room: a.p.room().String(), Stanza: rec.ID, Author: authorName(q), At: a.head.Time}})
		},
	})
}

func authorName(q *puppet) string {
	if q == nil {
		return ""
	}
	return q.jid.String()
}

// author returns the puppet that an event is by; nil is the room itself. A persona is a puppet of its own.
func (a *arrival) author(ctx context.Context, persona *sdk.Persona) (*puppet, error) {
	id := a.head.Actor.User
	if id == "" {
		return nil, nil
	}
	if persona == nil {
		return a.b.puppets.ensure(ctx, id, a.head.Portal, nil)
	}
	sum := sha256.Sum256([]byte(string(id) + sep + firstOf(persona.Key, persona.Name)))
	own := sdk.RemoteUserID(fmt.Sprintf("persona-%x", sum[:12]))
	return a.b.puppets.ensure(ctx, own, a.head.Portal, &sdk.UserInfo{ID: own, Name: persona.Name, Avatar: persona.Avatar, NoAddress: true})
}

// injected is what an event puts into the room.
type injected struct {
	id      string
	payload []*xmlstream.Node
	sort    string // what the event is recognised by, beside its id
	record  func(*event.MessageRecord)
	note    note   // what the other networks of a linked room are told
	text    string // of what is said
}

// inject puts a message into the room: one unit with the recognition of repetitions and the id map. It returns when the room has accepted it; the
// event is answered when it is committed.
func (a *arrival) inject(ctx context.Context, q *puppet, in injected) {
	msg := event.InjectedMessage{Room: a.p.room(), ID: in.id, Payload: in.payload, At: a.head.Time, Live: !a.head.History, Origin: a.b.spec.users()}
	if msg.At.IsZero() || msg.At.After(a.b.m.d.Clock.Now().Add(time.Minute)) {
		msg.At = a.b.m.d.Clock.Now()
	}
	var failed error
	msg.Record = func(rec *event.MessageRecord) {
		d := storage.Dedupe{Scope: "gateway" + sep + a.p.key, Key: dedupeKey(a.p.key, a.head, in.sort), ID: int64(rec.ID), At: a.b.m.d.Clock.Now(), TTL: inboxTTL}
		if a.head.ID != "" {
			rec.Unit.Lead(d)
		}
		if in.record != nil {
			in.record(rec)
		}
		failed = a.pass(rec, q, in.note, in.text)
	}
	msg.Done = func(_ storage.MessageID, err error) {
		a.p.end()
		if err == nil {
			a.p.wakeOthers()
		}
		a.finish(errors.Join(err, failed))
	}
	if q != nil {
		msg.Author = q.jid
		if !a.p.isPresent(q.jid) {
			a.p.makeRoom(ctx)
			c := a.b.change(ctx, a.p, q, "", nil)
			msg.Enter = &c
		}
	}
	a.p.begin()
	_, err := a.b.m.rooms.Inject(ctx, msg)
	if err != nil && a.p.revive(ctx) {
		_, err = a.b.m.rooms.Inject(ctx, msg)
	}
	if err != nil && q != nil && msg.Enter == nil { // the room has forgotten its puppets
		c := a.b.change(ctx, a.p, q, "", nil)
		msg.Enter = &c
		_, err = a.b.m.rooms.Inject(ctx, msg)
	}
	if err != nil {
		a.p.end()
		a.injectFailed(err)
		return
	}
	if msg.Enter != nil {
		a.p.mu.Lock()
		a.p.present[q.jid] = msg.Enter.Nick
		a.p.mu.Unlock()
		if err := a.p.again(ctx, []event.OccupantChange{*msg.Enter}); err != nil {
			a.b.log.Warn("a changed person could not be shown", "room", a.p.room().String(), "error", err)
		}
	}
}

// injectFailed: what the room refuses it will refuse again; what the store could not do may be tried again.
func (a *arrival) injectFailed(err error) {
	var se *stanza.Error
	if errors.As(err, &se) {
		a.done(rejected("the room refuses the message: %v", se))
		return
	}
	a.done(outcome{err: err})
}

// writeOptions look up what a message refers to: for people here, and for the other networks of a linked room. rows belong into its unit.
func (a *arrival) writeOptions(ctx context.Context, c sdk.Content) (mappings.WriteOptions, note, []journal.Op) {
	n := note{Op: opSay}
	o := mappings.WriteOptions{Mention: a.p.mentionAddress}
	if m := a.b.m.o.Media; m != nil {
		o.URL = func(f sdk.Media) string { return m.URL(a.b.spec.Name, a.head.Login, a.head.Portal, f) }
	}
	if r := c.ReplyTo; r != nil && r.Target.ID != "" {
		if t := a.target(ctx, r.Target); t != nil {
			o.ReplyID = a.p.wireID(ctx, t.pair.Stanza)
			o.ReplyTo = t.st.From.String()
			n.Reply = t.pair.Stanza
		}
	}
	var rows []journal.Op
	if o.Thread, n.Root, rows = a.threadOf(ctx, c.Thread); n.Root != 0 {
		n.Thread = a.p.key
		if len(rows) == 0 { // it has been named before
			_, n.Thread = a.p.threadRoot(ctx, o.Thread)
		}
	}
	return o, n, rows
}

// mentionAddress is the address of somebody who is called: her occupant address if she is in the room.
func (p *portal) mentionAddress(m richtext.Mention) string {
	switch {
	case m.Target == richtext.MentionUser && m.ID != "":
		codec := p.b.codecNow()
		if codec == nil {
			return ""
		}
		a, err := codec.User(sdk.RemoteUserID(m.ID))
		if err != nil {
			return ""
		}
		return a.JID.String()
	case m.Target == richtext.MentionUser && m.Person != "":
		if j, ok := p.b.m.personOf(p.b.m.base, sdk.PersonID(m.Person)); ok {
			return p.guestAddress(j)
		}
	case m.Target == richtext.MentionUser && m.Address != "":
		if j, err := jid.Parse(m.Address); err == nil {
			return p.guestAddress(j)
		}
	}
	return ""
}

// guestAddress is the address of an XMPP person: her occupant address if she is in the room.
func (p *portal) guestAddress(j jid.JID) string {
	nick, here := p.nickOf(j.Bare())
	if at, err := p.room().WithResource(nick); here && err == nil {
		return at.String()
	}
	return j.Bare().String()
}

// nickOf is the nick of somebody of this side, or of another network of a linked room.
func (p *portal) nickOf(who jid.JID) (nick string, here bool) {
	for _, q := range p.siblings() {
		q.mu.Lock()
		nick, here = q.guests[who]
		if !here {
			nick, here = q.present[who]
		}
		q.mu.Unlock()
		if here {
			return nick, true
		}
	}
	return "", false
}

// found is a message of the room that an event refers to.
type found struct {
	pair storage.IDPair
	st   *stanza.Stanza
}

// targets returns the messages here of a message there; of one part of it, if ref says so.
func (a *arrival) targets(ctx context.Context, ref sdk.MessageRef) ([]found, error) {
	if ref.ID == "" {
		return nil, nil
	}
	pairs, err := a.b.m.d.Store.Gateway().ByRemote(ctx, a.b.spec.Name, a.p.key, string(ref.ID))
	if err != nil {
		return nil, fmt.Errorf("gateway: id map: %w", err)
	}
	var out []found
	seen := map[storage.MessageID]bool{}
	for _, p := range pairs {
		if seen[p.Stanza] || ref.Part != "" && p.RemotePart != partNumber(ref.Part) {
			continue
		}
		seen[p.Stanza] = true
		f := found{pair: p}
		if !a.p.room().IsZero() {
			kept, err := a.b.m.d.Store.Messages().Get(ctx, storage.Room, a.p.room().String(), p.Stanza)
			if errors.Is(err, storage.ErrNotFound) {
				continue // no longer in the archive
			}
			if err != nil {
				return nil, fmt.Errorf("gateway: archive: %w", err)
			}
			if f.st, err = stanza.Unmarshal(kept.Body); err != nil {
				return nil, fmt.Errorf("gateway: archive: %w", err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// target is the first of them, nil if there is none.
func (a *arrival) target(ctx context.Context, ref sdk.MessageRef) *found {
	list, err := a.targets(ctx, ref)
	if err != nil || len(list) == 0 {
		return nil
	}
	return &list[0]
}

// puppetOf returns the puppet that wrote a message, nil if a person of this side did.
func (a *arrival) puppetOf(ctx context.Context, author string) (*puppet, error) {
	j, err := jid.Parse(author)
	if err != nil || j.Domain() != a.b.spec.users() {
		return nil, nil
	}
	return a.b.puppets.byJID(ctx, j)
}
