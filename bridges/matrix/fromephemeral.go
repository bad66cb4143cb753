package matrix

import (
	"context"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ephemeralEvent passes on typing, receipts and presence. What is lost is lost.
func (c *Connector) ephemeralEvent(ctx context.Context, ev *event.Event) {
	ev.Type.Class = event.EphemeralEventType
	if err := ev.Content.ParseRaw(ev.Type); err != nil {
		return
	}
	switch content := ev.Content.Parsed.(type) {
	case *event.TypingEventContent:
		c.typingFrom(ctx, ev.RoomID, content.UserIDs)
	case *event.ReceiptEventContent:
		c.receiptsFrom(ctx, ev.RoomID, *content)
	case *event.PresenceEventContent:
		c.presenceFrom(ctx, ev.Sender, content)
	}
}

// typingFrom compares the list of those who type with the one before: Matrix
// tells the whole list each time.
func (c *Connector) typingFrom(ctx context.Context, name id.RoomID, users []id.UserID) {
	if name == "" || len(users) > 1000 {
		return
	}
	r := c.rooms.get(name)
	now := map[id.UserID]bool{}
	for _, user := range users {
		if !c.ours(user) {
			now[user] = true
		}
	}
	r.mu.Lock()
	before := r.typing
	r.typing = now
	r.mu.Unlock()
	say := func(user id.UserID, active bool) {
		who, _ := c.party(ctx, user)
		c.host.Signal(&sdk.Typing{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(name)}, Who: who, Active: active})
	}
	for user := range now {
		say(user, true)
	}
	for user := range before {
		if !now[user] {
			say(user, false)
		}
	}
}

func (c *Connector) receiptsFrom(ctx context.Context, name id.RoomID, receipts event.ReceiptEventContent) {
	for upTo, kinds := range receipts {
		for user, receipt := range kinds[event.ReceiptTypeRead] {
			if c.ours(user) || receipt.ThreadID != "" && receipt.ThreadID != event.ReadReceiptThreadMain {
				continue
			}
			who, _ := c.party(ctx, user)
			c.host.Signal(&sdk.ReadState{
				Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(name)}, Who: who,
				UpTo: sdk.MessageRef{ID: sdk.RemoteMessageID(upTo)}, Time: receipt.Timestamp,
			})
		}
	}
}

func (c *Connector) presenceFrom(ctx context.Context, user id.UserID, p *event.PresenceEventContent) {
	if user == "" || c.ours(user) || !c.conf.Presence {
		return
	}
	who, _ := c.party(ctx, user)
	signal := &sdk.Presence{Who: who, Show: showOf(p.Presence), Status: short(p.StatusMessage, 500)}
	if ago := time.Duration(p.LastActiveAgo) * time.Millisecond; ago > 0 && !p.CurrentlyActive {
		signal.Since = c.now().Add(-ago)
	}
	c.host.Signal(signal)
}

func showOf(p event.Presence) sdk.Show {
	shows := map[event.Presence]sdk.Show{
		event.PresenceOnline: sdk.ShowOnline, event.PresenceUnavailable: sdk.ShowAway, event.PresenceOffline: sdk.ShowOffline,
		"busy": sdk.ShowBusy, "org.matrix.msc3026.busy": sdk.ShowBusy,
	}
	return shows[p]
}

// presenceOf: Matrix has no "busy" of its own; the status text says it.
func presenceOf(s sdk.Show) event.Presence {
	switch s {
	case sdk.ShowOnline, sdk.ShowBusy:
		return event.PresenceOnline
	case sdk.ShowAway, sdk.ShowLongAway:
		return event.PresenceUnavailable
	}
	return event.PresenceOffline
}

// isEphemeral tells the sorts apart that are passed on.
func isEphemeral(t string) bool {
	return slices.Contains([]string{"m.typing", "m.receipt", "m.presence"}, strings.TrimSpace(t))
}
