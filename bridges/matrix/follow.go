package matrix

import (
	"context"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
)

// follow goes after a room that was upgraded: its portal is the new room as soon
// as the host has the RoomMoved, and the bot must be there.
func (c *Connector) follow(ev *event.Event) {
	if ev.Type.Type != event.StateTombstone.Type || ev.StateKey == nil || *ev.StateKey != "" {
		return
	}
	t, ok := ev.Content.Parsed.(*event.TombstoneEventContent)
	if !ok {
		return
	}
	if to, err := matrixid.Parse(string(t.ReplacementRoom)); err != nil || to.Kind != matrixid.KindRoom {
		return
	}
	via := []string{matrixid.Server(string(ev.Sender))}
	c.errand("room not followed", func(ctx context.Context) error { return c.moveTo(ctx, c.rooms.get(ev.RoomID), t.ReplacementRoom, via) })
}

func (c *Connector) moveTo(ctx context.Context, from *room, to id.RoomID, via []string) error {
	self, err := c.me()
	if err != nil {
		return err
	}
	if err := from.take(ctx); err != nil {
		return err
	}
	was := from.portal
	from.release()
	if !was {
		return nil
	}
	r := c.rooms.get(to)
	c.changeRoom(ctx, to, func(rec *roomRecord) { rec.Via = via })
	if err := c.join(ctx, string(to), self.bot, via); err != nil {
		return err
	}
	r.setJoined(self.bot, true)
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	r.portal = true
	return c.fillFirst(ctx, r)
}

// errand queues what takes longer than the homeserver waits for an answer. The
// queue is bounded; what does not fit is dropped: somebody floods us.
func (c *Connector) errand(what string, do func(ctx context.Context) error) {
	select {
	case c.errands <- func(ctx context.Context) {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn(what, "error", err)
		}
	}:
	default:
		c.log.Warn("too much at a time", "dropped", what)
	}
}
