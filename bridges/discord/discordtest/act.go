package discordtest

import (
	"fmt"
	"slices"
)

// Draft is what a person writes, beyond text.
type Draft struct {
	Content  string
	ReplyTo  string // message id in the same channel
	Files    []File
	Embeds   []M
	Stickers []string // names
	Flags    int
	Type     int
	Forward  *Message // a copy of another message
	Webhook  string   // speaks through this webhook instead, under Name
	Name     string
	Everyone bool // may call everybody
	Silent   bool // nobody is told (it is there when one looks)
}

// Say lets a user write a text.
func (s *Server) Say(channel, user, text string) string {
	return s.Post(channel, user, Draft{Content: text})
}

// Post lets a user write something.
func (s *Server) Post(channel, user string, d Draft) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Message{Channel: channel, Content: d.Content, Type: d.Type, Flags: d.Flags, Embeds: d.Embeds}
	if d.Webhook != "" {
		h := s.hooks[d.Webhook]
		m.Webhook, m.App, m.Author = h.ID, h.App, User{ID: h.ID, Username: d.Name, Bot: true}
	} else {
		m.Author = *s.users[user]
	}
	for _, f := range d.Files {
		f.ID = s.newID()
		m.Files = append(m.Files, f)
	}
	for _, name := range d.Stickers {
		m.Stickers = append(m.Stickers, M{"id": s.newID(), "name": name, "format_type": 1})
	}
	guild := s.channels[channel].Guild
	if d.ReplyTo != "" {
		m.Type, m.Reference = 19, M{"type": 0, "message_id": d.ReplyTo, "channel_id": channel, "guild_id": guild}
	}
	if f := d.Forward; f != nil {
		m.Flags |= 1 << 14
		m.Reference = M{"type": 1, "message_id": f.ID, "channel_id": f.Channel, "guild_id": guild}
		m.Snapshots = []M{{"message": M{"type": f.Type, "content": f.Content, "embeds": f.Embeds, "attachments": s.filesJSON(f), "timestamp": stamp(f.Time), "edited_timestamp": nil, "flags": f.Flags}}}
	}
	s.call(m, nil, d.Everyone)
	return s.post(m).ID
}

// Edit lets the author change a message.
func (s *Server) Edit(channel, id, text string) {
	s.with(channel, id, func(m *Message) { m.Content = text; s.call(m, nil, false); s.edited(m) })
}

// Unfurl adds the preview of a link, as Discord does some time later by itself.
func (s *Server) Unfurl(channel, id string, embed M) {
	s.with(channel, id, func(m *Message) { m.Embeds = append(m.Embeds, embed); s.updated(m) })
}

// Delete takes a message back.
func (s *Server) Delete(channel, id string) { s.with(channel, id, s.remove) }

// BulkDelete takes many back at once.
func (s *Server) BulkDelete(channel string, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if m := s.message(channel, id); m != nil {
			m.Deleted = true
		}
	}
	c := s.channels[channel]
	s.dispatch(event{kind: "MESSAGE_DELETE_BULK", guild: c.Guild, channel: channel, intent: messageIntent(c), data: M{"ids": ids, "channel_id": channel, "guild_id": c.Guild}})
}

// React and Unreact set and take back a reaction.
func (s *Server) React(channel, id, user, emoji string) {
	s.with(channel, id, func(m *Message) { s.react(m, Reaction{Name: emoji, User: user}) })
}

// ReactCustom reacts with a custom emoji.
func (s *Server) ReactCustom(channel, id, user, name, emoji string) {
	s.with(channel, id, func(m *Message) { s.react(m, Reaction{Name: name, ID: emoji, User: user}) })
}

// Unreact takes a reaction back.
func (s *Server) Unreact(channel, id, user, emoji string) {
	s.with(channel, id, func(m *Message) { s.unreact(m, Reaction{Name: emoji, User: user}) })
}

// ClearReactions removes everybody's; emoji "" means all of them.
func (s *Server) ClearReactions(channel, id, emoji string) {
	s.with(channel, id, func(m *Message) {
		m.Reactions = slices.DeleteFunc(m.Reactions, func(r Reaction) bool { return emoji == "" || r.Name == emoji })
		kind := "MESSAGE_REACTION_REMOVE_ALL"
		if emoji != "" {
			kind = "MESSAGE_REACTION_REMOVE_EMOJI"
		}
		s.reacted(kind, m, Reaction{Name: emoji})
	})
}

func (s *Server) with(channel, id string, f func(*Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.message(channel, id)
	if m == nil {
		panic(fmt.Sprintf("discordtest: there is no message %s in %s", id, channel))
	}
	f(m)
}

// StartThread makes a thread in a channel, from a message if one is given.
func (s *Server) StartThread(channel, message, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thread(channel, message, name).ID
}

// SetTopic and its like change a channel.
func (s *Server) SetTopic(channel, topic string) {
	s.changeChannel(channel, func(c *Channel) { c.Topic = topic })
}

// SetName renames a channel.
func (s *Server) SetName(channel, name string) {
	s.changeChannel(channel, func(c *Channel) { c.Name = name })
}

func (s *Server) changeChannel(channel string, f func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	f(c)
	s.channelChanged(c)
}

// DeleteChannel removes a channel.
func (s *Server) DeleteChannel(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	c.Gone = true
	kind := "CHANNEL_DELETE"
	if c.thread() {
		kind = "THREAD_DELETE"
	}
	s.dispatch(event{kind: kind, guild: c.Guild, channel: channel, intent: IntentGuilds, data: s.channelJSON(c)})
}

// DropWebhooks deletes all webhooks of a channel.
func (s *Server) DropWebhooks(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.hooks {
		if h.Channel == channel {
			delete(s.hooks, id)
		}
	}
	s.hooksChanged(channel)
}

// AddWebhook makes a webhook of somebody else's.
func (s *Server) AddWebhook(channel, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addHook(channel, "", name).ID
}

// Webhooks are those of a channel.
func (s *Server) Webhooks(channel string) []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Webhook
	for _, h := range s.hooks {
		if h.Channel == channel {
			out = append(out, *h)
		}
	}
	return out
}

// Typing lets a user type.
func (s *Server) Typing(channel, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.typing(s.channels[channel], user)
}

func (s *Server) typing(c *Channel, user string) {
	data := M{"channel_id": c.ID, "user_id": user, "timestamp": s.opt.Now().Unix()}
	intent := IntentDMTyping
	if c.Guild != "" {
		data["guild_id"], intent = c.Guild, IntentTyping
	}
	s.dispatch(event{kind: "TYPING_START", guild: c.Guild, channel: c.ID, intent: intent, data: data})
}
