package muc

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// How many persistent rooms one person may keep (XEP-0045 §14.6). A room counts for who has made it persistent, as long as it is.

// count decides on a configuration that makes the room persistent, and notes in it for whom it counts.
func (a *actor) count(c *room.Config, actor room.Actor) error {
	switch {
	case !c.Persistent:
		c.Keeper = ""
		return nil
	case !temporary(a.room.Config) || a.m.o.PerAccount < 0 || actor.Service: // it has been persistent before
		return nil
	}
	keeper := actor.Bare.String()
	rows, err := a.m.d.Store.Table(tableKeepers).Range(a.ctx, keeper, "", "", a.m.o.PerAccount, false)
	if err != nil {
		return fmt.Errorf("muc: count rooms: %w", err)
	}
	if len(rows) >= a.m.o.PerAccount {
		return stanza.NewError(stanza.NotAcceptable, fmt.Sprintf("you keep %d rooms already; let go of one first", len(rows))) // §10.1.3
	}
	c.Keeper = keeper
	return nil
}
