package discordtest

import "slices"

// Join lets a user into a guild.
func (s *Server) Join(guild, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.join(s.guilds[guild], user)
}

func (s *Server) join(g *Guild, user string) {
	if g.member(user) != nil {
		return
	}
	m := &Member{User: s.users[user], Joined: s.opt.Now()}
	g.Members = append(g.Members, m)
	for _, sess := range s.sessions {
		if sess.app.User.ID == user && sess.intents&IntentGuilds != 0 {
			sess.add("GUILD_CREATE", s.guildCreate(sess, g))
		}
	}
	s.dispatch(event{kind: "GUILD_MEMBER_ADD", guild: g.ID, intent: IntentMembers, data: s.memberJSON(g, m, true)})
}

// Leave takes a user out of a guild; a bot that is put out hears GUILD_DELETE.
func (s *Server) Leave(guild, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(s.guilds[guild], user)
}

func (s *Server) leave(g *Guild, user string) {
	g.Members = slices.DeleteFunc(g.Members, func(m *Member) bool { return m.User.ID == user })
	for _, sess := range s.sessions {
		if sess.app.User.ID == user {
			sess.add("GUILD_DELETE", M{"id": g.ID})
		}
	}
	s.dispatch(event{kind: "GUILD_MEMBER_REMOVE", guild: g.ID, intent: IntentMembers, data: M{"guild_id": g.ID, "user": s.users[user].json()}})
}

// BanMember bans and removes a member, Unban lets her in again.
func (s *Server) BanMember(guild, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	g.Bans = append(g.Bans, user)
	s.dispatch(event{kind: "GUILD_BAN_ADD", guild: guild, intent: IntentModeration, data: M{"guild_id": guild, "user": s.users[user].json()}})
	s.leave(g, user)
}

// Unban lifts a ban.
func (s *Server) Unban(guild, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dispatch(event{kind: "GUILD_BAN_REMOVE", guild: guild, intent: IntentModeration, data: M{"guild_id": guild, "user": s.users[user].json()}})
}

// SetNick names a member in a guild.
func (s *Server) SetNick(guild, user, nick string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	m := g.member(user)
	m.Nick = nick
	s.memberChanged(g, m)
}

// SetGlobalName names a user everywhere.
func (s *Server) SetGlobalName(user, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user].GlobalName = name
	s.userChanged(user)
}

func (s *Server) memberChanged(g *Guild, m *Member) {
	s.dispatch(event{kind: "GUILD_MEMBER_UPDATE", guild: g.ID, intent: IntentMembers, data: s.memberJSON(g, m, true)})
}

// userChanged tells every guild the user is in.
func (s *Server) userChanged(user string) {
	for _, id := range s.order {
		if m := s.guilds[id].member(user); m != nil {
			s.memberChanged(s.guilds[id], m)
		}
	}
}

// SetPresence shows a user as online, idle, dnd or offline, with a custom status.
func (s *Server) SetPresence(user, status, custom string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		g := s.guilds[id]
		if m := g.member(user); m != nil {
			m.Status, m.Custom = status, custom
			s.dispatch(event{kind: "PRESENCE_UPDATE", guild: id, intent: IntentPresences, data: presenceJSON(g, m)})
		}
	}
}

// Messages are those of a channel, oldest first; deleted ones stay, marked.
func (s *Server) Messages(channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.messages[channel] {
		out = append(out, m.clone())
	}
	return out
}

// Channel is a channel as it is now.
func (s *Server) Channel(id string) Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[id]; c != nil {
		return *c
	}
	return Channel{}
}

// Threads are the threads of a channel.
func (s *Server) Threads(channel string) []Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Channel
	for _, id := range s.listed {
		if c := s.channels[id]; c.Parent == channel && c.thread() {
			out = append(out, *c)
		}
	}
	return out
}

// MemberNames are the names people of a guild see.
func (s *Server) MemberNames(guild string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.guilds[guild].Members {
		name := m.Nick
		if name == "" {
			name = m.User.GlobalName
		}
		if name == "" {
			name = m.User.Username
		}
		out = append(out, name)
	}
	return out
}

// Calls are all requests so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}
