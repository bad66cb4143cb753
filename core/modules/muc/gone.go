package muc

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// accountDeleted takes back what rooms have granted an account, in the unit that deletes it: whoever registers the address next is somebody else. A ban
// stays. A room may be left without an owner; an administrator can name one.
func (m *Module) accountDeleted(ctx context.Context, c *event.AccountChange) error {
	who := c.JID.Bare().String()
	var rooms []jid.JID
	for p := (storage.Page{Limit: 1000}); ; {
		page, err := m.d.Store.Rooms().RoomsOf(ctx, who, p)
		if err != nil {
			return fmt.Errorf("muc: rooms of a deleted account: %w", err)
		}
		for _, f := range page {
			if af, ok := room.ParseAffiliation(f.Affiliation); !ok || af == room.Outcast {
				continue
			}
			c.Unit.Add(storage.PutAffiliation{Affiliation: storage.Affiliation{Room: f.Room, JID: who, Affiliation: room.None.String()}})
			if at, err := jid.Parse(f.Room); err == nil {
				rooms = append(rooms, at)
			}
		}
		if len(page) < p.Limit {
			break
		}
		p.After = page[len(page)-1].Room
	}
	c.Unit.Add(storage.DeleteRows{Table: tableKeepers, Owner: who})
	m.goneMu.Lock()
	defer m.goneMu.Unlock()
	m.gone[who] = rooms
	return nil
}

// accountGone says the same to the rooms that are in memory, and to who is in them.
func (m *Module) accountGone(ctx context.Context, c *event.AccountChange) error {
	who := c.JID.Bare().String()
	m.goneMu.Lock()
	rooms := m.gone[who]
	delete(m.gone, who)
	m.goneMu.Unlock()
	for _, at := range rooms {
		if !m.rooms.has(at) { // it will read its lists anew
			continue
		}
		err := m.call(ctx, at, exclusive, func(a *actor, in *inbound, done func(error)) {
			if a.room == nil || a.room.Affiliation(c.JID) <= room.None {
				done(nil)
				return
			}
			a.changeLists(in, []room.AffiliationChange{{Target: who, Affiliation: room.None, Reason: "the account was deleted"}}, done)
		})
		if err != nil {
			return fmt.Errorf("muc: tell %s of a deleted account: %w", at, err)
		}
	}
	return nil
}
