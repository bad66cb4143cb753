package muc

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Inject puts a message of a puppet, or of the room itself, into a room. It returns the message's id when the room has accepted it; Done is
// told when it is durable, or why it is not; it is not called if Inject returns an error.
func (m *Module) Inject(ctx context.Context, msg event.InjectedMessage) (storage.MessageID, error) {
	id := make(chan storage.MessageID, 1) // whoever gives up does not look at what still happens
	class := pipelined
	if msg.Enter != nil {
		class = exclusive // it may have to enter first, which everybody is to see in its place
	}
	err := m.call(ctx, msg.Room, class, func(a *actor, in *inbound, done func(error)) {
		rec, err := a.inject(in, msg, a.deliverInjected)
		if err == nil {
			id <- rec.ID
		}
		done(err)
	})
	if err != nil {
		return 0, err
	}
	return <-id, nil
}

// SetSubject sets the subject on behalf of a puppet or of the room itself.
func (m *Module) SetSubject(ctx context.Context, msg event.InjectedMessage) error {
	return m.call(ctx, msg.Room, exclusive, func(a *actor, in *inbound, done func(error)) {
		_, err := a.inject(in, msg, a.injectSubject)
		done(err)
	})
}

// injection is an accepted message with what has to happen besides.
type injection struct {
	event.InjectedMessage
	m     *event.RoomMessage
	enter *puppetChange // the author enters before her message
}

// inject decides on a message from a gateway; accepted carries out what is particular to messages or subjects and commits.
func (a *actor) inject(in *inbound, msg event.InjectedMessage, accepted func(*inbound, *injection) error) (*event.MessageRecord, error) {
	if a.room == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoRoom, msg.Room)
	}
	x := &injection{InjectedMessage: msg}
	var author *room.Occupant
	if !msg.Author.IsZero() {
		author = a.room.Puppet(msg.Author)
	}
	if author == nil && msg.Enter != nil {
		c := *msg.Enter
		c.Leave = false
		plan, err := a.planPuppets(in.u, []event.OccupantChange{c})
		if err != nil {
			return nil, err
		}
		x.enter = &plan[0]
		author = &room.Occupant{Nick: plan[0].nick, Bare: c.Puppet, ID: room.OccupantID(a.room.Secret, a.remoteKey(c)), Role: plan[0].role,
			Puppet: true, Domain: c.Puppet.Domain()}
	}
	if author == nil && !msg.Author.IsZero() {
		return nil, fmt.Errorf("muc: inject: %s is not in the room %s", msg.Author, msg.Room)
	}
	id, err := a.injectedID(msg)
	if err != nil {
		return nil, err
	}
	rec := event.NewMessageRecord(in.u, id, a.puppetStanza(author, msg.ID, msg.Payload))
	x.m = &event.RoomMessage{MessageRecord: rec, Room: a.jid, Live: msg.Live, At: msg.At, Origin: msg.Origin}
	if author != nil {
		x.m.Occupant = a.value(author, jid.JID{})
	}
	if x.m.At.IsZero() {
		x.m.At = id.Time()
	}
	if msg.Record != nil {
		msg.Record(rec)
	}
	return rec, accepted(in, x)
}

// injectedID: a live message has the id of this moment. A backfilled one sorts into its own time: the low bits are random, in the half of
// the range that live ids of that millisecond do not reach.
func (a *actor) injectedID(msg event.InjectedMessage) (storage.MessageID, error) {
	if msg.Live || msg.At.IsZero() {
		return a.m.d.IDs.Next(), nil
	}
	var b [4]byte
	if _, err := io.ReadFull(a.m.d.Rand, b[:]); err != nil {
		return 0, fmt.Errorf("muc: inject: %w", err)
	}
	const half = 1 << 19
	return storage.MessageID(msg.At.UnixMilli()<<20 | half | int64(binary.BigEndian.Uint32(b[:])%half)), nil
}

// deliverInjected stores and shows an ordinary message.
func (a *actor) deliverInjected(in *inbound, x *injection) error {
	if err := decide(a, &a.m.ev.Message, x.m, nil); err != nil {
		return fmt.Errorf("muc: inject: %w", err)
	}
	a.keep(x.m, x.m.Occupant.Real.Bare().String())
	finish := func(err error) {
		if err == nil {
			a.enterAuthor(x)
			a.say(x.m)
		}
		if x.Done != nil {
			x.Done(x.m.ID, err)
		}
	}
	if x.enter != nil {
		a.commit(in.u, finish)
	} else {
		a.stream(in.u, finish)
	}
	return nil
}

// injectSubject stores and shows a subject.
func (a *actor) injectSubject(in *inbound, x *injection) error {
	if err := decide(a, &a.m.ev.Subject, x.m, nil); err != nil {
		return fmt.Errorf("muc: set subject: %w", err)
	}
	s := subjectOf(x.m, x.m.Occupant.Nick, x.m.Occupant.ID)
	a.archive(x.m, x.m.Occupant.Real.Bare().String())
	in.u.Add(storage.PutRoom{Room: a.row(a.room, a.room.Config, s)})
	a.commit(in.u, func(err error) {
		if err == nil {
			a.enterAuthor(x)
			a.showSubject(x.m, s)
		}
		if x.Done != nil {
			x.Done(x.m.ID, err)
		}
	})
	return nil
}

// enterAuthor shows the author before her first message, if she still has to enter.
func (a *actor) enterAuthor(x *injection) {
	if x.enter != nil && a.room != nil && a.room.Puppet(x.enter.Puppet) == nil {
		a.setPuppet(x.enter)
	}
}
