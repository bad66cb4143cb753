package slacktest

import (
	"encoding/json"
	"slices"
	"strings"
)

// AddUser adds a person and returns her id; her token is "xoxp-" and the name.
func (s *Server) AddUser(name, realName string) string { return s.AddForeigner(name, realName, TeamID) }

// AddForeigner adds a person of another workspace, as Slack Connect brings them.
func (s *Server) AddForeigner(name, realName, team string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id("U")
	u := &User{ID: id, TeamID: team, Name: name, RealName: realName, Token: "xoxp-" + name, Updated: s.opt.Now().Unix(), presence: "away",
		Profile: Profile{RealName: realName, DisplayName: realName, Email: name + "@example.org", AvatarHash: "g" + id}}
	s.picture(u)
	s.users[id] = u
	s.order = append(s.order, id)
	s.userEvent("team_join", u)
	return id
}

// picture sets the addresses of a user's picture.
func (s *Server) picture(u *User) {
	base := s.web.URL + "/avatar/" + u.Profile.AvatarHash
	u.Profile.Image72, u.Profile.Image192, u.Profile.Image512 = base+"_72.png", base+"_192.png", base+"_512.png"
}

// AddBot adds another app, and returns the id of its bot and of its user.
func (s *Server) AddBot(name string) (bot, user string) {
	user = s.AddUser(name, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	bot = s.id("B")
	s.bots[bot] = name
	s.users[user].IsBot, s.users[user].Profile.BotID = true, bot
	return bot, user
}

// AddChannel makes a public channel that the bot is in.
func (s *Server) AddChannel(name string) string { return s.add(name, false) }

// AddPrivate makes a private one that the bot is in.
func (s *Server) AddPrivate(name string) string { return s.add(name, true) }

func (s *Server) add(name string, private bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(name, private)
	c.Members = []string{BotUser}
	return c.ID
}

func (s *Server) channel(name string, private bool) *Channel {
	c := &Channel{ID: s.id("C"), Name: name, Private: private, createdSec: s.opt.Now().Unix()}
	s.channels[c.ID] = c
	s.names = append(s.names, c.ID)
	return c
}

// OpenDM is the direct chat of the bot with a person.
func (s *Server) OpenDM(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openDM(user).ID
}

func (s *Server) openDM(user string) *Channel {
	for _, id := range s.names {
		if s.channels[id].IM == user {
			return s.channels[id]
		}
	}
	c := &Channel{ID: s.id("D"), IM: user, Private: true, Members: []string{user, BotUser}, createdSec: s.opt.Now().Unix()}
	s.channels[c.ID] = c
	s.names = append(s.names, c.ID)
	return c
}

// Join lets somebody enter.
func (s *Server) Join(channel, user string) { s.Invite(channel, user, "") }

// Invite lets somebody enter who was invited.
func (s *Server) Invite(channel, user, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.join(s.channels[channel], user, by)
}

func (s *Server) join(c *Channel, user, by string) {
	if slices.Contains(c.Members, user) {
		return
	}
	c.Members = append(c.Members, user)
	s.append(c, &Message{Type: "message", Subtype: "channel_join", User: user, Text: "<@" + user + "> has joined the channel", Inviter: by})
	ev := map[string]any{"type": "member_joined_channel", "user": user, "channel": c.ID, "channel_type": kindLetter(c), "team": TeamID}
	if by != "" {
		ev["inviter"] = by
	}
	s.channelEvent(c, ev, "channels:read", "groups:read")
}

// Leave lets somebody leave.
func (s *Server) Leave(channel, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(s.channels[channel], user)
}

func (s *Server) leave(c *Channel, user string) {
	i := slices.Index(c.Members, user)
	if i < 0 {
		return
	}
	s.append(c, &Message{Type: "message", Subtype: "channel_leave", User: user, Text: "<@" + user + "> has left the channel"})
	s.channelEvent(c, map[string]any{"type": "member_left_channel", "user": user, "channel": c.ID, "channel_type": kindLetter(c), "team": TeamID}, "channels:read", "groups:read")
	c.Members = slices.Delete(c.Members, i, i+1)
	if user == BotUser {
		kind := "channel_left"
		if c.Private {
			kind = "group_left"
		}
		s.event(map[string]any{"type": kind, "channel": c.ID})
	}
	s.touch()
}

// PlainBlocks is what Slack's client makes of a text that somebody typed.
func PlainBlocks(text string) json.RawMessage {
	raw, err := json.Marshal([]any{map[string]any{"type": "rich_text", "block_id": "b1", "elements": []any{
		map[string]any{"type": "rich_text_section", "elements": []any{map[string]any{"type": "text", "text": text}}},
	}}})
	if err != nil {
		panic(err)
	}
	return raw
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// Say lets somebody write a text as typed, and returns the message's ts.
func (s *Server) Say(channel, user, text string) string {
	return s.Post(channel, Message{User: user, Text: escape(text), Blocks: PlainBlocks(text)})
}

// Reply lets somebody write into a thread.
func (s *Server) Reply(channel, user, thread, text string) string {
	return s.Post(channel, Message{User: user, Text: escape(text), Blocks: PlainBlocks(text), ThreadTS: thread})
}

// Post adds any message.
func (s *Server) Post(channel string, m Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Type = "message"
	if m.Team == "" && s.users[m.User] != nil {
		m.Team = s.users[m.User].TeamID
	}
	return s.append(s.channels[channel], &m)
}

// append adds a message to a channel and tells the bot; s.mu is held.
func (s *Server) append(c *Channel, m *Message) string {
	m.TS = s.ts()
	c.Messages = append(c.Messages, m)
	if m.ThreadTS != "" {
		if root := find(c, m.ThreadTS); root != nil {
			root.ThreadTS = root.TS
			root.ReplyCount++
			root.LatestReply = m.TS
		}
	}
	s.messageEvent(c, m, m.TS)
	s.touch()
	return m.TS
}

func find(c *Channel, ts string) *Message {
	for _, m := range c.Messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

func kindLetter(c *Channel) string {
	if c.Private {
		return "G"
	}
	return "C"
}

func kindName(c *Channel) string {
	switch {
	case c.IM != "":
		return "im"
	case c.Private:
		return "group"
	}
	return "channel"
}

// messageEvent tells the bot of a message, or of a change with its own ts.
func (s *Server) messageEvent(c *Channel, m *Message, eventTS string) {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	var ev map[string]any
	if err := json.Unmarshal(raw, &ev); err != nil {
		panic(err)
	}
	s.inEvent(ev)
	ev["channel"], ev["channel_type"], ev["event_ts"] = c.ID, kindName(c), eventTS
	delete(ev, "reply_count")
	delete(ev, "reactions")
	s.channelEvent(c, ev, "channels:history", "groups:history")
}

// inEvent takes out of a message what events lack.
func (s *Server) inEvent(ev map[string]any) {
	if !s.opt.Metadata {
		delete(ev, "metadata")
	}
	if files, ok := ev["files"].([]any); ok && s.bareFiles {
		for i, f := range files {
			files[i] = map[string]any{"id": f.(map[string]any)["id"], "file_access": "check_file_info"}
		}
	}
}

// channelEvent sends an event of a channel if the bot is in it and has the scope.
func (s *Server) channelEvent(c *Channel, ev map[string]any, public, private string) {
	scope := public
	if c.Private {
		scope = private
	}
	if c.IM != "" {
		scope = "im:" + strings.SplitN(public, ":", 2)[1]
	}
	if slices.Contains(c.Members, BotUser) && slices.Contains(s.scopes, scope) {
		s.event(ev)
	}
}

// messageChanged tells of a message that is not what it was; s.mu is held.
func (s *Server) messageChanged(c *Channel, now, before *Message) {
	ts := s.ts()
	ev := map[string]any{"type": "message", "subtype": "message_changed", "hidden": true, "channel": c.ID, "channel_type": kindName(c), "ts": ts, "event_ts": ts}
	for key, m := range map[string]*Message{"message": now, "previous_message": before} {
		raw, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		var inner map[string]any
		if err := json.Unmarshal(raw, &inner); err != nil {
			panic(err)
		}
		s.inEvent(inner)
		ev[key] = inner
	}
	s.channelEvent(c, ev, "channels:history", "groups:history")
	s.touch()
}

// Edit lets somebody change her message.
func (s *Server) Edit(channel, ts, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	m := find(c, ts)
	before := s.copyOf(m)
	m.Text, m.Blocks = escape(text), PlainBlocks(text)
	m.Edited = &Edited{m.User, s.ts()}
	s.messageChanged(c, m, before)
}

// Unfurl lets Slack show a preview below a message: its text stays what it was.
func (s *Server) Unfurl(channel, ts, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	m := find(c, ts)
	before := s.copyOf(m)
	m.Attachments, _ = json.Marshal([]any{map[string]any{"from_url": url, "original_url": url, "title": "A page"}})
	s.messageChanged(c, m, before)
}

// Delete takes a message back; the root of a thread with replies becomes a tombstone.
func (s *Server) Delete(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.channels[channel], ts)
}

func (s *Server) remove(c *Channel, ts string) {
	m := find(c, ts)
	before := s.copyOf(m)
	if m.ReplyCount > 0 {
		*m = Message{Type: "message", Subtype: "tombstone", User: "USLACKBOT", Hidden: true, Text: "This message was deleted.", TS: m.TS, ThreadTS: m.TS,
			ReplyCount: m.ReplyCount, LatestReply: m.LatestReply}
		s.messageChanged(c, m, before)
		return
	}
	c.Messages = slices.DeleteFunc(c.Messages, func(o *Message) bool { return o == m })
	if root := find(c, m.ThreadTS); root != nil {
		root.ReplyCount--
	}
	eventTS := s.ts()
	raw, _ := json.Marshal(before)
	var inner map[string]any
	_ = json.Unmarshal(raw, &inner)
	s.inEvent(inner)
	s.channelEvent(c, map[string]any{"type": "message", "subtype": "message_deleted", "hidden": true, "channel": c.ID, "channel_type": kindName(c),
		"deleted_ts": ts, "previous_message": inner, "ts": eventTS, "event_ts": eventTS}, "channels:history", "groups:history")
	s.touch()
}

// React sets an emoji by its short name; it returns an error of the Web API, or "".
func (s *Server) React(channel, ts, user, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.react(s.channels[channel], ts, user, name, true)
}

// Unreact takes an emoji back.
func (s *Server) Unreact(channel, ts, user, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.react(s.channels[channel], ts, user, name, false)
}

// react returns an error of the Web API, "" if it was done.
func (s *Server) react(c *Channel, ts, user, name string, add bool) string {
	m := find(c, ts)
	if m == nil {
		return "message_not_found"
	}
	i := slices.IndexFunc(m.Reactions, func(r *Reaction) bool { return r.Name == name })
	has := i >= 0 && slices.Contains(m.Reactions[i].Users, user)
	kind := "reaction_added"
	switch {
	case add && has:
		return "already_reacted"
	case !add && !has:
		return "no_reaction"
	case add && i < 0:
		m.Reactions = append(m.Reactions, &Reaction{Name: name, Users: []string{user}, Count: 1})
	case add:
		m.Reactions[i].Users = append(m.Reactions[i].Users, user)
		m.Reactions[i].Count++
	default:
		kind = "reaction_removed"
		r := m.Reactions[i]
		r.Users = slices.DeleteFunc(r.Users, func(u string) bool { return u == user })
		if r.Count--; r.Count == 0 {
			m.Reactions = slices.Delete(m.Reactions, i, i+1)
		}
	}
	if slices.Contains(s.scopes, "reactions:read") {
		s.channelEvent(c, map[string]any{"type": kind, "user": user, "reaction": name, "item_user": m.User,
			"item": map[string]any{"type": "message", "channel": c.ID, "ts": ts}}, "channels:history", "groups:history")
	}
	s.touch()
	return ""
}

// SetTopic changes a channel's topic as somebody.
func (s *Server) SetTopic(channel, user, topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topic(s.channels[channel], user, topic)
}

func (s *Server) topic(c *Channel, user, topic string) {
	c.Topic = topic
	s.append(c, &Message{Type: "message", Subtype: "channel_topic", User: user, Topic: topic, Text: "<@" + user + "> set the channel topic: " + topic})
}

// Rename changes a channel's name as somebody.
func (s *Server) Rename(channel, user, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	old := c.Name
	c.Name = name
	s.append(c, &Message{Type: "message", Subtype: "channel_name", User: user, Name: name, OldName: old, Text: "renamed"})
	kind := "channel_rename"
	if c.Private {
		kind = "group_rename"
	}
	s.channelEvent(c, map[string]any{"type": kind, "channel": map[string]any{"id": c.ID, "name": name, "created": c.createdSec}}, "channels:read", "groups:read")
}

// Archive closes a channel.
func (s *Server) Archive(channel, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	c.Archived = true
	s.channelEvent(c, map[string]any{"type": "channel_archive", "channel": c.ID, "user": user}, "channels:read", "groups:read")
}

// Move gives a channel another id, as sharing it with another organisation does.
func (s *Server) Move(channel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	c.ID = s.id("C")
	delete(s.channels, channel)
	s.channels[c.ID] = c
	s.names[slices.Index(s.names, channel)] = c.ID
	s.channelEvent(c, map[string]any{"type": "channel_id_changed", "old_channel_id": channel, "new_channel_id": c.ID}, "channels:read", "groups:read")
	return c.ID
}

// SetProfile changes a person's profile.
func (s *Server) SetProfile(user string, change func(*Profile)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[user]
	change(&u.Profile)
	u.RealName = u.Profile.RealName
	u.Updated++
	s.picture(u)
	s.userEvent("user_change", u)
	s.touch()
}

// DeleteUser closes a person's account.
func (s *Server) DeleteUser(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user].Deleted = true
	s.users[user].Updated++
	s.userEvent("user_change", s.users[user])
}

func (s *Server) userEvent(kind string, u *User) {
	if slices.Contains(s.scopes, "users:read") {
		s.event(map[string]any{"type": kind, "user": *u, "cache_ts": u.Updated})
	}
}

// SetPresence makes a person active or not; Slack tells bots nothing of it.
func (s *Server) SetPresence(user string, active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user].presence = "away"
	if active {
		s.users[user].presence = "active"
	}
}

// SetDND lets a person not be disturbed until a time (Unix seconds; 0 ends it).
func (s *Server) SetDND(user string, until int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dndUsers[user] = until > 0
	if slices.Contains(s.scopes, "dnd:read") {
		s.event(map[string]any{"type": "dnd_updated_user", "user": user, "dnd_status": map[string]any{
			"dnd_enabled": until > 0, "next_dnd_start_ts": s.opt.Now().Unix() - 1, "next_dnd_end_ts": until}})
	}
}

// ShareFile lets somebody share a file with a text.
func (s *Server) ShareFile(channel, user, name, mime, text string, data []byte) (file, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.newFile(user, name, len(data))
	f.data, f.uploaded, f.Mimetype = data, true, mime
	return f.ID, s.share(s.channels[channel], []*File{f}, &Message{User: user, Text: escape(text), Team: TeamID}, "")
}

// Emoji adds a custom emoji.
func (s *Server) Emoji(name, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emoji[name] = url
	s.event(map[string]any{"type": "emoji_changed", "subtype": "add", "name": name, "value": url})
}
