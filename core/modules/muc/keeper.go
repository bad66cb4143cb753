package muc

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What an administrator of the server does to rooms: core/admin's RoomKeeper.

// Errors of the administrator's calls.
var (
	ErrRoomExists  = errors.New("muc: the room exists already")
	ErrBridgedRoom = errors.New("muc: a bridge's rooms are kept on the other network; change it there")
	ErrLastOwner   = errors.New("muc: a room needs an owner; make somebody else one first")
)

// keep is call for rooms that are nobody's but the server's.
func (m *Module) keep(ctx context.Context, at jid.JID, fn func(a *actor, in *inbound, done func(error))) error {
	if h := m.hosts[at.Domain()]; h != nil && h.spec.Origin != "" {
		return ErrBridgedRoom
	}
	return m.call(ctx, at, exclusive, fn)
}

// Create makes a persistent room with the default configuration, open at once.
func (m *Module) Create(ctx context.Context, at jid.JID, name string, owner jid.JID) error {
	return m.keep(ctx, at, func(a *actor, in *inbound, done func(error)) {
		if a.room != nil {
			done(ErrRoomExists)
			return
		}
		spec := event.RoomSpec{Room: at, Name: name, Persistent: true}
		if err := a.ensureNew(in, spec, map[string]room.Affiliation{owner.Bare().String(): room.Owner}, done); err != nil {
			done(fmt.Errorf("muc: create room: %w", err))
		}
	})
}

// Destroy ends a room, tells who is in it, and removes what is kept of it (XEP-0045 §10.9).
func (m *Module) Destroy(ctx context.Context, at jid.JID, reason string) error {
	return m.keep(ctx, at, func(a *actor, in *inbound, done func(error)) {
		if a.room == nil {
			done(ErrNoRoom)
			return
		}
		v := &event.RoomChange{Room: a.jid, Unit: in.u}
		if err := decide(a, &a.m.ev.Destroyed, v, nil); err != nil {
			done(fmt.Errorf("muc: destroy room: %w", err))
			return
		}
		shown := xmlstream.NewNode(ns.MUCUser, "destroy")
		if reason != "" {
			shown.AddNew("reason").SetText(reason)
		}
		a.drop(in.u)
		a.commit(in.u, func(err error) {
			if err == nil {
				a.end(shown)
				_ = a.m.ev.Destroyed.Committed(a.ctx, v)
			}
			done(err)
		})
	})
}

// SetAffiliation changes what a person is in a room; who is in it learns of it as of an owner's change (XEP-0045 §9, §10).
func (m *Module) SetAffiliation(ctx context.Context, at, who jid.JID, affiliation, reason string) error {
	af, ok := room.ParseAffiliation(affiliation)
	if !ok {
		return fmt.Errorf("muc: unknown affiliation %q", affiliation)
	}
	return m.keep(ctx, at, func(a *actor, in *inbound, done func(error)) {
		if a.room == nil {
			done(ErrNoRoom)
			return
		}
		was := a.room.Affiliation(who)
		if was == room.Owner && af != room.Owner && a.room.Owners() == 1 {
			done(ErrLastOwner)
			return
		}
		v := &event.RoomAffiliation{Room: a.jid, Target: who.Bare(), Affiliation: af.String(), Reason: reason, PreviousAffiliation: was.String(), Unit: in.u}
		if err := decide(a, &a.m.ev.Affiliation, v, nil); err != nil {
			done(fmt.Errorf("muc: set affiliation: %w", err))
			return
		}
		changes := []room.AffiliationChange{{Target: who.Bare().String(), Affiliation: af, Reason: reason}}
		a.changeLists(in, changes, func(err error) {
			if err == nil {
				_ = a.m.ev.Affiliation.Committed(a.ctx, v)
			}
			done(err)
		})
	})
}

// changeLists keeps changes that the service itself makes, and shows them.
func (a *actor) changeLists(in *inbound, changes []room.AffiliationChange, done func(error)) {
	a.saveAffiliations(in.u, changes)
	a.commit(in.u, func(err error) {
		if err == nil {
			a.applyLists(changes, room.Actor{Service: true}, true)()
		}
		done(err)
	})
}

// Occupants returns the nicks in a room, in the order in which they came; nil if nobody is there.
func (m *Module) Occupants(ctx context.Context, at jid.JID) []string {
	var nicks []string
	err := m.call(ctx, at, exclusive, func(a *actor, _ *inbound, done func(error)) {
		if a.room != nil {
			for _, o := range a.room.Occupants() {
				nicks = append(nicks, o.Nick)
			}
		}
		done(nil)
	})
	if err != nil {
		return nil
	}
	return nicks
}
