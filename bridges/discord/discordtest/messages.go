package discordtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func (s *Server) message(channel, id string) *Message {
	for _, m := range s.messages[channel] {
		if m.ID == id && !m.Deleted {
			return m
		}
	}
	return nil
}

// found is the message a path names, in a channel the bot may read.
func (s *Server) found(r *request, need uint64) (*Message, error) {
	c, err := s.channel(r, need)
	if err != nil {
		return nil, err
	}
	if m := s.message(c.ID, r.PathValue("message")); m != nil {
		return m, nil
	}
	return nil, unknown(10008, "Message")
}

func (s *Server) getMessage(r *request) (any, error) {
	m, err := s.found(r, PermHistory)
	if err != nil {
		return nil, err
	}
	return s.seenBy(m, r.app, r.app.Privileged&IntentContent != 0), nil
}

// seenBy is a message for a bot: without the right to content it sees that of its
// own messages, of direct ones and of those that mention it.
func (s *Server) seenBy(m *Message, app *App, content bool) M {
	j := s.messageJSON(m, app.User.ID)
	if !content && m.Author.ID != app.User.ID && m.App != app.ID && s.channels[m.Channel].Guild != "" && !slices.Contains(m.Shown, app.User.ID) {
		j["content"], j["embeds"], j["attachments"] = "", []M{}, []M{}
		delete(j, "message_snapshots")
	}
	return j
}

func (s *Server) getMessages(r *request) (any, error) {
	c, err := s.channel(r, 0)
	if err != nil {
		return nil, err
	}
	if s.permissions(r.app.User.ID, c)&PermHistory == 0 {
		return []M{}, nil // "no messages will be returned"
	}
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 100 {
		return nil, fail(400, 50035, "Invalid Form Body")
	}
	var list []*Message
	for _, m := range s.messages[c.ID] {
		if !m.Deleted && (q.Get("before") == "" || byID(m.ID, q.Get("before")) < 0) && (q.Get("after") == "" || byID(m.ID, q.Get("after")) > 0) {
			list = append(list, m)
		}
	}
	if q.Get("after") != "" {
		list = list[:min(len(list), limit)]
	} else {
		list = list[max(len(list)-limit, 0):]
	}
	out := []M{}
	for _, m := range slices.Backward(list) { // newest first
		out = append(out, s.seenBy(m, r.app, r.app.Privileged&IntentContent != 0))
	}
	return out, nil
}

// compose checks what somebody wants to say ("Create Message", "Execute Webhook").
func (s *Server) compose(r *request, m *Message) error {
	m.Content = strings.TrimSpace(r.str("content"))
	if utf8.RuneCountInString(m.Content) > 2000 {
		return fail(400, 50035, "Invalid Form Body: content: Must be 2000 or fewer in length.")
	}
	for _, f := range r.files {
		if len(f.Data) > s.opt.MaxFile {
			return fail(413, 40005, "Request entity too large")
		}
		f.ID = s.newID()
		m.Files = append(m.Files, f)
	}
	if embeds, ok := r.body["embeds"].([]any); ok {
		for _, e := range embeds {
			m.Embeds = append(m.Embeds, e.(M))
		}
	}
	if m.Content == "" && len(m.Files) == 0 && len(m.Embeds) == 0 {
		return fail(400, 50006, "Cannot send an empty message")
	}
	if flags, ok := r.body["flags"].(float64); ok {
		m.Flags |= int(flags)
	}
	s.call(m, r.body["allowed_mentions"], true)
	return nil
}

var mention = regexp.MustCompile(`<@(&|!)?(\d+)>|@everyone|@here`)

// call finds out whom a message calls: everybody it names, if it does not say
// whom it means to ("Allowed Mentions Object").
func (s *Server) call(m *Message, allowed any, everyone bool) {
	rules, limited := allowed.(M)
	parse := func(kind string) bool {
		list, _ := rules["parse"].([]any)
		return !limited || slices.Contains(list, any(kind))
	}
	listed := func(kind, id string) bool {
		list, _ := rules[kind].([]any)
		return slices.Contains(list, any(id))
	}
	m.Shown = nil
	for _, found := range mention.FindAllStringSubmatch(m.Content, -1) {
		id := found[2]
		switch {
		case id == "" && parse("everyone") && everyone:
			m.Called = append(m.Called, "everyone")
		case id == "":
		case found[1] == "&" && (parse("roles") || listed("roles", id)):
			m.Called = append(m.Called, id)
		case found[1] != "&":
			m.Shown = append(m.Shown, id)
			if parse("users") || listed("users", id) {
				m.Called = append(m.Called, id)
			}
		}
	}
}

// post adds a message and tells everybody; the lock is held.
func (s *Server) post(m *Message) *Message {
	c := s.channels[m.Channel]
	if m.ID == "" {
		m.ID = s.newID()
	}
	if m.Time.IsZero() {
		m.Time = s.opt.Now()
	}
	c.Last = m.ID
	s.messages[m.Channel] = append(s.messages[m.Channel], m)
	s.dispatch(event{kind: "MESSAGE_CREATE", guild: c.Guild, channel: c.ID, intent: messageIntent(c), message: m})
	s.touch()
	return m
}

func messageIntent(c *Channel) int {
	if c.Guild == "" {
		return IntentDMs
	}
	return IntentMessages
}

func (s *Server) createMessage(r *request) (any, error) {
	c, err := s.channel(r, PermSend)
	if err != nil {
		return nil, err
	}
	nonce := fmt.Sprint(r.body["nonce"])
	if r.body["enforce_nonce"] == true && r.has("nonce") {
		for _, m := range s.messages[c.ID] {
			if m.Nonce == nonce && m.Author.ID == r.app.User.ID && s.opt.Now().Sub(m.Time) < 3*time.Minute {
				return s.messageJSON(m, r.app.User.ID), nil
			}
		}
	}
	m := &Message{Channel: c.ID, Author: *r.app.User}
	if err := s.compose(r, m); err != nil {
		return nil, err
	}
	if r.has("nonce") {
		m.Nonce = nonce
	}
	if ref, ok := r.body["message_reference"].(M); ok {
		m.Type = 19
		m.Reference = M{"message_id": ref["message_id"], "channel_id": c.ID, "guild_id": c.Guild, "type": 0}
	}
	return s.messageJSON(s.post(m), r.app.User.ID), nil
}

func (s *Server) editMessage(r *request) (any, error) {
	m, err := s.found(r, 0)
	if err != nil {
		return nil, err
	}
	if m.Author.ID != r.app.User.ID {
		return nil, fail(403, 50005, "Cannot edit a message authored by another user")
	}
	return s.change(r, m)
}

// change edits; without allowed_mentions the mentions are parsed anew with the defaults.
func (s *Server) change(r *request, m *Message) (any, error) {
	if r.has("content") {
		content := strings.TrimSpace(r.str("content"))
		if utf8.RuneCountInString(content) > 2000 {
			return nil, fail(400, 50035, "Invalid Form Body")
		}
		if content == "" && len(m.Files) == 0 {
			return nil, fail(400, 50006, "Cannot send an empty message")
		}
		m.Content = content
	}
	s.call(m, r.body["allowed_mentions"], true)
	s.edited(m)
	return s.messageJSON(m, ""), nil
}

// edited tells that a message has changed.
func (s *Server) edited(m *Message) {
	m.Edited = s.opt.Now()
	s.updated(m)
}

// updated tells of a message whose text is the same: an embed was made of a link.
func (s *Server) updated(m *Message) {
	c := s.channels[m.Channel]
	s.dispatch(event{kind: "MESSAGE_UPDATE", guild: c.Guild, channel: c.ID, intent: messageIntent(c), message: m})
	s.touch()
}

func (s *Server) deleteMessage(r *request) (any, error) {
	m, err := s.found(r, 0)
	if err != nil {
		return nil, err
	}
	if m.Author.ID != r.app.User.ID && s.permissions(r.app.User.ID, s.channels[m.Channel])&PermManageMessage == 0 {
		return nil, errPermission
	}
	s.remove(m)
	return nil, nil
}

func (s *Server) remove(m *Message) {
	m.Deleted = true
	c := s.channels[m.Channel]
	data := M{"id": m.ID, "channel_id": m.Channel}
	if c.Guild != "" {
		data["guild_id"] = c.Guild
	}
	s.dispatch(event{kind: "MESSAGE_DELETE", guild: c.Guild, channel: c.ID, intent: messageIntent(c), data: data})
	s.touch()
}

// reaction reads the emoji of a path.
func (r *request) reaction() (Reaction, error) {
	e := r.PathValue("emoji")
	out := Reaction{Name: e, User: r.app.User.ID}
	if name, id, ok := strings.Cut(e, ":"); ok {
		out.Name, out.ID = name, id
	}
	ascii := strings.IndexFunc(e, func(c rune) bool { return c > 127 }) < 0
	if out.ID == "" && ascii {
		return out, fail(400, 10014, "Unknown Emoji")
	}
	return out, nil
}

func (s *Server) putReaction(r *request) (any, error) {
	m, err := s.found(r, PermHistory)
	if err != nil {
		return nil, err
	}
	e, err := r.reaction()
	if err != nil {
		return nil, err
	}
	kinds := reactionsJSON(m, "")
	known := slices.ContainsFunc(m.Reactions, func(o Reaction) bool { return o.Name == e.Name && o.ID == e.ID })
	switch {
	case slices.Contains(m.Reactions, e):
		return nil, nil
	case !known && s.permissions(r.app.User.ID, s.channels[m.Channel])&PermReact == 0:
		return nil, errPermission
	case !known && len(kinds) >= 20:
		return nil, fail(400, 30010, "Maximum number of reactions reached (20)")
	}
	s.react(m, e)
	return nil, nil
}

func (s *Server) deleteReaction(r *request) (any, error) {
	m, err := s.found(r, 0)
	if err != nil {
		return nil, err
	}
	e, err := r.reaction()
	if err == nil {
		s.unreact(m, e)
	}
	return nil, err
}

func (s *Server) getReactions(r *request) (any, error) {
	m, err := s.found(r, 0)
	if err != nil {
		return nil, err
	}
	e, err := r.reaction()
	if err != nil {
		return nil, err
	}
	out := []M{}
	for _, o := range m.Reactions {
		if o.Name == e.Name && o.ID == e.ID && byID(o.User, r.URL.Query().Get("after")) > 0 {
			out = append(out, s.users[o.User].json())
		}
	}
	return out, nil
}

func (s *Server) react(m *Message, e Reaction) {
	if slices.Contains(m.Reactions, e) {
		return
	}
	m.Reactions = append(m.Reactions, e)
	s.reacted("MESSAGE_REACTION_ADD", m, e)
}

func (s *Server) unreact(m *Message, e Reaction) {
	i := slices.Index(m.Reactions, e)
	if i < 0 {
		return
	}
	m.Reactions = slices.Delete(m.Reactions, i, i+1)
	s.reacted("MESSAGE_REACTION_REMOVE", m, e)
}

func (s *Server) reacted(kind string, m *Message, e Reaction) {
	c := s.channels[m.Channel]
	data := M{"user_id": e.User, "channel_id": c.ID, "message_id": m.ID, "emoji": M{"id": null(e.ID), "name": e.Name}}
	if e.User == "" {
		delete(data, "user_id")
	}
	intent := IntentDMReact
	if c.Guild != "" {
		data["guild_id"], intent = c.Guild, IntentReactions
	}
	s.dispatch(event{kind: kind, guild: c.Guild, channel: c.ID, intent: intent, data: data})
	s.touch()
}

func (s *Server) startThread(r *request) (any, error) {
	m, err := s.found(r, PermPublicThreads)
	if err != nil {
		return nil, err
	}
	if s.channels[m.ID] != nil {
		return nil, fail(400, 160004, "A thread has already been created for this message")
	}
	name := r.str("name")
	if name == "" || utf8.RuneCountInString(name) > 100 {
		return nil, fail(400, 50035, "Invalid Form Body")
	}
	return s.channelJSON(s.thread(m.Channel, m.ID, name)), nil
}

// thread makes a thread; one that starts from a message has its id.
func (s *Server) thread(parent, id, name string) *Channel {
	p := s.channels[parent]
	if id == "" {
		id = s.newID()
	}
	c := &Channel{ID: id, Guild: p.Guild, Parent: parent, Name: name, Type: TypePublicThread}
	s.addChannel(c)
	data := s.channelJSON(c)
	data["newly_created"] = true
	s.dispatch(event{kind: "THREAD_CREATE", guild: c.Guild, channel: c.ID, intent: IntentGuilds, data: data})
	return c
}

func (s *Server) joinThread(r *request) (any, error) {
	_, err := s.channel(r, 0)
	return nil, err
}
