package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// lookup is asked for a room of ours that does not exist. An address of the network leads to a portal: the bridge joins the room there, and the
// person's stanza goes on. A name leads to where the room is (gone); there is never a second address for one room.
func (m *Module) lookup(ctx context.Context, v *event.RoomLookup) error {
	b := m.byHost[v.Room.Domain()]
	if b == nil || v.Created {
		return nil
	}
	if !b.mayUse(v.Asker) {
		return b.notAllowed()
	}
	if err := b.movedTo(ctx, v.Asker, v.Room); err != nil {
		return err
	}
	return event.Pending(m.o.Tune.JoinTimeout, func(resolve func(error)) {
		if !m.run(func(ctx context.Context) { resolve(b.lead(ctx, v.Asker, v.Room)) }) {
			resolve(stanza.NewError(stanza.ServiceUnavailable, "The server is being stopped."))
		}
	})
}

// startGrace is how long after the server's start people who enter wait for a plugin that is being started.
const startGrace = 10 * time.Second

// lead decodes the address and finds the room.
func (b *Bridge) lead(ctx context.Context, asker, room jid.JID) error {
	if left := startGrace - b.m.d.Clock.Now().Sub(b.m.started); b.current() == nil && left > 0 {
		late, cancel := context.WithCancel(ctx)
		timer := b.m.d.Clock.AfterFunc(left, cancel)
		select {
		case <-b.arrival:
		case <-late.Done():
		}
		timer.Stop()
		cancel()
	}
	i, codec := b.current(), b.codecNow()
	if i == nil || codec == nil {
		return &stanza.Error{Condition: stanza.RemoteServerTimeout, Type: "wait", Text: b.title() + " cannot be reached at the moment. Try again later."}
	}
	kind, id, err := codec.Decode(room)
	if err != nil || kind != mappings.KindRoom && kind != mappings.KindAlias {
		return stanza.NewError(stanza.ItemNotFound, room.Local()+" cannot be a room on "+b.title()+".")
	}
	ctx, cancel := context.WithTimeout(i.ctx, b.m.o.Tune.JoinTimeout)
	defer cancel()
	return b.find(ctx, i, asker, room, kind, id)
}

// find joins a room, or finds out where it is; the error is for the person who asked.
func (b *Bridge) find(ctx context.Context, i *instance, asker, room jid.JID, kind mappings.Kind, id string) error {
	want := sdk.PortalKey{Room: sdk.RemoteRoomID(id)}
	var via []string
	who := b.sender(ctx, asker.Bare(), "", asker.Local(), "")
	if kind == mappings.KindAlias {
		t, err := i.remote.Resolve(ctx, sdk.ResolveRequest{Text: id, Want: sdk.TargetRoom, For: who})
		if err != nil {
			return b.stanzaError(err)
		}
		if t.Kind != sdk.TargetRoom || t.Portal.Room == "" {
			return stanza.NewError(stanza.ItemNotFound, "There is no room "+id+" on "+b.title()+".")
		}
		want, via = t.Portal, t.Via
	}
	p, err := b.join(ctx, i, asker, sdk.JoinRequest{Portal: want, Via: via, For: who})
	if err != nil {
		return b.stanzaError(err)
	}
	if p.room() == room {
		return nil
	}
	b.invite(ctx, asker, p.room(), "You asked for "+room.String()+": this is its address.")
	return &stanza.Error{Condition: stanza.Gone, URI: "xmpp:" + p.room().String() + "?join",
		Text: "This room has the address " + p.room().String() + ". You have been sent an invitation to it."}
}

// invite sends a direct invitation (XEP-0249 §2); reason may be empty.
func (b *Bridge) invite(ctx context.Context, to, room jid.JID, reason string) {
	x := xmlstream.NewNode(ns.Conference, "x", "jid", room.String())
	if reason != "" {
		x.SetAttr("reason", reason)
	}
	st := stanza.NewMessage("", x)
	st.From, st.To = jid.MustParse(b.spec.users()), to.Bare()
	b.m.d.Router.Send(ctx, st)
}

// join returns the portal of a remote room; the first to ask makes the bridge join it, others wait for that.
func (b *Bridge) join(ctx context.Context, i *instance, asker jid.JID, r sdk.JoinRequest) (*portal, error) {
	p, err := b.portals.get(ctx, r.Portal)
	if err != nil {
		return nil, err
	}
	if p != nil && p.exists(ctx) {
		return p, nil
	}
	if !b.mayCreate(asker) {
		return nil, stanza.NewError(stanza.Forbidden, "You may enter the rooms of "+b.title()+" that are in use here, but not open others.")
	}
	key := portalKeyText(b.spec.Name, r.Portal)
	t := &b.portals
	t.mu.Lock()
	if j := t.joins[key]; j != nil {
		t.mu.Unlock()
		select {
		case <-j.done:
			return j.p, j.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	j := &joining{done: make(chan struct{})}
	t.joins[key] = j
	t.mu.Unlock()
	j.p, j.err = b.open(ctx, i, r)
	t.mu.Lock()
	delete(t.joins, key)
	t.mu.Unlock()
	close(j.done)
	return j.p, j.err
}

// exists tells whether the portal's room is there; it may have been destroyed.
func (p *portal) exists(ctx context.Context) bool {
	p.mu.Lock()
	gone := p.state.Gone
	p.mu.Unlock()
	if gone {
		return false
	}
	_, err := p.b.m.d.Store.Rooms().Get(ctx, p.room().String())
	return err == nil
}

// awaitJoin waits for rooms that are being joined: their events may come before the answer. nil if the room is none of ours.
func (b *Bridge) awaitJoin(ctx context.Context, k sdk.PortalKey) (*portal, error) {
	for {
		t := &b.portals
		t.mu.Lock()
		var wait *joining
		for _, j := range t.joins {
			wait = j
			break
		}
		t.mu.Unlock()
		p, err := t.get(ctx, k)
		if p != nil || err != nil || wait == nil {
			return p, err
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open makes the bridge join a room and makes the portal.
func (b *Bridge) open(ctx context.Context, i *instance, r sdk.JoinRequest) (*portal, error) {
	r.Members = b.m.o.Tune.MaxOccupants
	info, err := i.remote.JoinPortal(ctx, r)
	if err != nil {
		return nil, err
	}
	if info.Portal.Room == "" {
		info.Portal = r.Portal
	}
	if !validID(string(info.Portal.Room)) || !validID(string(info.Portal.Login)) {
		return nil, &sdk.Error{Code: sdk.CodeProtocol, Text: "the bridge named a room that cannot be"}
	}
	return b.makePortal(ctx, i, info, r.Via)
}

// makePortal makes the room of a portal, or makes it be as info says.
func (b *Bridge) makePortal(ctx context.Context, i *instance, info sdk.ChatInfo, via []string) (*portal, error) {
	p, err := b.portals.get(ctx, info.Portal)
	if err != nil {
		return nil, err
	}
	if p == nil {
		codec := b.codecNow()
		if codec == nil {
			return nil, sdk.ErrSessionLost
		}
		a, err := codec.Room(info.Portal.Room)
		if err != nil {
			return nil, fmt.Errorf("gateway: portal: %w", err)
		}
		if info.Portal.Login != "" { // one room for each login that sees it
			own, err := jid.New(a.JID.Local()+"~login-"+shortHash(string(info.Portal.Login)), b.spec.rooms(), "")
			if err != nil {
				return nil, fmt.Errorf("gateway: portal: %w", err)
			}
			a.JID = own
		}
		p = newPortal(b, portalKeyText(b.spec.Name, info.Portal), place{room: a.JID})
		if p, err = b.storePortal(ctx, p, info, via); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	p.fresh = i
	p.mu.Unlock()
	return p, p.describe(ctx, i, info)
}

func (b *Bridge) storePortal(ctx context.Context, p *portal, info sdk.ChatInfo, via []string) (*portal, error) {
	if len(info.Via) > 0 {
		via = info.Via
	}
	row, err := p.row(portalState{Remote: info.Portal, Kind: info.Kind, Via: via})
	if err != nil {
		return nil, err
	}
	u := newLinkUnit(p.key)
	u.Add(row, storage.DeleteRow{Table: tableLeaving, Owner: b.spec.Name, Key: p.key})
	if err := b.m.commit(ctx, u); err != nil {
		return nil, fmt.Errorf("gateway: store portal: %w", err)
	}
	b.mu.Lock()
	b.opened++
	b.mu.Unlock()
	return b.portals.adopt(row.Portal)
}

// describe makes the room be as the network says, and enters who is there.
func (p *portal) describe(ctx context.Context, i *instance, info sdk.ChatInfo) error {
	err := p.save(ctx, func(s *portalState) {
		s.Kind, s.Link, s.Count, s.Gone = info.Kind, mappings.Cut(info.Link, 500, 2000), info.MemberCount, false
		if info.Name != "" {
			s.Name = mappings.Cut(info.Name, 200, 800)
		}
		if info.Capabilities != nil {
			s.Caps = info.Capabilities
		}
		if len(info.Via) > 0 {
			s.Via = info.Via
		}
	})
	if err != nil {
		return err
	}
	if p.link() != nil { // the room's name, picture and lists are its own
		if err := p.setMembers(ctx, info.Members); err != nil {
			return err
		}
		return p.setTopic(ctx, info.Topic, nil, p.b.m.d.Clock.Now())
	}
	if err := p.b.m.rooms.EnsureRoom(ctx, p.spec(info.Public)); err != nil {
		return fmt.Errorf("gateway: room: %w", err)
	}
	if err := p.setMembers(ctx, info.Members); err != nil {
		return err
	}
	if info.NextMembers != "" {
		p.b.m.run(func(context.Context) { p.listMembers(i.ctx, i, info.NextMembers) })
	}
	if info.Avatar != nil {
		p.b.faces.wantRoom(p, *info.Avatar)
	}
	return p.setTopic(ctx, info.Topic, nil, p.b.m.d.Clock.Now())
}

// roomHistory is how far a client can catch up by entering again: what came while it had no stream.
const roomHistory = 500

// spec is the room of the portal (bridging: room disco checklist).
func (p *portal) spec(public bool) event.RoomSpec {
	p.mu.Lock()
	s := p.state
	p.mu.Unlock()
	info := map[string]string{}
	if s.Link != "" {
		info["muc#roominfo_contactjid"] = p.b.spec.users()
	}
	return event.RoomSpec{Room: p.room(), Name: firstOf(s.Name, p.room().Local()), Description: p.b.title() + " " + firstOf(s.Link, string(s.Remote.Room)),
		Public: public, Persistent: true, NonAnonymous: true, ChangeSubject: true, MaxHistory: roomHistory, Origin: p.b.spec.users(), Info: info}
}

// guardJoin: who may use the bridge may enter its rooms; a room that is linked is elsewhere, and one that the bridge has left is joined again. Who enters a
// room of this server is that room's matter.
func (m *Module) guardJoin(ctx context.Context, v *event.RoomJoin) error {
	room, who := v.Occupant.Room, v.Occupant.Real
	b := m.byHost[room.Domain()]
	if b == nil || v.Occupant.Puppet {
		return nil
	}
	if !b.mayUse(who) {
		return b.notAllowed()
	}
	p, err := b.portals.byRoom(ctx, room)
	if err != nil || p != nil {
		return err
	}
	if err := b.movedTo(ctx, who, room); err != nil {
		return err
	}
	return event.Pending(m.o.Tune.JoinTimeout, func(resolve func(error)) {
		if !m.run(func(ctx context.Context) { resolve(b.lead(ctx, who, room)) }) {
			resolve(stanza.NewError(stanza.ServiceUnavailable, "The server is being stopped."))
		}
	})
}

// movedTo refuses the address of a room that is linked, and says where it is (RFC 6120 §8.3.3.5).
func (b *Bridge) movedTo(ctx context.Context, asker, room jid.JID) error {
	key, err := b.m.d.Store.Table(tableHomes).Get(ctx, b.spec.Name, room.String())
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("gateway: read portal: %w", err)
	}
	p, err := b.portals.byText(ctx, string(key))
	if err != nil || p == nil || p.room() == room {
		return err
	}
	b.invite(ctx, asker, p.room(), "This room is now "+p.room().String()+".")
	return &stanza.Error{Condition: stanza.Gone, URI: "xmpp:" + p.room().String() + "?join",
		Text: "This room is now " + p.room().String() + ". You have been sent an invitation to it."}
}

// login is the own account of the person that a direct chat is of, "" if she has none.
func (p *portal) login(ctx context.Context) sdk.LoginID {
	who, ok := p.person(ctx)
	if !ok {
		return ""
	}
	return p.b.loginOf(who)
}

// opened returns the portal key that an operation goes to. A direct chat is opened on the network when the first message goes there.
func (p *portal) opened(ctx context.Context, i *instance, s sdk.Sender) (sdk.PortalKey, error) {
	p.mu.Lock()
	st := p.state
	p.mu.Unlock()
	if st.Gone {
		return st.Remote, sdk.Refuse(sdk.CodeRoomGone, "the room is no longer bridged")
	}
	if st.Remote.Room != "" {
		return st.Remote, nil
	}
	if !i.remote.Can(sdk.AbilityDM) {
		return st.Remote, sdk.Refuse(sdk.CodeUnsupported, "people on this network cannot be written to from here")
	}
	ctx, cancel := context.WithTimeout(ctx, p.b.m.o.Tune.JoinTimeout)
	defer cancel()
	info, err := i.remote.CreateDM(ctx, sdk.CreateDMRequest{For: s, Users: []sdk.RemoteUserID{st.User}, Login: p.login(ctx)})
	if err != nil {
		return st.Remote, err
	}
	if info.Portal.Room == "" {
		return st.Remote, errors.New("the bridge opened a chat without an id")
	}
	return info.Portal, p.bind(ctx, info.Portal)
}
