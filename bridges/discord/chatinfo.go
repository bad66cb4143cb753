package discord

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// room finds a channel that is a room.
func (c *Connector) room(ctx context.Context, p sdk.PortalKey) (discordgo.Channel, error) {
	if err := c.started(); err != nil {
		return discordgo.Channel{}, err
	}
	id := string(p.Room)
	if !discordid.Valid(id) || p.Login != "" {
		return discordgo.Channel{}, sdk.Refuse(sdk.CodeNotFound, "there is no channel %q", p.Room)
	}
	ch, err := c.world.load(ctx, c.api, id)
	if err != nil {
		return discordgo.Channel{}, explain("the channel cannot be used", err)
	}
	switch {
	case !c.world.bridged(ch.GuildID):
		return discordgo.Channel{}, sdk.Refuse(sdk.CodeBlocked, "the channel's server is not bridged")
	case !isRoom(&ch):
		return discordgo.Channel{}, sdk.Refuse(sdk.CodeUnsupported, "only text channels can be rooms")
	}
	return ch, nil
}

// info describes a channel without its members.
func (c *Connector) info(ch discordgo.Channel) sdk.ChatInfo {
	caps := capabilities()
	guild, slug, _ := c.world.guildOf(ch.GuildID)
	me, _ := c.world.self()
	rights := c.world.rightsIn(me, ch.ID)
	info := sdk.ChatInfo{
		Portal: portal(ch.ID), Kind: sdk.ChatRoom, Name: ch.Name, Topic: ch.Topic, Link: discordid.Link(ch.GuildID, ch.ID, ""), MemberCount: -1,
		Parent: sdk.RemoteRoomID(ch.GuildID), Own: sdk.RoleMember, Capabilities: &caps,
	}
	name := strings.ToLower(ch.Name)
	if slug != "" && name != "" {
		info.Aliases = []string{"#" + name + ":" + slug, "#" + name + ":" + ch.GuildID}
	}
	if guild == "" {
		return info
	}
	if rights&permManageMessage != 0 {
		info.Own = sdk.RoleModerator
	}
	for _, r := range wantedRights() {
		if rights&r.bit != 0 {
			continue
		}
		info.Missing = append(info.Missing, r.name+": "+r.lost)
		switch r.bit {
		case permReact:
			caps.Reactions.Level = sdk.LevelNone
		case permManageChannel:
			caps.Topic.Level = sdk.LevelNone
		case permManageMessage:
			caps.ModRetract = sdk.LevelNone
		case permHistory:
			caps.History.Level = sdk.LevelNone
		}
	}
	return info
}

// ChatInfo implements sdk.Bridge. A page goes on after the user its cursor names.
func (c *Connector) ChatInfo(ctx context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	ch, err := c.room(ctx, r.Portal)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	info := c.info(ch)
	if r.After != "" && !discordid.Valid(string(r.After)) {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "there is no such page")
	}
	members := c.members(ch, r.Active)
	if len(members) > 0 {
		info.MemberCount = len(members)
	}
	if r.Members <= 0 {
		return info, nil
	}
	from := 0
	if r.After != "" {
		from = slices.IndexFunc(members, func(m sdk.Member) bool { return string(m.User.ID) == string(r.After) }) + 1
		if from == 0 { // who was last has left
			from = len(members)
		}
	}
	end := min(from+r.Members, len(members))
	info.Members = members[from:end]
	if end < len(members) {
		info.NextMembers = sdk.Cursor(members[end-1].User.ID)
	}
	return info, nil
}

// members are those who see a channel, the bot left out, by id or the most active first.
func (c *Connector) members(ch discordgo.Channel, active bool) []sdk.Member {
	c.world.mu.Lock()
	g := c.world.guilds[ch.GuildID]
	if g == nil {
		c.world.mu.Unlock()
		return nil
	}
	var list []discordgo.Member
	for _, id := range slices.SortedFunc(maps.Keys(g.members), discordid.Compare) {
		if id != c.world.me.ID && c.world.rights(id, &ch)&permView != 0 {
			list = append(list, g.members[id])
		}
	}
	spoke := maps.Clone(c.world.spoke[ch.ID])
	roles, owner := maps.Clone(g.roles), g.OwnerID
	c.world.mu.Unlock()
	out := make([]sdk.Member, 0, len(list))
	for _, m := range list {
		member := sdk.Member{User: c.userInfo(ch.GuildID, m), Role: sdk.RoleMember, Active: spoke[m.User.ID]}
		if rights := c.world.rightsIn(m.User.ID, ch.ID); m.User.ID == owner {
			member.Role = sdk.RoleOwner
		} else if rights&permAdministrator != 0 || rights&permManageChannel != 0 || rights&permBan != 0 {
			member.Role = sdk.RoleAdmin
		} else if rights&permManageMessage != 0 {
			member.Role = sdk.RoleModerator
		} else if rights&permSend == 0 {
			member.Role = sdk.RoleVisitor
		}
		member.Hats = hats(m, roles)
		out = append(out, member)
	}
	if active {
		slices.SortStableFunc(out, func(a, b sdk.Member) int { return b.Active.Compare(a.Active) })
	}
	return out
}

// hats are the roles that Discord's own clients show apart.
func hats(m discordgo.Member, roles map[string]discordgo.Role) []sdk.Hat {
	var out []sdk.Hat
	for _, id := range m.Roles {
		if r, ok := roles[id]; ok && r.Hoist && len(out) < 5 {
			out = append(out, sdk.Hat{ID: sdk.RemoteRoleID(id), Title: r.Name, Colour: uint32(r.Color), Position: int32(r.Position)})
		}
	}
	return out
}

// userInfo is a user as a guild knows her; guild "": as everybody does.
func (c *Connector) userInfo(guildID string, m discordgo.Member) sdk.UserInfo {
	u := m.User
	info := sdk.UserInfo{
		ID: sdk.RemoteUserID(u.ID), Name: nameOf(m), Username: u.Username, Bot: u.Bot, Link: "https://discord.com/users/" + u.ID,
		Deleted: strings.HasPrefix(u.Username, "deleted_user_"),
	}
	switch {
	case m.Avatar != "" && guildID != "":
		info.Avatar = avatar("guilds/"+guildID+"/users/"+u.ID+"/avatars/"+m.Avatar, m.Avatar)
	case u.Avatar != "":
		info.Avatar = avatar("avatars/"+u.ID+"/"+u.Avatar, u.Avatar)
	}
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if g := c.world.guilds[guildID]; g != nil && c.cfg.Presence {
		if p, ok := g.presences[u.ID]; ok {
			info.Presence = presenceOf(p, c.opt.Now())
		}
	}
	return info
}

// UserInfo implements sdk.Bridge.
func (c *Connector) UserInfo(ctx context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	if err := c.started(); err != nil {
		return sdk.UserInfo{}, err
	}
	id := string(r.User)
	if !discordid.Valid(id) {
		return sdk.UserInfo{}, sdk.Refuse(sdk.CodeNotFound, "there is no user %q", r.User)
	}
	guild := ""
	if ch, ok := c.world.channel(string(r.Portal.Room)); ok {
		guild = ch.GuildID
	}
	if m, ok := c.world.member(guild, id); ok && guild != "" {
		return c.userInfo(guild, m), nil
	}
	if guild != "" {
		m, err := get[discordgo.Member](ctx, c.api, "/guilds/"+guild+"/members/"+id, "")
		if err == nil && m.User != nil {
			c.world.setMember(guild, m)
			return c.userInfo(guild, m), nil
		}
		if err != nil && !hasStatus(err, 404) {
			return sdk.UserInfo{}, explain("the member is not known", err)
		}
	}
	// What everybody sees of her is Discord's to say: the guilds are told later.
	u, err := c.api.user(ctx, id)
	if err == nil {
		return c.userInfo("", discordgo.Member{User: u}), nil
	}
	if m, ok := c.world.member("", id); ok {
		return c.userInfo("", m), nil
	}
	return sdk.UserInfo{}, explain("the user is not known", err)
}

// JoinPortal implements sdk.Bridge. The bot sees what it was given to see; to be in
// a room is to know that it is wanted, and from where on.
func (c *Connector) JoinPortal(ctx context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	ch, err := c.room(ctx, r.Portal)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	me, _ := c.world.self()
	if name, _, _ := c.world.guildOf(ch.GuildID); name != "" && c.world.rightsIn(me, ch.ID)&permView == 0 {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeForbidden, "the bot does not see this channel; give it the permission View Channel there")
	}
	c.rooms.join(ch.ID)
	if c.rooms.read(ch.ID, "") == "" {
		if _, err := c.host.Deliver(ctx, sdk.Batch{Cursors: []sdk.CursorMark{c.rooms.advance(ch.ID, "", youngestOf(&ch))}}); err != nil {
			return sdk.ChatInfo{}, err
		}
	}
	members := r.Members
	if members == 0 {
		members = 200
	}
	return c.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: portal(ch.ID), Members: members, Active: true})
}

// LeavePortal implements sdk.Bridge.
func (c *Connector) LeavePortal(ctx context.Context, r sdk.LeaveRequest) error {
	if err := c.started(); err != nil {
		return err
	}
	c.rooms.leave(string(r.Portal.Room))
	if r.Forget && discordid.Valid(string(r.Portal.Room)) {
		return c.hooks.forget(ctx, string(r.Portal.Room))
	}
	return nil
}
