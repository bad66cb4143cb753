package discord

import (
	"context"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// arrived makes the event of a message, and moves the room's cursor over it.
func (c *Connector) arrived(ctx context.Context, m message, past bool) ([]sdk.Event, []sdk.CursorMark) {
	room, thread, ok := c.locate(ctx, m.ChannelID)
	if !ok {
		return nil, nil
	}
	c.world.youngest(m.ChannelID, m.ID)
	return c.message(ctx, m, past), []sdk.CursorMark{c.rooms.advance(room, thread, m.ID)}
}

// message makes the event of a message.
func (c *Connector) message(ctx context.Context, m message, past bool) []sdk.Event {
	room, thread, ok := c.locate(ctx, m.ChannelID)
	if !ok || m.Author == nil {
		return nil
	}
	content, shown := c.content(ctx, m, thread)
	if !shown {
		return nil
	}
	e := &sdk.Message{Message: messageRef(thread, m.ID).ID, Content: content}
	e.EventHeader = c.header(m, room, string(e.Message))
	e.History = past
	if m.WebhookID != "" && !e.Own {
		e.Persona = c.persona(m)
	}
	if m.WebhookID == "" {
		c.world.active(room, m.Author.ID, m.Timestamp)
		if m.Member != nil { // it is newer than what was known
			member := *m.Member
			member.User = m.Author
			if _, known := c.world.member(m.GuildID, m.Author.ID); !known {
				c.world.setMember(m.GuildID, member)
			}
		}
	}
	c.wrote.put(m.ID, m.Author.ID)
	return []sdk.Event{e}
}

// header is common to a message and its edits.
func (c *Connector) header(m message, room, id string) sdk.EventHeader {
	return sdk.EventHeader{Portal: portal(room), ID: sdk.EventID(id), Time: m.Timestamp, Own: c.ours(m), Actor: sdk.Party{User: sdk.RemoteUserID(m.Author.ID)}}
}

// authors is who wrote a message that was seen lately.
func (c *Connector) authors(id string) (string, bool) {
	if _, ours := c.sent.get(id); ours {
		return "", false
	}
	return c.wrote.get(id)
}

// persona is the name and face under which a webhook spoke.
func (c *Connector) persona(m message) *sdk.Persona {
	p := &sdk.Persona{Key: discordid.Persona(m.WebhookID, m.Author.Username), Name: m.Author.Username}
	if m.Author.Avatar != "" {
		p.Avatar = avatar("avatars/"+m.WebhookID+"/"+m.Author.Avatar, m.Author.Avatar)
	}
	return p
}

// edit makes the event of an edit. Without a time of edit only a preview was
// added; our own edits are known.
func (c *Connector) edit(ctx context.Context, m message) []sdk.Event {
	room, thread, ok := c.locate(ctx, m.ChannelID)
	if !ok || m.Author == nil || m.EditedTimestamp == nil || c.ours(m) {
		return nil
	}
	content, shown := c.content(ctx, m, thread)
	if !shown {
		return nil
	}
	e := &sdk.Edit{Target: messageRef(thread, m.ID), Content: content}
	e.EventHeader = c.header(m, room, "edit-"+m.ID)
	e.Version, e.Time = m.EditedTimestamp.UTC().Format(time.RFC3339Nano), *m.EditedTimestamp
	if m.WebhookID != "" {
		e.Target.Author = e.Actor
	}
	return []sdk.Event{e}
}

// notices are messages that Discord itself writes, by type; those that are in no
// table are not shown: what they tell comes as an event of its own, or is for
// Discord's clients alone.
func notices(m message) (string, bool) {
	texts := map[discordgo.MessageType]string{
		6: "pinned a message", 8: "boosted the server", 9: "boosted the server to level 1", 10: "boosted the server to level 2",
		11: "boosted the server to level 3", 12: "follows the channel " + m.Content, 18: "started the thread " + m.Content,
		27: "started the stage " + m.Content, 28: "ended the stage " + m.Content, 31: "changed the stage's topic to " + m.Content, 46: "ended a poll",
	}
	text, ok := texts[m.Type]
	return text, ok
}

// content says what a message says; false: nothing that is to be shown.
func (c *Connector) content(ctx context.Context, m message, thread string) (sdk.Content, bool) {
	var out sdk.Content
	if thread != "" {
		t, _ := c.world.channel(thread)
		// A thread that began at a message has its id.
		out.Thread = &sdk.Thread{ID: thread, Root: messageRef("", thread), Name: t.Name}
	}
	switch m.Type {
	case discordgo.MessageTypeDefault, discordgo.MessageTypeReply, discordgo.MessageTypeChatInputCommand, discordgo.MessageTypeContextMenuCommand:
	default:
		text, ok := notices(m)
		if !ok {
			return out, false
		}
		out.Kind, out.Body = sdk.KindNotice, normal(richtext.FromPlain(text))
		if m.MessageReference != nil && m.MessageReference.MessageID != "" && m.Type == discordgo.MessageTypeChannelPinnedMessage {
			out.ReplyTo = &sdk.Reply{Target: messageRef(thread, m.MessageReference.MessageID)}
		}
		return out, true
	}
	names := c.names(m)
	doc := discordfmt.Parse(m.Content, names)
	c.embeds(&out, &doc, m.Embeds, names)
	for _, s := range m.Snapshots { // forwarded
		s.Message.ChannelID, s.Message.GuildID, s.Message.ID = m.ChannelID, m.GuildID, m.ID
		doc.Blocks = append(doc.Blocks, forwarded(discordfmt.Parse(s.Message.Content, names))...)
		c.embeds(&out, &doc, s.Message.Embeds, names)
		m.Attachments = append(m.Attachments, s.Message.Attachments...)
		m.StickerItems = append(m.StickerItems, s.Message.StickerItems...)
	}
	if m.Poll != nil {
		doc.Blocks = append(doc.Blocks, poll(m.Poll)...)
	}
	for _, s := range m.StickerItems {
		c.sticker(&out, &doc, s)
	}
	links := c.attachments(ctx, &out, m)
	doc.Blocks = append(doc.Blocks, links...)
	out.Body = normal(doc)
	if r := m.MessageReference; r != nil && r.Type == discordgo.MessageReferenceTypeDefault && m.Type == discordgo.MessageTypeReply && r.MessageID != "" {
		out.ReplyTo = c.reply(m, thread)
	}
	return out, !out.Body.Empty() || len(out.Attachments) > 0
}

func normal(d richtext.Document) richtext.Document {
	d, _ = richtext.Normalize(d, richtext.DefaultLimits())
	return d
}

// names are the names of what a message mentions.
func (c *Connector) names(m message) discordfmt.Names {
	return discordfmt.Names{
		Everyone: m.MentionEveryone,
		User: func(id string) string {
			if member, ok := c.world.member(m.GuildID, id); ok {
				return nameOf(member)
			}
			for _, u := range m.Mentions {
				if u.ID == id {
					return nameOf(discordgo.Member{User: u})
				}
			}
			return ""
		},
		Channel: func(id string) string {
			ch, _ := c.world.channel(id)
			return ch.Name
		},
		Role: func(id string) string { return c.world.roleName(m.GuildID, id) },
	}
}

// embeds are previews of links, or text that a bot put into a card.
func (c *Connector) embeds(out *sdk.Content, doc *richtext.Document, list []discordfmt.Embed, names discordfmt.Names) {
	for _, e := range list {
		if !e.IsPreview() {
			doc.Blocks = append(doc.Blocks, e.Text(names).Blocks...)
			continue
		}
		if e.Title != "" || e.Description != "" {
			text, _ := richtext.Normalize(richtext.FromPlain(e.Description), richtext.DefaultLimits())
			out.Previews = append(out.Previews, sdk.Preview{URL: e.URL, Title: e.Title, Site: e.Provider.Name, Text: text})
		}
	}
}

func forwarded(d richtext.Document) []richtext.Node {
	head := richtext.Para(richtext.Style(richtext.KindSubtext, richtext.Text("forwarded")))
	if d.Empty() {
		return []richtext.Node{head}
	}
	return []richtext.Node{head, richtext.Quote(d.Blocks...)}
}

func poll(p *discordgo.Poll) []richtext.Node {
	out := []richtext.Node{richtext.Para(richtext.Text("Poll: "), richtext.Bold(richtext.Text(p.Question.Text)))}
	var items []richtext.Node
	for _, a := range p.Answers {
		text := ""
		if a.Media != nil {
			text = a.Media.Text
		}
		items = append(items, richtext.Item(richtext.Para(richtext.Text(text))))
	}
	return append(out, richtext.List(items...))
}

// reply says what a message answers. Discord brings the message along.
func (c *Connector) reply(m message, thread string) *sdk.Reply {
	r := &sdk.Reply{Target: messageRef(thread, m.MessageReference.MessageID), Link: discordid.Link(m.GuildID, m.MessageReference.ChannelID, m.MessageReference.MessageID)}
	to := m.Referenced
	if to == nil || to.Author == nil {
		return r
	}
	r.Author = to.Author.Username
	if to.WebhookID == "" {
		r.Target.Author = sdk.Party{User: sdk.RemoteUserID(to.Author.ID)}
		member, ok := c.world.member(m.GuildID, to.Author.ID)
		if !ok {
			member = discordgo.Member{User: to.Author}
		}
		r.Author = nameOf(member)
	}
	r.Excerpt = excerpt(discordfmt.Parse(to.Content, c.names(*to)).Plain())
	return r
}

// excerpt is the beginning of a text: three lines, 200 characters.
func excerpt(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	cut := len(lines) > 3
	s = strings.Join(lines[:min(len(lines), 3)], "\n")
	if r := []rune(s); len(r) > 200 {
		s, cut = string(r[:200]), true
	}
	if cut {
		s += "…"
	}
	return s
}
