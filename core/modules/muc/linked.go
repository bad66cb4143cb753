package muc

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What gateways need of rooms that they share or give up (docs/adr/0013-links.md).

// Facts tells how a room is and who is in it.
func (m *Module) Facts(ctx context.Context, at jid.JID) (event.RoomFacts, error) {
	found := make(chan event.RoomFacts, 1) // whoever gives up does not look at it
	err := m.call(ctx, at, immediate, func(a *actor, _ *inbound, done func(error)) {
		var f event.RoomFacts
		if a.room != nil {
			f.Exists, f.NonAnonymous = true, a.room.Config.NonAnonymous
			f.Subject, f.SubjectAt = a.room.Subject.Text, a.room.Subject.At
			for _, o := range a.room.Occupants() {
				for _, s := range o.Sessions {
					f.Occupants = append(f.Occupants, a.value(o, s))
				}
			}
		}
		found <- f
		done(nil)
	})
	if err != nil {
		return event.RoomFacts{}, err
	}
	return <-found, nil
}

// Close puts everybody out of a room that has moved.
func (m *Module) Close(ctx context.Context, c event.RoomClosing) error {
	return m.call(ctx, c.Room, exclusive, func(a *actor, in *inbound, done func(error)) {
		if a.room == nil {
			done(fmt.Errorf("muc: close: %w", ErrNoRoom))
			return
		}
		shown := xmlstream.NewNode(ns.MUCUser, "destroy", "jid", c.To.String())
		if c.Reason != "" {
			shown.AddNew("reason").SetText(c.Reason)
		}
		hidden := a.room.Config.Clone()
		hidden.Public = false
		a.saveConfig(in.u, hidden)
		a.commit(in.u, func(err error) {
			if err == nil {
				a.end(shown)
				a.loaded = false // it is still there, for who comes back one day
			}
			done(err)
		})
	})
}
