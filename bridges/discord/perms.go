package discord

import (
	"slices"

	"github.com/bwmarrin/discordgo"
)

// Permissions ("Permissions", Bitwise Permission Flags).
const (
	permAdministrator int64 = discordgo.PermissionAdministrator
	permManageChannel int64 = discordgo.PermissionManageChannels
	permReact         int64 = discordgo.PermissionAddReactions
	permView          int64 = discordgo.PermissionViewChannel
	permSend          int64 = discordgo.PermissionSendMessages
	permManageMessage int64 = discordgo.PermissionManageMessages
	permEmbed         int64 = discordgo.PermissionEmbedLinks
	permAttach        int64 = discordgo.PermissionAttachFiles
	permHistory       int64 = discordgo.PermissionReadMessageHistory
	permExternalEmoji int64 = discordgo.PermissionUseExternalEmojis
	permBan           int64 = discordgo.PermissionBanMembers
	permWebhooks      int64 = discordgo.PermissionManageWebhooks
	permThreads       int64 = discordgo.PermissionCreatePublicThreads
	permSendInThreads int64 = discordgo.PermissionSendMessagesInThreads
	permEvery         int64 = -1 // all bits
)

// right is a permission that the bridge asks for, and what is lost without it.
type right struct {
	bit  int64
	name string // as Discord's settings call it
	lost string
	need bool // nothing works without it
}

func wantedRights() []right {
	return []right{
		{permView, "View Channels", "the channel cannot be read at all", true},
		{permWebhooks, "Manage Webhooks", "nobody can speak into the channel", true},
		{permHistory, "Read Message History", "what is missed during an outage stays missed, and messages whose outcome is in doubt may appear twice", true},
		{permManageMessage, "Manage Messages", "messages of Discord's people cannot be taken back by moderators of the XMPP side", false},
		{permReact, "Add Reactions", "reactions of XMPP people are not shown", false},
		{permExternalEmoji, "Use External Emoji", "reactions with emoji of other servers are not shown", false},
		{permThreads, "Create Public Threads", "a thread that begins in XMPP stays a reply", false},
		{permSendInThreads, "Send Messages in Threads", "threads are only read", false},
		{permManageChannel, "Manage Channels", "the topic cannot be changed from XMPP", false},
		{permAttach, "Attach Files", "files may not be shown", false},
		{permEmbed, "Embed Links", "links have no previews", false},
		{permSend, "Send Messages", "the bot itself cannot write", false},
	}
}

// invitePermissions is the integer for the invitation.
func invitePermissions() uint64 {
	var p uint64
	for _, r := range wantedRights() {
		p |= uint64(r.bit)
	}
	return p
}

// rights are a member's permissions in a channel ("Permissions", Permission
// Hierarchy); the world's lock is held.
func (w *world) rights(user string, c *discordgo.Channel) int64 {
	if c.IsThread() {
		parent := w.channels[c.ParentID]
		if parent == nil {
			return 0
		}
		return w.rights(user, parent)
	}
	g := w.guilds[c.GuildID]
	if g == nil {
		return 0
	}
	if user == g.OwnerID {
		return permEvery
	}
	m := g.members[user]
	base := g.roles[g.ID].Permissions
	for _, id := range m.Roles {
		base |= g.roles[id].Permissions
	}
	if base&permAdministrator != 0 {
		return permEvery
	}
	apply := func(has func(id string) bool) {
		var allow, deny int64
		for _, o := range c.PermissionOverwrites {
			if has(o.ID) {
				allow |= o.Allow
				deny |= o.Deny
			}
		}
		base = base&^deny | allow
	}
	apply(func(id string) bool { return id == g.ID })
	apply(func(id string) bool { return slices.Contains(m.Roles, id) })
	apply(func(id string) bool { return id == user })
	if base&permView == 0 {
		return 0
	}
	return base
}

// rightsIn is rights by id, with the lock taken.
func (w *world) rightsIn(user, channel string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channels[channel]
	if c == nil {
		return 0
	}
	return w.rights(user, c)
}
