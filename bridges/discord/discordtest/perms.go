package discordtest

import "slices"

// permissions of a user in a channel ("Permissions", Permission Hierarchy); the lock is held.
func (s *Server) permissions(user string, c *Channel) uint64 {
	if c.Guild == "" {
		if slices.Contains(c.Recipients, user) {
			return PermDefault
		}
		return 0
	}
	if c.thread() {
		parent := s.channels[c.Parent]
		p := s.permissions(user, parent)
		// "SEND_MESSAGES has no effect in threads".
		if p&PermSendInThreads == 0 {
			p &^= PermSend
		} else {
			p |= PermSend
		}
		return p
	}
	g := s.guilds[c.Guild]
	m := g.member(user)
	if m == nil {
		return 0
	}
	base := g.role(g.ID).Permissions
	for _, id := range m.Roles {
		if r := g.role(id); r != nil {
			base |= r.Permissions
		}
	}
	if user == g.Owner || base&PermAdministrator != 0 {
		return ^uint64(0)
	}
	apply := func(ids ...string) {
		var allow, deny uint64
		for _, o := range c.Overwrites {
			if slices.Contains(ids, o.ID) {
				allow |= o.Allow
				deny |= o.Deny
			}
		}
		base = base&^deny | allow
	}
	apply(g.ID)
	apply(m.Roles...)
	apply(user)
	if base&PermView == 0 {
		return 0
	}
	return base
}

// guildPermissions are those that do not depend on a channel.
func (s *Server) guildPermissions(user string, g *Guild) uint64 {
	return s.permissions(user, &Channel{Guild: g.ID})
}

// Permit gives a member a role of its own with permissions in all channels.
func (s *Server) Permit(guild, user string, permissions uint64) {
	role := s.AddRole(guild, "permit", permissions)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	m := g.member(user)
	m.Roles = append(m.Roles, role)
	s.dispatch(event{kind: "GUILD_MEMBER_UPDATE", guild: guild, intent: IntentMembers, data: s.memberJSON(g, m, true)})
}

// Overwrite changes what a role or member may do in a channel.
func (s *Server) Overwrite(channel, id string, allow, deny uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	c.Overwrites = append(c.Overwrites, Overwrite{id, allow, deny})
	s.dispatch(event{kind: "CHANNEL_UPDATE", guild: c.Guild, channel: channel, intent: IntentGuilds, data: s.channelJSON(c)})
}
