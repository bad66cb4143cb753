package discord

import (
	"context"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// guildEvent works on what concerns guilds, channels and members.
func (c *Connector) guildEvent(ctx context.Context, d dispatch) []sdk.Event {
	switch d.Kind {
	case "GUILD_CREATE":
		if g, ok := decode[discordgo.Guild](c, d); ok {
			c.api.limits.forgive()
			c.addGuild(ctx, g)
		}
	case "GUILD_DELETE":
		return c.guildGone(d)
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE":
		c.role(d)
	case "GUILD_UPDATE":
		if g, ok := decode[discordgo.Guild](c, d); ok {
			c.world.renameGuild(g)
		}
	case "CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE":
		return c.channelChanged(d)
	case "CHANNEL_DELETE", "THREAD_DELETE":
		return c.channelGone(d)
	case "THREAD_LIST_SYNC":
		if e, ok := decode[discordgo.ThreadListSync](c, d); ok {
			for _, t := range e.Threads {
				t.GuildID = e.GuildID
				c.world.setChannel(*t)
			}
		}
	case "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE":
		return c.memberChanged(d)
	case "GUILD_MEMBER_REMOVE", "GUILD_BAN_ADD", "GUILD_BAN_REMOVE":
		return c.memberGone(d)
	}
	return nil
}

func (c *Connector) guildGone(d dispatch) []sdk.Event {
	g, ok := decode[discordgo.Guild](c, d)
	if !ok || g.Unavailable { // an outage of Discord's, not the end
		return nil
	}
	var out []sdk.Event
	for _, id := range c.world.dropGuild(g.ID) {
		out = append(out, c.gone(d, id, sdk.CodeForbidden, "the bot was removed from the server"))
	}
	return out
}

func (c *Connector) gone(d dispatch, channel string, code sdk.Code, reason string) sdk.Event {
	e := &sdk.PortalGone{Code: code, Reason: reason}
	e.EventHeader = sdk.EventHeader{Portal: portal(channel), ID: sdk.EventID("gone-" + channel), Version: d.version(), Time: c.opt.Now()}
	return e
}

func (c *Connector) role(d dispatch) {
	e, ok := decode[struct {
		discordgo.GuildRole
		RoleID string `json:"role_id"` // of one that was deleted
	}](c, d)
	if !ok {
		return
	}
	c.api.limits.forgive()
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	g := c.world.guilds[e.GuildID]
	switch {
	case g == nil:
	case d.Kind == "GUILD_ROLE_DELETE":
		delete(g.roles, e.RoleID)
	case e.Role != nil:
		g.roles[e.Role.ID] = *e.Role
	}
}

// renameGuild takes what may change of a guild itself.
func (w *world) renameGuild(n discordgo.Guild) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[n.ID]; g != nil {
		g.Name, g.OwnerID, g.PremiumTier, g.Icon = n.Name, n.OwnerID, n.PremiumTier, n.Icon
		for _, r := range n.Roles {
			g.roles[r.ID] = *r
		}
	}
}

// channelChanged tells of a new name or topic.
func (c *Connector) channelChanged(d dispatch) []sdk.Event {
	ch, ok := decode[discordgo.Channel](c, d)
	if !ok || !c.world.bridged(ch.GuildID) {
		return nil
	}
	c.api.limits.forgive()
	old, known := c.world.setChannel(ch)
	if !known || !isRoom(&ch) || !c.rooms.wanted(ch.ID) || old.Name == ch.Name && old.Topic == ch.Topic {
		return nil
	}
	e := &sdk.RoomChanged{}
	e.EventHeader = sdk.EventHeader{Portal: portal(ch.ID), ID: sdk.EventID("channel-" + ch.ID), Version: d.version(), Time: c.opt.Now()}
	if old.Name != ch.Name {
		e.Name = &ch.Name
	}
	if old.Topic != ch.Topic {
		e.Topic = &ch.Topic
	}
	return []sdk.Event{e}
}

func (c *Connector) channelGone(d dispatch) []sdk.Event {
	ch, ok := decode[discordgo.Channel](c, d)
	if !ok || !c.world.bridged(ch.GuildID) {
		return nil
	}
	c.world.dropChannel(ch.ID)
	if !isRoom(&ch) {
		return nil
	}
	return []sdk.Event{c.gone(d, ch.ID, sdk.CodeRoomGone, "the channel was deleted")}
}

// roomsOf are the wanted rooms of a guild that a member sees.
func (c *Connector) roomsOf(guildID, user string) []string {
	var out []string
	for _, ch := range c.world.rooms() {
		if ch.GuildID == guildID && c.rooms.wanted(ch.ID) && c.world.rightsIn(user, ch.ID)&permView != 0 {
			out = append(out, ch.ID)
		}
	}
	return out
}

// memberChanged tells of joins, names and faces. A nick is the guild's: it changes in
// each of its rooms; the name and face of the account change everywhere.
func (c *Connector) memberChanged(d dispatch) []sdk.Event {
	m, ok := decode[discordgo.Member](c, d)
	if !ok || m.User == nil {
		return nil
	}
	old, known := c.world.setMember(m.GuildID, m)
	me, _ := c.world.self()
	if m.User.ID == me {
		c.api.limits.forgive() // its roles may have changed
		return nil
	}
	var out []sdk.Event
	if d.Kind == "GUILD_MEMBER_ADD" {
		for _, room := range c.roomsOf(m.GuildID, m.User.ID) {
			out = append(out, c.membership(d, room, m, sdk.MembershipJoin))
		}
		return out
	}
	if !known || old.User == nil {
		return nil
	}
	head := sdk.EventHeader{ID: sdk.EventID("user-" + m.User.ID), Version: d.version(), Time: c.opt.Now(), Actor: sdk.Party{User: sdk.RemoteUserID(m.User.ID)}}
	if !sameUser(old.User, m.User) {
		out = append(out, &sdk.UserChanged{EventHeader: head, User: c.userInfo("", discordgo.Member{User: m.User})})
	}
	if nameOf(old) != nameOf(m) || old.Avatar != m.Avatar || !sameUser(old.User, m.User) && (m.Nick != "" || m.Avatar != "") {
		for _, room := range c.roomsOf(m.GuildID, m.User.ID) {
			head.Portal = portal(room)
			out = append(out, &sdk.UserChanged{EventHeader: head, User: c.userInfo(m.GuildID, m)})
		}
	}
	return out
}

func (c *Connector) membership(d dispatch, room string, m discordgo.Member, change sdk.MembershipChange) sdk.Event {
	e := &sdk.Membership{Member: sdk.Party{User: sdk.RemoteUserID(m.User.ID)}, Change: change}
	e.EventHeader = sdk.EventHeader{Portal: portal(room), ID: sdk.EventID("member-" + m.User.ID), Version: d.version(), Time: c.opt.Now()}
	if change == sdk.MembershipJoin {
		info := c.userInfo(m.GuildID, m)
		e.Profile, e.Actor = &info, e.Member
	}
	return e
}

// memberGone tells of leaving, bans and their end.
func (c *Connector) memberGone(d dispatch) []sdk.Event {
	m, ok := decode[discordgo.Member](c, d)
	if !ok || m.User == nil {
		return nil
	}
	changes := map[string]sdk.MembershipChange{
		"GUILD_MEMBER_REMOVE": sdk.MembershipLeave, "GUILD_BAN_ADD": sdk.MembershipBan, "GUILD_BAN_REMOVE": sdk.MembershipUnban,
	}
	rooms := c.roomsOf(m.GuildID, m.User.ID)
	if d.Kind == "GUILD_MEMBER_REMOVE" {
		c.world.dropMember(m.GuildID, m.User.ID)
	}
	var out []sdk.Event
	for _, room := range rooms {
		out = append(out, c.membership(d, room, m, changes[d.Kind]))
	}
	return out
}
