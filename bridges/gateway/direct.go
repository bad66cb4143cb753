package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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

// Direct chats: a person here and a person there write to each other as <message type='chat'/> between her address and the puppet's. The portal of a
// direct chat has no room; what waits in its Outbox before the network has opened the chat opens it.

// directMark stands where the keys of rooms have a login; no login can hold it.
const directMark = "\x1edirect"

// direct returns the portal of a direct chat. If it is new, row stores it and belongs into the unit of whatever made it come into being.
func (b *Bridge) direct(ctx context.Context, person jid.JID, user sdk.RemoteUserID) (p *portal, row *storage.PutPortal, err error) {
	id := b.m.person(person)
	key := b.spec.Name + sep + directMark + sep + string(id) + "/" + string(user)
	if p, err = b.portals.byText(ctx, key); p != nil || err != nil {
		return p, nil, err
	}
	fresh := newPortal(b, key, place{})
	r, err := fresh.row(portalState{Kind: sdk.ChatDirect, Person: string(id), User: user})
	if err != nil {
		return nil, nil, err
	}
	p, err = b.portals.adopt(r.Portal)
	return p, &r, err
}

// toPuppet takes a message for a puppet. It runs in the sender's goroutine: the message is stored, and sent by the pump.
func (b *Bridge) toPuppet(ctx context.Context, u unit, st *stanza.Stanza) error {
	if st.Type == stanza.TypeError || st.Type == stanza.TypeGroupchat {
		b.m.d.Journal.Submit(u)
		return nil
	}
	if by, room, reason, ok := invitation(st); ok {
		return b.invitePuppet(ctx, u, st, by, room, reason)
	}
	if !b.mayUse(st.From) {
		return b.notAllowed()
	}
	user, err := b.userAt(ctx, st.To)
	if err != nil {
		return err
	}
	in := mappings.ReadMessage(st.Payload, mappings.ReadOptions{})
	p, row, err := b.direct(ctx, st.From.Bare(), user)
	if err != nil {
		return err
	}
	if in.Act == mappings.ActTyping {
		b.m.d.Journal.Submit(u)
		p.directTyping(ctx, st.From, in.Typing)
		return nil
	}
	if err := b.writable(in.Act); err != nil {
		return err
	}
	if row != nil {
		u.Add(*row)
	}
	rec := event.NewMessageRecord(u, b.m.d.IDs.Next(), st)
	keep, err := p.recordDirect(ctx, rec, in, note{Bare: st.From.Bare().String(), Full: st.From.String(), Nick: st.From.Local(), Receipt: in.Receipt})
	if err != nil {
		return err
	}
	if keep {
		u.Lane = journal.LinkLane(p.key)
		u.After(direct{}, func(err error) { b.directStored(ctx, p, st, err) })
	}
	b.m.d.Journal.Submit(u)
	return nil
}

func (b *Bridge) directStored(ctx context.Context, p *portal, st *stanza.Stanza, err error) {
	if err == nil {
		p.out.wake()
		return
	}
	b.log.Error("a message to a puppet could not be stored", "error", err)
	b.m.run(func(context.Context) {
		if reply := st.ErrorReply(stanza.AsError(err)); reply != nil {
			b.m.d.Router.Send(b.m.base, reply)
		}
	})
}

// writable refuses what cannot cross.
func (b *Bridge) writable(a mappings.Act) error {
	if a == mappings.ActEncrypted {
		return stanza.NewError(stanza.PolicyViolation, "This person is on "+b.title()+" and cannot read encrypted messages. Switch encryption off for this chat.")
	}
	b.mu.Lock()
	info, there := b.info, b.inst != nil
	b.mu.Unlock()
	if there && !b.can(sdk.AbilityDM) {
		return stanza.NewError(stanza.ServiceUnavailable, "People on "+firstOf(info.Title, b.spec.Name)+" cannot be written to from here.")
	}
	return nil
}

// recordDirect puts a message of a direct chat into the Outbox; keep is false if there is nothing to send.
func (p *portal) recordDirect(ctx context.Context, rec *event.MessageRecord, in mappings.Incoming, n note) (keep bool, err error) {
	switch in.Act {
	case mappings.ActSay:
		n.Op = opSay
		n.Reply, _ = p.messageID(ctx, in.ReplyTo, "")
	case mappings.ActCorrect:
		n.Op = opCorrect
		var known bool
		if n.Target, known = p.messageID(ctx, in.Target, ""); !known {
			n.Op = opSay
		}
	case mappings.ActRetract:
		n.Op = opRetract
		n.Target, _ = p.messageID(ctx, in.Target, "")
	default:
		return false, nil
	}
	if rec.Stanza.ID != "" && n.Op != opRetract {
		target := rec.ID
		if n.Target != 0 {
			target = n.Target
		}
		rec.Unit.Add(storage.PutRow{Table: tableSent, Owner: p.key, Key: sep + rec.Stanza.ID, Value: []byte(strconv.FormatInt(int64(target), 10))})
	}
	return true, p.record(rec, n)
}

// userAt is the remote person at an address of ours.
func (b *Bridge) userAt(ctx context.Context, at jid.JID) (sdk.RemoteUserID, error) {
	notFound := stanza.NewError(stanza.ItemNotFound, at.Local()+" cannot be a person on "+b.title()+".")
	q, err := b.puppets.byJID(ctx, at)
	if err != nil {
		return "", err
	}
	if q != nil {
		if q.get().NoAddress {
			return "", stanza.NewError(stanza.ServiceUnavailable, q.name()+" cannot be written to.")
		}
		return q.remote, nil
	}
	codec := b.codecNow()
	if codec == nil {
		return "", &stanza.Error{Condition: stanza.RemoteServerTimeout, Type: "wait", Text: b.title() + " cannot be reached at the moment."}
	}
	kind, id, err := codec.Decode(at.Bare())
	if err != nil || kind != mappings.KindUser {
		return "", notFound
	}
	return sdk.RemoteUserID(id), nil
}

func (p *portal) directTyping(ctx context.Context, from jid.JID, active bool) {
	i := p.b.current()
	remote := p.remote()
	if i == nil || remote.Room == "" || p.caps().Typing.Out == sdk.LevelNone {
		return
	}
	s := p.b.sender(ctx, from.Bare(), "", from.Local(), "")
	i.remote.Signal(&sdk.Typing{Portal: remote, Who: sdk.Party{Person: s.Person}, Sender: &s, Active: active, Expires: signalAge})
}

// openDirect: somebody of the network began a direct chat with a person here.
func (a *arrival) openDirect(ctx context.Context, e *sdk.PortalOpened) error {
	var person jid.JID
	var user sdk.RemoteUserID
	for _, w := range e.With {
		switch {
		case w.User != "":
			user = w.User
		case w.Person != "":
			person, _ = a.b.m.personOf(ctx, w.Person)
		case w.Address != "":
			if j, err := jid.Parse(w.Address); err == nil && a.b.m.d.Hosts.IsAccountDomain(j.Domain()) && a.b.mayUse(j) {
				person = j.Bare()
			}
		}
	}
	if user == "" {
		user = a.head.Actor.User
	}
	if person.IsZero() || user == "" || !validID(string(user)) {
		return nil // nobody here is meant
	}
	p, row, err := a.b.direct(ctx, person, user)
	if err != nil {
		return err
	}
	if row != nil {
		u := newLinkUnit(p.key)
		u.Add(*row, personRow(a.b.m.person(person), person))
		if err := a.b.m.commit(ctx, u); err != nil {
			return fmt.Errorf("gateway: store portal: %w", err)
		}
	}
	return p.bind(ctx, a.head.Portal)
}

// person is whom a direct chat is with, on this side.
func (p *portal) person(ctx context.Context) (jid.JID, bool) {
	p.mu.Lock()
	id := p.state.Person
	p.mu.Unlock()
	return p.b.m.personOf(ctx, sdk.PersonID(id))
}

func (a *arrival) directMessage(ctx context.Context, e *sdk.Message) {
	a.toPerson(ctx, mappings.WriteMessage(e.Content, mappings.WriteOptions{URL: a.urls()}), e.Message, e.Part)
}

func (a *arrival) urls() func(sdk.Media) string {
	m := a.b.m.o.Media
	if m == nil {
		return nil
	}
	return func(f sdk.Media) string { return m.URL(a.b.spec.Name, a.head.Login, a.head.Portal, f) }
}

func (a *arrival) directEdit(ctx context.Context, e *sdk.Edit) {
	o := mappings.WriteOptions{URL: a.urls(), Replace: stanzaIDOf(a.p.key, e.Target.ID, e.Target.Part)}
	a.toPerson(ctx, mappings.WriteMessage(e.Content, o), "", "")
}

func (a *arrival) directRetract(ctx context.Context, e *sdk.Retract) {
	a.toPerson(ctx, mappings.WriteRetraction(stanzaIDOf(a.p.key, e.Target.ID, e.Target.Part)), "", "")
}

// toPerson sends a chat message of the actor, in one unit with what recognises it.
func (a *arrival) toPerson(ctx context.Context, nodes []*xmlstream.Node, message sdk.RemoteMessageID, part sdk.PartID) {
	to, ok := a.p.person(ctx)
	q, err := a.author(ctx, nil)
	switch {
	case err != nil:
		a.done(outcome{err: err})
		return
	case !ok || q == nil || len(nodes) == 0:
		a.ok()
		return
	}
	st := stanza.NewMessage(stanza.TypeChat, nodes...)
	st.From, st.To, st.ID = q.jid, to, stanzaIDOf(a.p.key, sdk.RemoteMessageID(a.head.ID), "event")
	u := journal.NewUnit(journal.AccountLane(to.String()))
	now := a.b.m.d.Clock.Now()
	id := a.b.m.d.IDs.Next()
	if a.head.ID != "" {
		u.Add(storage.Dedupe{Scope: "gateway" + sep + a.p.key, Key: dedupeKey(a.p.key, a.head, fmt.Sprintf("%T", a.event)), ID: int64(id), At: now, TTL: inboxTTL})
	}
	if message != "" {
		st.ID = stanzaIDOf(a.p.key, message, part)
		u.Add(storage.PutIDPair{Pair: storage.IDPair{Bridge: a.b.spec.Name, Portal: a.p.key, Remote: string(message), RemotePart: partNumber(part),
			Room: a.p.key, Stanza: id, Author: q.jid.String(), At: a.head.Time}},
			storage.PutRow{Table: tableSent, Owner: a.p.key, Key: sep + st.ID, Value: []byte(strconv.FormatInt(int64(id), 10))})
	}
	u.After(direct{}, a.finish)
	a.b.m.d.Router.Route(ctx, u, st)
}

// toPerson is the same for what is of the moment.
func (p *portal) toPerson(ctx context.Context, q *puppet, nodes []*xmlstream.Node, id string) {
	to, ok := p.person(ctx)
	if !ok {
		return
	}
	st := stanza.NewMessage(stanza.TypeChat, nodes...)
	st.From, st.To, st.ID = q.jid, to, id
	p.b.m.d.Router.Send(ctx, st)
}

// notify is a message of the bridge itself to a person.
func (b *Bridge) notify(ctx context.Context, to jid.JID, text string) {
	st := stanza.NewMessage(stanza.TypeChat, xmlstream.NewNode(ns.Client, "body").SetText(text))
	st.From, st.To = jid.MustParse(b.spec.users()), to
	b.m.d.Router.Send(ctx, st)
}

// private messages to puppets in rooms (XEP-0045 §7.5) are direct chats.

func (m *Module) guardPrivate(_ context.Context, v *event.RoomPrivate) error {
	b := m.byHost[v.To.Real.Domain()]
	if b == nil {
		return nil
	}
	if !b.mayUse(v.From.Real) {
		return b.notAllowed()
	}
	return b.writable(mappings.ReadMessage(v.Stanza.Payload, mappings.ReadOptions{}).Act)
}

func (m *Module) recordPrivate(ctx context.Context, v *event.RoomPrivate) error {
	b := m.byHost[v.To.Real.Domain()]
	if b == nil {
		return nil
	}
	user, err := b.userAt(ctx, v.To.Real)
	if err != nil {
		return err
	}
	p, row, err := b.direct(ctx, v.From.Real.Bare(), user)
	if err != nil {
		return err
	}
	if row != nil {
		v.Unit.Add(*row)
	}
	in := mappings.ReadMessage(v.Stanza.Payload, mappings.ReadOptions{})
	n := note{Bare: v.From.Real.Bare().String(), Full: v.From.Real.String(), Nick: v.From.Nick, ID: v.From.ID, Receipt: in.Receipt}
	_, err = p.recordDirect(ctx, v.MessageRecord, in, n)
	return err
}

func (m *Module) afterPrivate(ctx context.Context, v *event.RoomPrivate) error {
	b := m.byHost[v.To.Real.Domain()]
	if b == nil {
		return nil
	}
	user, err := b.userAt(ctx, v.To.Real)
	if err != nil {
		return err
	}
	p, _, err := b.direct(ctx, v.From.Real.Bare(), user)
	if p != nil {
		p.out.wake()
	}
	return err
}

// wakeOwner starts the pump of an Outbox.
func (b *Bridge) wakeOwner(ctx context.Context, owner string) {
	p, err := b.portals.byText(ctx, owner)
	if err != nil || p == nil {
		if err != nil && !errors.Is(err, context.Canceled) {
			b.log.Error("an outbox has no portal", "portal", owner, "error", err)
		}
		return
	}
	p.out.wake()
}
