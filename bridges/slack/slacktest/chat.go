package slacktest

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// into finds the channel of a call in which the caller is.
func (s *Server) into(r request) (*Channel, string) {
	c := s.channels[r.args["channel"]]
	switch {
	case c == nil || c.Private && !slices.Contains(c.Members, r.user):
		return nil, "channel_not_found"
	case !slices.Contains(c.Members, r.user):
		return nil, "not_in_channel"
	case c.Archived:
		return nil, "is_archived"
	}
	return c, ""
}

// maxText is where Slack cuts, maxBlocks how many blocks a message has at most.
const (
	maxText   = 40_000
	maxBlocks = 50
)

// content checks and takes the text and blocks of a call.
func content(r request, m *Message) string {
	m.Text = r.args["text"]
	if b := r.args["blocks"]; b != "" {
		if code := checkBlocks(b); code != "" {
			return code
		}
		m.Blocks = json.RawMessage(b)
	}
	if a := r.args["attachments"]; a != "" {
		m.Attachments = json.RawMessage(a)
	}
	switch {
	case m.Text == "" && m.Blocks == nil && m.Attachments == nil:
		return "no_text"
	case utf8.RuneCountInString(m.Text) > maxText:
		return "msg_too_long"
	}
	return ""
}

// checkBlocks refuses blocks that Slack would: of unknown sorts, or with elements where
// they do not belong.
func checkBlocks(raw string) string {
	type element struct {
		Type     string            `json:"type"`
		Elements []json.RawMessage `json:"elements"`
		Text     *string           `json:"text"`
		Indent   int               `json:"indent"`
		URL      string            `json:"url"`
	}
	var blocks []struct {
		Type     string    `json:"type"`
		Elements []element `json:"elements"`
	}
	if json.Unmarshal([]byte(raw), &blocks) != nil || len(blocks) > maxBlocks {
		return "invalid_blocks"
	}
	inline := []string{"text", "link", "user", "usergroup", "channel", "broadcast", "emoji", "date", "color"}
	var section func(e element) bool
	section = func(e element) bool {
		for _, raw := range e.Elements {
			var in element
			if json.Unmarshal(raw, &in) != nil {
				return false
			}
			if e.Type == "rich_text_list" {
				if in.Type != "rich_text_section" || !section(in) {
					return false
				}
				continue
			}
			if !slices.Contains(inline, in.Type) || in.Type == "text" && (in.Text == nil || *in.Text == "") || in.Type == "link" && in.URL == "" {
				return false
			}
		}
		return len(e.Elements) > 0 && e.Indent <= 8
	}
	for _, b := range blocks {
		if b.Type != "rich_text" {
			continue
		}
		for _, e := range b.Elements {
			if !slices.Contains([]string{"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}, e.Type) || !section(e) {
				return "invalid_blocks"
			}
		}
	}
	return ""
}

func (s *Server) postMessage(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	m := &Message{Type: "message", Team: TeamID}
	if code := content(r, m); code != "" {
		return failure(code)
	}
	if t := r.args["thread_ts"]; t != "" {
		root := find(c, t)
		if root == nil || root.ThreadTS != "" && root.ThreadTS != root.TS {
			return failure("thread_not_found")
		}
		m.ThreadTS = t
		if r.args["reply_broadcast"] == "true" {
			m.Subtype = "thread_broadcast"
		}
	}
	if raw := r.args["metadata"]; raw != "" {
		var meta struct {
			Type    string `json:"event_type"`
			Payload M      `json:"event_payload"`
		}
		if json.Unmarshal([]byte(raw), &meta) != nil || meta.Type == "" || meta.Payload == nil {
			return failure("invalid_metadata_format")
		}
		m.Metadata = json.RawMessage(raw)
	}
	if code := s.sign(r, m); code != nil {
		return code
	}
	s.append(c, m)
	return good(M{"channel": c.ID, "ts": m.TS, "message": s.copyOf(m)})
}

// sign says who wrote a message: a bot may choose a name and a face.
func (s *Server) sign(r request, m *Message) M {
	if !r.bot {
		m.User = r.user
		if m.Blocks == nil {
			m.Blocks = PlainBlocks(m.Text)
		}
		return nil
	}
	m.BotID, m.AppID = BotID, AppID
	name, icon := r.args["username"], r.args["icon_url"]
	if name == "" && icon == "" {
		m.User = BotUser
		return nil
	}
	if !slices.Contains(s.scopes, "chat:write.customize") {
		return M{"ok": false, "error": "missing_scope", "needed": "chat:write.customize", "provided": ""}
	}
	m.Username = name
	if m.Subtype == "" {
		m.Subtype = "bot_message"
	}
	if icon != "" {
		m.Icons, _ = json.Marshal(M{"image_48": icon})
	}
	return nil
}

// own tells whether a message is the caller's.
func own(r request, m *Message) bool {
	return r.bot && m.BotID == BotID || !r.bot && m.User == r.user && m.BotID == ""
}

func (s *Server) updateMessage(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	m := find(c, r.args["ts"])
	switch {
	case m == nil:
		return failure("message_not_found")
	case !own(r, m):
		return failure("cant_update_message")
	}
	next := &Message{}
	if code := content(r, next); code != "" {
		return failure(code)
	}
	before := s.copyOf(m)
	m.Text, m.Blocks, m.Attachments = next.Text, next.Blocks, next.Attachments
	if !r.bot && m.Blocks == nil {
		m.Blocks = PlainBlocks(m.Text)
	}
	if raw := r.args["metadata"]; raw != "" {
		m.Metadata = json.RawMessage(raw)
	}
	m.Edited = &Edited{r.user, s.ts()}
	s.messageChanged(c, m, before)
	return good(M{"channel": c.ID, "ts": m.TS, "text": m.Text})
}

func (s *Server) deleteMessage(r request) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	m := find(c, r.args["ts"])
	switch {
	case m == nil || m.Subtype == "tombstone":
		return failure("message_not_found")
	case !own(r, m):
		return failure("cant_delete_message")
	}
	s.remove(c, m.TS)
	return good(M{"channel": c.ID, "ts": m.TS})
}

func (s *Server) reactCall(r request, add bool) M {
	c, code := s.into(r)
	if code != "" {
		return failure(code)
	}
	name := r.args["name"]
	if name == "" || len(name) > 100 {
		return failure("invalid_name")
	}
	if code := s.react(c, r.args["timestamp"], r.user, name, add); code != "" {
		return failure(code)
	}
	return good(nil)
}
