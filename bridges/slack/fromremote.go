package slack

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// lateAfter is how old a message is that rings no bell any more.
const lateAfter = 10 * time.Minute

// translator makes events of one sort of Slack's; pos is where the host will be after them.
type translator func(c *Connector, ctx context.Context, channel string, pos *position, ev event) ([]sdk.Event, error)

func translators() map[string]translator {
	return map[string]translator{
		"message":               (*Connector).onMessage,
		"reaction_added":        (*Connector).onReaction,
		"reaction_removed":      (*Connector).onReaction,
		"member_joined_channel": (*Connector).onMember,
		"member_left_channel":   (*Connector).onMember,
		"channel_rename":        (*Connector).onRename,
		"group_rename":          (*Connector).onRename,
		"channel_archive":       (*Connector).onGone,
		"group_archive":         (*Connector).onGone,
		"channel_deleted":       (*Connector).onGone,
		"group_deleted":         (*Connector).onGone,
		"channel_left":          (*Connector).onGone,
		"group_left":            (*Connector).onGone,
		"channel_unarchive":     (*Connector).onBack,
		"group_unarchive":       (*Connector).onBack,
		"channel_id_changed":    (*Connector).onMoved,
		"user_change":           (*Connector).onUser,
		"team_join":             (*Connector).onUser,
		"dnd_updated_user":      (*Connector).onDND,
		"emoji_changed":         (*Connector).onLists,
		"subteam_updated":       (*Connector).onLists,
		"subteam_created":       (*Connector).onLists,
	}
}

// translate makes events of what waits in a channel's queue. A temporary error keeps it
// there.
func (c *Connector) translate(ctx context.Context, channel string, pos *position, q queued) ([]sdk.Event, error) {
	f := translators()[q.kind]
	if f == nil {
		return nil, nil
	}
	q.ev.Type = q.kind
	out, err := f(c, ctx, channel, pos, q.ev)
	if err == nil {
		pos.touch(q.ev.EventTS)
	}
	return out, err
}

// Subtypes of messages that say nothing of their own: each has an event of its own, or
// concerns nobody.
const silent = " channel_join channel_leave group_join group_leave channel_archive channel_unarchive group_archive group_unarchive channel_purpose group_purpose " +
	"channel_name group_name message_replied bot_add bot_remove bot_enable bot_disable pinned_item unpinned_item reminder_add ekm_access_denied " +
	"channel_convert_to_private channel_convert_to_public channel_posting_permissions tombstone sh_room_created joiner_notification "

func (c *Connector) onMessage(ctx context.Context, channel string, pos *position, ev event) ([]sdk.Event, error) {
	switch ev.SubType {
	case "message_changed":
		return c.onChanged(ctx, channel, ev)
	case "message_deleted":
		return c.onDeleted(ctx, channel, ev)
	case "channel_topic", "group_topic":
		if pos.has(ev.TS) {
			return nil, nil
		}
		pos.add(ev.TS, false)
		return c.topicChanged(ctx, channel, &ev.message)
	}
	if pos.has(ev.TS) || !ev.TS.Valid() {
		return nil, nil
	}
	if ev.SubType != "" && strings.Contains(silent, " "+ev.SubType+" ") {
		pos.add(ev.TS, false)
		return nil, nil
	}
	out, err := c.newMessage(ctx, channel, &ev.message)
	if err == nil {
		pos.add(ev.TS, ev.ThreadTS != "" && ev.ThreadTS != ev.TS && ev.SubType != "thread_broadcast")
	}
	return out, err
}

// head is the header of an event by somebody in a channel. In a direct chat each
// conversation with one of our people is a thread, and a portal of its own.
func (c *Connector) head(ctx context.Context, channel string, thread slackid.TS, author string, at slackid.TS) (sdk.EventHeader, error) {
	self, err := c.me()
	if err != nil {
		return sdk.EventHeader{}, err
	}
	ch := slackid.Channel{ID: channel, Team: self.Team}
	if slackid.IsDirect(channel) {
		ch.Thread = thread
	}
	h := sdk.EventHeader{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(ch.String())}, Time: timeOf(at)}
	if author != "" {
		if h.Actor.User, err = c.key(ctx, author); err != nil {
			return sdk.EventHeader{}, err
		}
	}
	return h, nil
}

// authorOf is who wrote a message: a user, or the bot of an app without one.
func (i *identity) authorOf(m *message) string {
	switch {
	case m.BotID == i.Bot:
		return i.User
	case slackid.IsUser(m.User):
		return m.User
	case slackid.IsBot(m.BotID):
		return m.BotID
	}
	return ""
}

// newMessage translates a message, from an event or a history.
func (c *Connector) newMessage(ctx context.Context, channel string, m *message) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil {
		return nil, err
	}
	thread := m.ThreadTS
	if thread == "" {
		thread = m.TS
	}
	h, err := c.head(ctx, channel, thread, self.authorOf(m), m.TS)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID(m.TS)
	out := &sdk.Message{EventHeader: h, Message: sdk.RemoteMessageID(m.TS)}
	if self.ours(m) {
		out.Own = true
		o := c.originOf(channel, m)
		out.Origin, out.Part = o.op, o.part
	}
	if m.ThreadTS != "" && m.ThreadTS != m.TS {
		c.memory.roots.put(place{channel, m.TS}, m.ThreadTS)
	}
	if out.Content, err = c.content(ctx, channel, m); err != nil {
		return nil, err
	}
	if out.Content.Body.Empty() && len(out.Content.Attachments) == 0 {
		return nil, nil
	}
	if m.Username != "" && !out.Own {
		out.Persona = &sdk.Persona{Key: m.Username, Name: m.Username, Avatar: c.icon(m.Icons)}
	}
	if slackid.IsDirect(channel) && !out.Own {
		return c.directMessage(ctx, self, channel, m, out)
	}
	return []sdk.Event{out}, nil
}

// originOf says which operation made one of our messages.
func (c *Connector) originOf(channel string, m *message) origin {
	if o := m.written(); o.op != "" {
		return o
	}
	if o, ok := c.memory.sent.get(place{channel, m.TS}); ok {
		return o
	}
	for _, f := range m.Files {
		if o, ok := c.memory.shared.get(f.ID); ok {
			return o
		}
	}
	return origin{}
}

// content is what a message says.
func (c *Connector) content(ctx context.Context, channel string, m *message) (sdk.Content, error) {
	out := sdk.Content{Body: slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks, Attachments: m.Attachments}, c.names(ctx))}
	switch m.SubType {
	case "me_message":
		out.Kind = sdk.KindEmote
	case "huddle_thread":
		out.Kind = sdk.KindNotice
		if out.Body.Empty() {
			out.Body = richtext.FromPlain("A huddle started.")
		}
	}
	for i := range m.Files {
		a, note, err := c.attachment(ctx, &m.Files[i])
		if err != nil {
			return out, err
		}
		if a != nil {
			out.Attachments = append(out.Attachments, *a)
		}
		if !note.Empty() {
			out.Body = richtext.Join(out.Body, note)
		}
	}
	if m.ThreadTS == "" || m.ThreadTS == m.TS || slackid.IsDirect(channel) {
		return out, nil
	}
	root := sdk.MessageRef{ID: sdk.RemoteMessageID(m.ThreadTS)}
	out.Thread = &sdk.Thread{ID: string(m.ThreadTS), Root: root, Broadcast: m.SubType == "thread_broadcast"}
	out.ReplyTo = &sdk.Reply{Target: root}
	return out, nil
}

// names look up who and what is referred to. What cannot be found keeps its id.
func (c *Connector) names(ctx context.Context) slackfmt.ReadOptions {
	self := c.self.Load()
	if self == nil {
		return slackfmt.ReadOptions{}
	}
	return slackfmt.ReadOptions{
		User: func(id string) (string, string) {
			u, err := c.people.get(ctx, id)
			if err != nil {
				return "", ""
			}
			return string(c.info(u, self).ID), u.name()
		},
		Channel: func(id string) (string, string) {
			if !slackid.IsChannel(id) {
				return "", ""
			}
			return string(self.portal(id).Room), c.channelName(ctx, id)
		},
		Group: func(id string) string { return c.people.groupName(ctx, id) },
		Emoji: func(name string) string {
			if c.people.emojiURL(ctx, name) == "" {
				return ""
			}
			return emojiMedia(name)
		},
	}
}

// onChanged: an edit, unless only a preview or the number of replies changed.
func (c *Connector) onChanged(ctx context.Context, channel string, ev event) ([]sdk.Event, error) {
	m := ev.Message
	if m == nil || !m.TS.Valid() {
		return nil, nil
	}
	if m.SubType == "tombstone" { // the root of a thread was deleted
		return c.deleted(ctx, channel, m.TS, ev.Previous, ev.EventTS)
	}
	if ev.Previous == nil && m.Edited == nil || ev.Previous != nil && sameContent(m, ev.Previous) {
		return nil, nil
	}
	return c.edited(ctx, channel, m, ev.EventTS)
}

// sameContent compares what people see of a message, without what Slack added to it.
func sameContent(a, b *message) bool {
	read := func(m *message) richtext.Document {
		return slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks, Attachments: m.Attachments}, slackfmt.ReadOptions{})
	}
	same := func(x, y file) bool { return x.ID == y.ID && (x.Mode == "tombstone") == (y.Mode == "tombstone") }
	return slices.EqualFunc(a.Files, b.Files, same) && read(a).Equal(read(b))
}

func (c *Connector) edited(ctx context.Context, channel string, m *message, at slackid.TS) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil {
		return nil, err
	}
	version := at
	if m.Edited != nil && m.Edited.TS.Valid() {
		version = m.Edited.TS
	}
	key := place{channel, m.TS}
	if known, ok := c.memory.shown.get(key); ok && !version.After(known) {
		return nil, nil // it was read back like this
	}
	thread := m.ThreadTS
	if thread == "" {
		thread = m.TS
	}
	h, err := c.head(ctx, channel, thread, self.authorOf(m), version)
	if err != nil {
		return nil, err
	}
	h.ID, h.Version = sdk.EventID("edit:"+string(m.TS)), string(version)
	if self.ours(m) {
		h.Own = true
		h.Origin, _ = c.memory.edits.get(key)
	}
	out := &sdk.Edit{EventHeader: h, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(m.TS)}}
	if out.Content, err = c.content(ctx, channel, m); err != nil {
		return nil, err
	}
	if out.Content.Body.Empty() && len(out.Content.Attachments) == 0 {
		return nil, nil
	}
	return []sdk.Event{out}, nil
}

func (c *Connector) onDeleted(ctx context.Context, channel string, ev event) ([]sdk.Event, error) {
	return c.deleted(ctx, channel, ev.DeletedTS, ev.Previous, ev.EventTS)
}

// deleted: Slack does not say who did it. A message of a person was taken back by her, as
// far as anybody can know; one of ours by ourselves, or by somebody else there.
func (c *Connector) deleted(ctx context.Context, channel string, ts slackid.TS, was *message, at slackid.TS) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil || !ts.Valid() {
		return nil, err
	}
	author, thread, own := "", ts, false
	if was != nil {
		author, own = self.authorOf(was), self.ours(was)
		if was.ThreadTS != "" {
			thread = was.ThreadTS
		}
	}
	moderated := false
	if own {
		author = ""
		if by, _ := c.memory.deleted.get(place{channel, ts}); by {
			return nil, nil
		}
		moderated = true
	}
	h, err := c.head(ctx, channel, thread, author, at)
	if err != nil {
		return nil, err
	}
	h.ID = sdk.EventID("delete:" + string(ts))
	return []sdk.Event{&sdk.Retract{EventHeader: h, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(ts)}, Moderated: moderated}}, nil
}

func (c *Connector) topicChanged(ctx context.Context, channel string, m *message) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil {
		return nil, err
	}
	h, err := c.head(ctx, channel, "", self.authorOf(m), m.TS)
	if err != nil {
		return nil, err
	}
	h.ID, h.Own = sdk.EventID("topic:"+string(m.TS)), self.ours(m)
	topic := plainText(m.Topic)
	return []sdk.Event{&sdk.RoomChanged{EventHeader: h, Topic: &topic}}, nil
}

// plainText is a topic or another text of Slack's without its marks.
func plainText(s string) string {
	return slackfmt.FromMrkdwn(s, slackfmt.ReadOptions{}).Plain()
}

func (c *Connector) onReaction(ctx context.Context, channel string, _ *position, ev event) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil || ev.User == self.User || !ev.Item.TS.Valid() {
		return nil, err // our own are set for our people
	}
	thread, _ := c.memory.roots.get(place{channel, ev.Item.TS})
	h, err := c.head(ctx, channel, thread, ev.User, ev.EventTS)
	if err != nil {
		return nil, err
	}
	change, sign := sdk.ReactionAdd, "+"
	if ev.Type == "reaction_removed" {
		change, sign = sdk.ReactionRemove, "-"
	}
	h.ID = sdk.EventID(strings.Join([]string{"react", sign, string(ev.EventTS), ev.User, ev.Reaction, string(ev.Item.TS)}, ":"))
	return []sdk.Event{&sdk.Reaction{EventHeader: h, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(ev.Item.TS)}, Change: change, Emoji: []sdk.Emoji{c.emoji(ctx, ev.Reaction)}}}, nil
}

// emoji is a reaction by its short name.
func (c *Connector) emoji(ctx context.Context, name string) sdk.Emoji {
	if text := slackfmt.EmojiText(name); text != "" {
		return sdk.Emoji{Text: text}
	}
	e := sdk.Emoji{Text: ":" + name + ":", ID: name}
	if c.people.emojiURL(ctx, name) != "" {
		e.Media = &sdk.Media{ID: sdk.MediaID(emojiMedia(name)), Lazy: true, Key: emojiMedia(name), Size: -1}
	}
	return e
}

// onLists: custom emoji or user groups are not what they were.
func (c *Connector) onLists(context.Context, string, *position, event) ([]sdk.Event, error) {
	c.people.forgetLists()
	return nil, nil
}

// onUser: somebody has another name, face or status.
func (c *Connector) onUser(_ context.Context, _ string, _ *position, ev event) ([]sdk.Event, error) {
	self, err := c.me()
	if err != nil || ev.Who == nil || !slackid.IsUser(ev.Who.ID) {
		return nil, err
	}
	c.people.put(*ev.Who)
	if ev.Type == "team_join" {
		return nil, nil
	}
	info := c.info(*ev.Who, self)
	if p := c.statusOf(*ev.Who, info.ID); p != nil {
		c.host.Signal(p)
	}
	h := sdk.EventHeader{ID: sdk.EventID("user:" + ev.Who.ID), Version: info.Version + "/" + string(ev.EventTS), Time: timeOf(ev.EventTS), Actor: sdk.Party{User: info.ID}}
	return []sdk.Event{&sdk.UserChanged{EventHeader: h, User: info}}, nil
}
