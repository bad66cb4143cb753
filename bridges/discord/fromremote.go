package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// translate makes events of one of the gateway's.
func (c *Connector) translate(ctx context.Context, d dispatch) ([]sdk.Event, []sdk.CursorMark) {
	switch d.Kind {
	case "MESSAGE_CREATE":
		if m, ok := decode[message](c, d); ok {
			return c.arrived(ctx, m, false)
		}
	case "MESSAGE_UPDATE":
		if m, ok := decode[message](c, d); ok {
			return c.edit(ctx, m), nil
		}
	case "MESSAGE_DELETE", "MESSAGE_DELETE_BULK":
		return c.deleted(ctx, d), nil
	case "MESSAGE_REACTION_ADD":
		return c.reaction(ctx, d, sdk.ReactionAdd), nil
	case "MESSAGE_REACTION_REMOVE":
		return c.reaction(ctx, d, sdk.ReactionRemove), nil
	case "MESSAGE_REACTION_REMOVE_ALL":
		return c.reaction(ctx, d, sdk.ReactionClear), nil
	case "MESSAGE_REACTION_REMOVE_EMOJI":
		return c.reaction(ctx, d, sdk.ReactionClearOne), nil
	case "WEBHOOKS_UPDATE":
		if e, ok := decode[discordgo.WebhooksUpdate](c, d); ok {
			c.hooks.changed(e.ChannelID)
		}
	default:
		return c.guildEvent(ctx, d), nil
	}
	return nil, nil
}

func decode[T any](c *Connector, d dispatch) (T, bool) {
	var v T
	if err := json.Unmarshal(d.Data, &v); err != nil {
		c.log.Warn("event not read", "kind", d.Kind, "error", err)
		return v, false
	}
	return v, true
}

// version tells one event of the gateway from every other.
func (d dispatch) version() string { return fmt.Sprintf("%s.%d", d.Place.Session, d.Seq) }

// locate is the room a channel is shown in, and the thread; ok is false if it is
// not bridged or nobody wants it.
func (c *Connector) locate(ctx context.Context, channel string) (room, thread string, ok bool) {
	ch, err := c.world.load(ctx, c.api, channel)
	if err != nil || !c.world.bridged(ch.GuildID) {
		return "", "", false
	}
	room = ch.ID
	if ch.IsThread() {
		parent, err := c.world.load(ctx, c.api, ch.ParentID)
		if err != nil {
			return "", "", false
		}
		room, thread, ch = parent.ID, ch.ID, parent
	}
	return room, thread, isRoom(&ch) && c.rooms.wanted(room)
}

func portal(room string) sdk.PortalKey { return sdk.PortalKey{Room: sdk.RemoteRoomID(room)} }

func messageRef(thread, id string) sdk.MessageRef {
	return sdk.MessageRef{ID: sdk.RemoteMessageID(discordid.Message{Thread: thread, ID: id}.String())}
}

// ours reports whether a message was written by this bridge.
func (c *Connector) ours(m message) bool {
	me, app := c.world.self()
	if m.Author != nil && m.Author.ID == me {
		return true
	}
	return m.WebhookID != "" && (m.App != "" && m.App == app || c.hooks.mine(m.WebhookID))
}

// deleted takes messages back that somebody deleted on Discord; not those that we did.
func (c *Connector) deleted(ctx context.Context, d dispatch) []sdk.Event {
	e, ok := decode[struct {
		discordgo.MessageDeleteBulk
		ID string `json:"id"` // of a single one
	}](c, d)
	room, thread, here := c.locate(ctx, e.ChannelID)
	if !ok || !here {
		return nil
	}
	if e.ID != "" {
		e.Messages = append(e.Messages, e.ID)
	}
	var out []sdk.Event
	for _, id := range e.Messages {
		if _, mine := c.removed.get(id); mine {
			continue
		}
		r := &sdk.Retract{Target: messageRef(thread, id)}
		r.EventHeader = sdk.EventHeader{Portal: portal(room), ID: sdk.EventID("delete-" + id), Time: c.opt.Now()}
		// Discord does not say who did it. The author is who is supposed to have.
		if user, known := c.authors(id); known {
			r.Actor = sdk.Party{User: sdk.RemoteUserID(user)}
		} else if _, ours := c.sent.get(id); ours {
			r.Moderated = true
		}
		out = append(out, r)
	}
	return out
}

// reaction passes a reaction on; the bot's own are what XMPP people did.
func (c *Connector) reaction(ctx context.Context, d dispatch, change sdk.ReactionChange) []sdk.Event {
	e, ok := decode[discordgo.MessageReaction](c, d)
	room, thread, here := c.locate(ctx, e.ChannelID)
	me, _ := c.world.self()
	if !ok || !here || e.UserID == me {
		return nil
	}
	r := &sdk.Reaction{Target: messageRef(thread, e.MessageID), Change: change}
	r.EventHeader = sdk.EventHeader{
		Portal: portal(room), ID: sdk.EventID("react-" + e.MessageID + "-" + e.UserID), Version: d.version(), Time: c.opt.Now(), Actor: sdk.Party{User: sdk.RemoteUserID(e.UserID)},
	}
	if change != sdk.ReactionClear {
		r.Emoji = []sdk.Emoji{emojiOf(e.Emoji)}
	}
	return []sdk.Event{r}
}

func emojiOf(e discordgo.Emoji) sdk.Emoji {
	if e.ID == "" {
		return sdk.Emoji{Text: e.Name}
	}
	name := e.Name
	if name == "" {
		name = "emoji" // it was deleted
	}
	return sdk.Emoji{Text: ":" + name + ":", ID: e.ID, Media: emojiPicture(e.ID, name)}
}

// presence passes somebody's presence on, if anybody cares.
func (c *Connector) presence(raw json.RawMessage) {
	var p discordgo.PresenceUpdate
	if json.Unmarshal(raw, &p) != nil || p.User == nil || !c.world.bridged(p.GuildID) {
		return
	}
	c.world.mu.Lock()
	if g := c.world.guilds[p.GuildID]; g != nil {
		g.presences[p.User.ID] = p.Presence
	}
	c.world.mu.Unlock()
	if c.cfg.Presence && c.watch.has(p.User.ID) {
		c.signals.Put(presenceOf(p.Presence, c.opt.Now()))
	}
}

func (c *Connector) typing(raw json.RawMessage) {
	var t discordgo.TypingStart
	me, _ := c.world.self()
	if json.Unmarshal(raw, &t) != nil || t.UserID == me {
		return
	}
	ch, ok := c.world.channel(t.ChannelID)
	if ok && ch.IsThread() {
		ch, ok = c.world.channel(ch.ParentID)
	}
	if !ok || !isRoom(&ch) || !c.rooms.wanted(ch.ID) {
		return
	}
	c.signals.Put(&sdk.Typing{Portal: portal(ch.ID), Who: sdk.Party{User: sdk.RemoteUserID(t.UserID)}, Active: true, Expires: 10 * time.Second})
}
