package discordtest

import (
	"strings"
	"unicode/utf8"
)

func (h *Webhook) json(guild string) M {
	return M{"id": h.ID, "type": 1, "token": h.Token, "channel_id": h.Channel, "guild_id": guild, "name": h.Name, "application_id": null(h.App), "avatar": nil}
}

func (s *Server) getWebhooks(r *request) (any, error) {
	c, err := s.channel(r, PermWebhooks)
	if err != nil {
		return nil, err
	}
	out := []M{}
	for _, h := range s.hooks {
		if h.Channel != c.ID {
			continue
		}
		j := h.json(c.Guild)
		if h.App != r.app.ID {
			delete(j, "token") // only the application's own have it
		}
		out = append(out, j)
	}
	return out, nil
}

// badName is what a webhook may not be called ("Create Webhook").
func badName(name string) bool {
	lower := strings.ToLower(name)
	n := utf8.RuneCountInString(strings.TrimSpace(name))
	return n < 1 || n > 80 || strings.Contains(lower, "clyde") || strings.Contains(lower, "discord")
}

func (s *Server) createWebhook(r *request) (any, error) {
	c, err := s.channel(r, PermWebhooks)
	if err != nil {
		return nil, err
	}
	if badName(r.str("name")) || c.thread() {
		return nil, fail(400, 50035, "Invalid Form Body")
	}
	n := 0
	for _, h := range s.hooks {
		if h.Channel == c.ID {
			n++
		}
	}
	if n >= 15 {
		return nil, fail(400, 30007, "Maximum number of webhooks reached (15)")
	}
	h := s.addHook(c.ID, r.app.ID, r.str("name"))
	return h.json(c.Guild), nil
}

func (s *Server) addHook(channel, app, name string) *Webhook {
	h := &Webhook{ID: s.newID(), Channel: channel, App: app, Name: name}
	h.Token = "token-" + h.ID
	s.hooks[h.ID] = h
	s.hooksChanged(channel)
	return h
}

func (s *Server) hooksChanged(channel string) {
	guild := s.channels[channel].Guild
	s.dispatch(event{kind: "WEBHOOKS_UPDATE", guild: guild, channel: channel, intent: IntentWebhooks, data: M{"guild_id": guild, "channel_id": channel}})
	s.touch()
}

func (s *Server) deleteWebhook(r *request) (any, error) {
	h := s.hooks[r.PathValue("hook")]
	if h == nil {
		return nil, unknown(10015, "Webhook")
	}
	if r.app == nil || s.permissions(r.app.User.ID, s.channels[h.Channel])&PermWebhooks == 0 {
		return nil, errPermission
	}
	delete(s.hooks, h.ID)
	s.hooksChanged(h.Channel)
	return nil, nil
}

// hook finds the webhook of a path, and the channel or thread that is meant.
func (s *Server) hook(r *request) (*Webhook, *Channel, error) {
	h := s.hooks[r.PathValue("hook")]
	if h == nil {
		return nil, nil, unknown(10015, "Webhook")
	}
	if h.Token != r.PathValue("token") {
		return nil, nil, fail(401, 50027, "Invalid Webhook Token")
	}
	c := s.channels[h.Channel]
	if id := r.URL.Query().Get("thread_id"); id != "" {
		t := s.channels[id]
		if t == nil || t.Gone || t.Parent != h.Channel {
			return nil, nil, unknown(10003, "Channel")
		}
		c = t
	} else if c.Type == TypeForum {
		return nil, nil, fail(400, 220001, "Webhooks posted to forum channels must have a thread_name or thread_id")
	}
	return h, c, nil
}

func (s *Server) executeWebhook(r *request) (any, error) {
	h, c, err := s.hook(r)
	if err != nil {
		return nil, err
	}
	name := r.str("username")
	if r.has("username") && badName(name) {
		return nil, fail(400, 50035, "Invalid Form Body: username")
	}
	if name == "" {
		name = h.Name
	}
	m := &Message{Channel: c.ID, Webhook: h.ID, App: h.App, AvatarURL: r.str("avatar_url"), Author: User{ID: h.ID, Username: name, Bot: true}}
	if m.AvatarURL != "" {
		m.Author.Avatar = s.hash(m.AvatarURL, "")
	}
	if err := s.compose(r, m); err != nil {
		return nil, err
	}
	c.Archived = false
	s.post(m)
	if r.URL.Query().Get("wait") != "true" {
		return nil, nil
	}
	return s.messageJSON(m, ""), nil
}

// hooked is the message of a path, if this webhook wrote it.
func (s *Server) hooked(r *request) (*Message, error) {
	h, c, err := s.hook(r)
	if err != nil {
		return nil, err
	}
	m := s.message(c.ID, r.PathValue("message"))
	if m == nil || m.Webhook != h.ID {
		return nil, unknown(10008, "Message")
	}
	return m, nil
}

func (s *Server) getWebhookMessage(r *request) (any, error) {
	m, err := s.hooked(r)
	if err != nil {
		return nil, err
	}
	return s.messageJSON(m, ""), nil
}

func (s *Server) editWebhookMessage(r *request) (any, error) {
	m, err := s.hooked(r)
	if err != nil {
		return nil, err
	}
	return s.change(r, m)
}

func (s *Server) deleteWebhookMessage(r *request) (any, error) {
	m, err := s.hooked(r)
	if err != nil {
		return nil, err
	}
	s.remove(m)
	return nil, nil
}
