package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway/loop"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// What is said in a linked room goes to every portal, and what comes from one goes to all others: one Outbox reference each, in the unit in which it enters the
// room. The portal that it came from is left out where the list is made, so nothing ever goes back.

// record passes on what a person here has said.
func (l *link) record(v *event.RoomMessage, list []*portal, n note, text string) error {
	held := n.Op == opSay && l.listen(loop.Said{ID: fmt.Sprint(v.ID), Author: n.Bare, Text: text})
	if held {
		return nil
	}
	for _, p := range list {
		switch {
		case p.gone():
		case !p.b.mayUse(v.Occupant.Real):
			l.tellNotAllowed(p, v.Occupant.Real)
		default:
			if err := p.record(v.MessageRecord, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass puts what came from the network into the lists of the other portals of its room. It runs in the room's goroutine, where the unit is made.
func (a *arrival) pass(rec *event.MessageRecord, q *puppet, n note, text string) error {
	l := a.p.link()
	if l == nil || !a.passable(l) {
		return nil
	}
	n.Bare, n.Nick, n.Room = a.b.spec.users(), a.b.title(), l.room.String()
	bot := true
	if q != nil {
		p := q.get()
		n.Bare, n.Nick, bot = q.jid.String(), q.name(), p.Bot || p.NoAddress
	}
	if n.Op == opSay && l.listen(loop.Said{ID: a.p.key + sep + string(a.head.ID), Author: n.Bare, Text: text, Bot: bot}) {
		return nil
	}
	for _, p := range a.p.others() {
		if err := p.record(rec, n); err != nil {
			return err
		}
	}
	return nil
}

// passable tells whether an event is for the other networks at all: what is of before the link, or older than what is sent, stays here.
func (a *arrival) passable(l *link) bool {
	if !a.head.History {
		return true
	}
	at := a.head.Time
	return at.After(l.since(a.p)) && a.b.m.d.Clock.Now().Sub(at) < a.b.m.o.Tune.MaxAge
}

// since is when a portal was linked.
func (l *link) since(p *portal) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.state.Remotes {
		if r.Key == p.key {
			return r.At
		}
	}
	return time.Time{}
}

// wakeOthers starts the pumps of those to whom something was passed on.
func (p *portal) wakeOthers() {
	for _, q := range p.others() {
		q.out.wake()
		q.tellAway()
	}
}

// listen asks whether a message is one that a foreign bridge carries round; held: it is not passed on.
func (l *link) listen(s loop.Said) (held bool) {
	now := l.m.d.Clock.Now()
	l.mu.Lock()
	v := l.heard.Hear(now, s)
	quarantined := l.state.Loop && l.state.Paused
	l.mu.Unlock()
	if v.Loop && !quarantined {
		l.quarantine(s, v)
	}
	return v.Loop || quarantined && v.Echo
}

// quarantine stops a link because of a loop. What is said waits, but for the echoes.
func (l *link) quarantine(s loop.Said, v loop.Verdict) {
	reason := fmt.Sprintf("a loop: %s has repeated the same message %d times within a minute; another bridge seems to connect two of these rooms", s.Author, v.Times)
	now := l.m.d.Clock.Now()
	l.mu.Lock()
	l.state.Paused, l.state.Loop, l.state.Reason, l.state.Since = true, true, reason, now
	l.mu.Unlock()
	l.m.d.Log.Error("a link is quarantined", "room", l.room.String(), "reason", reason)
	l.m.run(func(ctx context.Context) {
		if err := l.save(ctx, func(*linkState) {}); err != nil {
			l.m.d.Log.Error("a quarantine could not be stored", "room", l.room.String(), "error", err)
		}
		text := fmt.Sprintf("The link of %s is quarantined: %s. Nothing is passed on until it is mended and resumed: viaduct link resume %s", l.room, reason, l.room)
		l.tellAdmins(ctx, text)
		if list := l.live(); len(list) > 0 {
			list[0].say(ctx, "This room is not connected to the other networks at the moment, because another bridge repeats what is said here. The administrators know.")
		}
	})
}

// tellAdmins sends a message to the server's administrators.
func (l *link) tellAdmins(ctx context.Context, text string) {
	if l.m.o.Admins == nil {
		return
	}
	list := l.live()
	if len(list) == 0 {
		return
	}
	for _, who := range l.m.o.Admins(ctx) {
		list[0].b.notify(ctx, who, text)
	}
}

// maxTold bounds the people who are remembered to know that a bridge is not for them.
const maxNotAllowed = 10000

// tellNotAllowed says once to somebody that a network does not get what she says.
func (l *link) tellNotAllowed(p *portal, who jid.JID) {
	key := p.key + sep + who.Bare().String()
	l.mu.Lock()
	known := l.told[key] || len(l.told) >= maxNotAllowed
	if !known {
		l.told[key] = true
	}
	l.mu.Unlock()
	if known {
		return
	}
	l.m.run(func(ctx context.Context) {
		p.b.notify(ctx, who.Bare(), "What you say in "+l.room.String()+" is not sent to "+p.b.title()+": you may not use that bridge.")
	})
}

// delivered sends the receipt of a message when the last network has it, and none if one has refused it.
func (l *link) delivered(ctx context.Context, by *portal, n *note, id storageID) {
	for _, p := range l.live() {
		refs, _, err := l.m.d.Store.Messages().Refs(ctx, storage.Outbox, p.key, storage.Range{After: id - 1, Before: id + 1, Limit: 1})
		if err != nil || len(refs) > 0 || p.hasDead(ctx, id) {
			return
		}
	}
	l.mu.Lock()
	sent := l.settled[id]
	if len(l.settled) >= maxSettled {
		clear(l.settled)
	}
	l.settled[id] = true
	l.mu.Unlock()
	if !sent {
		by.receipt(ctx, n, id)
	}
}

// maxSettled bounds the receipts that are remembered: two networks may be done at the same moment.
const maxSettled = 10000

// hidden tells whether the room hides the addresses of its people from each other, and so from the networks; as long as nobody knows, it does.
func (l *link) hidden() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.learned || l.semianon
}

// learnOnce learns it, if nobody has. It asks the room and waits, so it is never called in the room's goroutine.
func (l *link) learnOnce(ctx context.Context) {
	l.mu.Lock()
	known := l.learned
	l.mu.Unlock()
	if known {
		return
	}
	if _, err := l.learn(ctx); err != nil && ctx.Err() == nil {
		l.m.d.Log.Warn("how a linked room is could not be learned", "room", l.room.String(), "error", err)
	}
}

// learn reads what the room is like.
func (l *link) learn(ctx context.Context) (event.RoomFacts, error) {
	f, err := l.m.facts(ctx, l.room)
	if err == nil && f.Exists {
		l.mu.Lock()
		l.learned, l.semianon = true, !f.NonAnonymous
		l.mu.Unlock()
	}
	return f, err
}

// roomConfigured: whether a linked room shows addresses may have changed. It runs in the room's goroutine: whoever needs to know asks.
func (m *Module) roomConfigured(_ context.Context, v *event.RoomChange) error {
	if l := m.links.of(v.Room); l != nil {
		l.mu.Lock()
		l.learned = false
		l.mu.Unlock()
	}
	return nil
}

// address takes away what a network may not know of somebody's address. It may have to ask the room: it is not called in the room's goroutine.
func (p *portal) address(ctx context.Context, s *sdk.Sender) {
	if l := p.link(); l != nil {
		l.learnOnce(ctx)
	}
	p.addressNow(s)
}

// addressNow is address for the room's goroutine, where nobody can be asked.
func (p *portal) addressNow(s *sdk.Sender) {
	if l := p.link(); l != nil && l.hidden() {
		if j, err := jid.Parse(s.Address); err == nil && l.m.byHost[j.Domain()] == nil {
			s.Address = ""
		}
	}
}
