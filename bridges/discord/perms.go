package discord

import "slices"

// Permissions ("Permissions", Bitwise Permission Flags).
const (
	permAdministrator uint64 = 1 << 3
	permManageChannel uint64 = 1 << 4
	permReact         uint64 = 1 << 6
	permView          uint64 = 1 << 10
	permSend          uint64 = 1 << 11
	permManageMessage uint64 = 1 << 13
	permEmbed         uint64 = 1 << 14
	permAttach        uint64 = 1 << 15
	permHistory       uint64 = 1 << 16
	permExternalEmoji uint64 = 1 << 18
	permBan           uint64 = 1 << 2
	permWebhooks      uint64 = 1 << 29
	permThreads       uint64 = 1 << 35
	permSendInThreads uint64 = 1 << 38
)

// right is a permission that the bridge asks for, and what is lost without it.
type right struct {
	bit  uint64
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
		p |= r.bit
	}
	return p
}

// rights are a member's permissions in a channel ("Permissions", Permission
// Hierarchy); the world's lock is held.
func (w *world) rights(user string, c *wireChannel) uint64 {
	if c.thread() {
		parent := w.channels[c.Parent]
		if parent == nil {
			return 0
		}
		return w.rights(user, parent)
	}
	g := w.guilds[c.Guild]
	if g == nil {
		return 0
	}
	if user == g.Owner {
		return ^uint64(0)
	}
	m := g.members[user]
	base := g.roles[g.ID].Permissions
	for _, id := range m.Roles {
		base |= g.roles[id].Permissions
	}
	if base&permAdministrator != 0 {
		return ^uint64(0)
	}
	apply := func(has func(id string) bool) {
		var allow, deny uint64
		for _, o := range c.Overwrites {
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
func (w *world) rightsIn(user, channel string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channels[channel]
	if c == nil {
		return 0
	}
	return w.rights(user, c)
}
