package gateway

import (
	"context"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Signals are of the moment: they are never stored and never wait. Those of the network go through a book that keeps the last presence of each person
// and hands changes on in batches, so that a busy network costs rooms little and messages nothing.

// presence is what a remote person shows.
type presence struct {
	show   mappings.Shown
	status string
}

// presenceBook is the presence of remote people. Bound: maxPuppets people; beyond that those who are away are forgotten.
type presenceBook struct {
	mu      sync.Mutex
	people  map[sdk.RemoteUserID]presence
	dirty   map[sdk.RemoteUserID]bool
	pending bool
}

func (p *presenceBook) init() {
	p.people, p.dirty = map[sdk.RemoteUserID]presence{}, map[sdk.RemoteUserID]bool{}
}

func (p *presenceBook) of(id sdk.RemoteUserID) presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.people[id]
}

// presenceBatch is how many changes are shown at a time, of those that were gathered: with the default delay 20 in a second.
const presenceBatch = 100

// signal takes a signal of the plugin.
func (b *Bridge) signal(s sdk.Signal) {
	switch s := s.(type) {
	case *sdk.Typing:
		b.m.run(func(ctx context.Context) { b.remoteTyping(ctx, s) })
	case *sdk.Presence:
		b.remotePresence(s)
	case *sdk.ReadState:
		b.m.run(func(ctx context.Context) { b.remoteRead(ctx, s) })
	}
}

// seenHere returns the portal and puppet of a signal; only what is known already counts.
func (b *Bridge) seenHere(ctx context.Context, k sdk.PortalKey, who sdk.Party) (*portal, *puppet) {
	if who.User == "" || !validID(string(who.User)) {
		return nil, nil
	}
	p, err := b.portals.get(ctx, k)
	if err != nil || p == nil {
		return nil, nil
	}
	q, err := b.puppets.known(ctx, who.User)
	if err != nil {
		return nil, nil
	}
	return p, q
}

func (b *Bridge) remoteTyping(ctx context.Context, s *sdk.Typing) {
	p, q := b.seenHere(ctx, s.Portal, s.Who)
	if p == nil || q == nil {
		return
	}
	state := "composing"
	if !s.Active {
		state = "paused"
	}
	nodes := []*xmlstream.Node{xmlstream.NewNode(ns.ChatStates, state), noStore()}
	if p.room().IsZero() {
		p.toPerson(ctx, q, nodes, "")
		return
	}
	if p.isPresent(q.jid) {
		_, _ = b.m.rooms.Inject(ctx, event.InjectedMessage{Room: p.room(), Author: q.jid, Payload: nodes, At: b.m.d.Clock.Now(), Live: true, Origin: b.spec.users()})
	}
}

// remoteRead shows how far somebody has read (XEP-0333).
func (b *Bridge) remoteRead(ctx context.Context, s *sdk.ReadState) {
	p, q := b.seenHere(ctx, s.Portal, s.Who)
	if p == nil || q == nil || p.room().IsZero() || !p.isPresent(q.jid) {
		return
	}
	pairs, err := b.m.d.Store.Gateway().ByRemote(ctx, b.spec.Name, p.key, string(s.UpTo.ID))
	if err != nil || len(pairs) == 0 {
		return
	}
	id := p.wireID(ctx, pairs[len(pairs)-1].Stanza)
	nodes := []*xmlstream.Node{xmlstream.NewNode(ns.Markers, "displayed", "id", id), noStore()}
	_, _ = b.m.rooms.Inject(ctx, event.InjectedMessage{Room: p.room(), Author: q.jid, Payload: nodes, At: b.m.d.Clock.Now(), Live: true, Origin: b.spec.users()})
}

func (b *Bridge) remotePresence(s *sdk.Presence) {
	if s.Who.User == "" || !validID(string(s.Who.User)) {
		return
	}
	next := presence{mappings.ShowOf(s.Show), mappings.Cut(strings.TrimSpace(s.Status), 300, 1200)}
	book := &b.shown
	book.mu.Lock()
	defer book.mu.Unlock()
	if book.people[s.Who.User] == next {
		return
	}
	if len(book.people) >= maxPuppets {
		for id, p := range book.people {
			if p.show.Unavailable || len(book.people) >= 2*maxPuppets {
				delete(book.people, id)
			}
		}
	}
	book.people[s.Who.User] = next
	book.dirty[s.Who.User] = true
	if !book.pending {
		book.pending = true
		b.m.d.Clock.AfterFunc(b.m.o.Tune.PresenceDelay, func() { b.m.run(b.showPresences) })
	}
}

// showPresences hands changed presences on.
func (b *Bridge) showPresences(ctx context.Context) {
	book := &b.shown
	book.mu.Lock()
	var list []sdk.RemoteUserID
	for id := range book.dirty {
		if len(list) == presenceBatch {
			break
		}
		list = append(list, id)
		delete(book.dirty, id)
	}
	book.pending = len(book.dirty) > 0
	if book.pending {
		b.m.d.Clock.AfterFunc(b.m.o.Tune.PresenceDelay, func() { b.m.run(b.showPresences) })
	}
	book.mu.Unlock()
	changes := map[*portal][]event.OccupantChange{}
	for _, id := range list {
		q, err := b.puppets.known(ctx, id)
		if err != nil || q == nil {
			continue
		}
		b.tellWatchers(ctx, q)
		for _, p := range b.portals.all() {
			p.mu.Lock()
			nick, here := p.present[q.jid]
			p.mu.Unlock()
			if here {
				c := event.OccupantChange{ID: string(q.remote), Puppet: q.jid, Nick: nick, Presence: b.presenceOf(q)}
				changes[p] = append(changes[p], c)
			}
		}
	}
	for p, l := range changes {
		if err := p.set(ctx, l); err != nil && ctx.Err() == nil {
			b.log.Debug("presence not shown", "room", p.room().String(), "error", err)
		}
	}
}

// senderOf is a sender for a signal.
func (p *portal) senderOf(ctx context.Context, o event.Occupant) *sdk.Sender {
	s := p.b.sender(ctx, o.Real.Bare(), o.ID, o.Nick, "")
	p.addressNow(&s)
	return &s
}

// shows tells whether the network sees somebody here at all: in a linked room there may be people who may not use the bridge.
func (p *portal) shows(o event.Occupant) bool { return p.b.mayUse(o.Real) }

// typing tells the network that somebody here writes.
func (p *portal) typing(ctx context.Context, o event.Occupant, active bool) {
	i := p.b.current()
	if i == nil || !p.shows(o) || p.caps().Typing.Out == sdk.LevelNone {
		return
	}
	s := p.senderOf(ctx, o)
	i.remote.Signal(&sdk.Typing{Portal: p.remote(), Who: sdk.Party{Person: s.Person}, Sender: s, Active: active, Expires: signalAge})
}

// displayed tells the network how far somebody here has read.
func (p *portal) displayed(ctx context.Context, o event.Occupant, target string) {
	i := p.b.current()
	id, ok := p.messageID(ctx, target, o.ID)
	if i == nil || !ok || !p.shows(o) || p.caps().ReadReceipts.Out == sdk.LevelNone {
		return
	}
	ref := p.ref(ctx, p.archive(), id)
	if ref.IsZero() {
		return
	}
	s := p.senderOf(ctx, o)
	i.remote.Signal(&sdk.ReadState{Portal: p.remote(), Who: sdk.Party{Person: s.Person}, Sender: s, UpTo: ref, Time: p.b.m.d.Clock.Now()})
}

// occupantPresence tells the network how available somebody here is.
func (m *Module) occupantPresence(ctx context.Context, v *event.RoomPresence) error {
	if v.Occupant.Puppet {
		return nil
	}
	return m.each(ctx, v.Occupant.Room, func(p *portal) error {
		p.showPerson(ctx, v.Occupant, v.Stanza)
		return nil
	})
}

func (p *portal) showPerson(ctx context.Context, o event.Occupant, st *stanza.Stanza) {
	i := p.b.current()
	if i == nil || st == nil || !p.shows(o) || p.caps().Presence.Out == sdk.LevelNone {
		return
	}
	shown := mappings.Shown{Unavailable: st.Type == stanza.TypeUnavailable}
	if c, ok := st.Child(ns.Client, "show"); ok {
		shown.Show = c.Text()
	}
	s := p.senderOf(ctx, o)
	sig := &sdk.Presence{Who: sdk.Party{Person: s.Person}, Sender: s, Show: mappings.ShowTo(shown), Since: p.b.m.d.Clock.Now()}
	if c, ok := st.Child(ns.Client, "status"); ok && p.caps().StatusText.Out != sdk.LevelNone {
		sig.Status = mappings.Cut(c.Text(), 300, 1200)
	}
	i.remote.Signal(sig)
}

// tellWatchers shows a puppet's presence to those who subscribed to it.
func (b *Bridge) tellWatchers(ctx context.Context, q *puppet) {
	rows, err := b.m.d.Store.Table(tableWatchers).Range(ctx, q.jid.String(), "", "", 1000, false)
	if err != nil {
		return
	}
	for _, r := range rows {
		if to, err := jid.Parse(r.Key); err == nil {
			b.m.d.Router.Send(ctx, b.presenceStanza(q, to))
		}
	}
}

// presenceStanza is a puppet's presence for somebody who watches it.
func (b *Bridge) presenceStanza(q *puppet, to jid.JID) *stanza.Stanza {
	s := b.shown.of(q.remote)
	st := stanza.NewPresence("")
	if s.show.Unavailable || b.current() == nil {
		st = stanza.NewPresence(stanza.TypeUnavailable)
	} else {
		st.Payload = xmlstream.NewFragment(b.presenceOf(q)...)
	}
	st.From, st.To = q.jid, to
	return st
}
