package discord

import (
	"context"
	"net/http"
	"unicode/utf8"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// targets are the native messages of a reference.
func targets(r sdk.MessageRef) ([]discordid.Message, error) {
	parts := r.Parts
	if len(parts) == 0 {
		parts = []sdk.Part{{Remote: r.ID}}
	}
	var out []discordid.Message
	for _, p := range parts {
		m, ok := discordid.ParseMessage(string(p.Remote))
		if !ok {
			return nil, sdk.Refuse(sdk.CodeNotFound, "there is no message %.40q on Discord", p.Remote)
		}
		out = append(out, m)
	}
	return out, nil
}

// hookOf is the webhook that wrote a message; ok is false if it is gone or was not ours.
func (c *Connector) hookOf(ctx context.Context, room string, m discordid.Message) (*discordgo.Webhook, bool, error) {
	id, known := c.sent.get(m.ID)
	if !known {
		msg, err := get[message](ctx, c.api, "/channels/"+m.Channel(room)+"/messages/"+m.ID, "")
		if err != nil {
			return nil, false, explain("the message is not there", err)
		}
		if msg.WebhookID == "" {
			return nil, false, nil
		}
		id = msg.WebhookID
	}
	return c.hooks.byID(ctx, room, id)
}

// hookCall is a call on a message that a webhook wrote.
func hookCall(method string, w *discordgo.Webhook, m discordid.Message, body any) call {
	query := ""
	if m.Thread != "" {
		query = "thread_id=" + m.Thread
	}
	return call{Method: method, Path: "/webhooks/" + w.ID + "/" + w.Token + "/messages/" + m.ID, Route: "/webhooks/" + w.ID + "/messages", Query: query, Body: body, Anon: true}
}

// Edit implements sdk.Editor. What was split is split anew: messages that are no
// longer needed go, and what no longer fits is said at the end.
func (c *Connector) Edit(ctx context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	ch, err := c.operate(ctx, &op.OpHeader)
	if err != nil {
		return sdk.Delivered{}, err
	}
	old, err := targets(op.Target)
	if err != nil {
		return sdk.Delivered{}, err
	}
	to := target{room: ch, thread: old[0].Thread}
	content := op.Content
	content.Attachments = nil // files stay as they are
	parts, err := c.compose(ctx, to, content)
	if err != nil {
		return sdk.Delivered{}, err
	}
	hook, ok, err := c.hookOf(ctx, ch.ID, old[0])
	if err != nil {
		return sdk.Delivered{}, err
	}
	if !ok {
		return c.editedAnew(ctx, op, to)
	}
	mentions := allowed(content.Body)
	var out sdk.Delivered
	for i, m := range old[:min(len(old), len(parts))] {
		err := c.api.do(ctx, hookCall(http.MethodPatch, hook, m, map[string]any{"content": parts[i].text, "allowed_mentions": mentions}), nil)
		if hasCode(err, codeUnknownWebhook, codeBadHookToken) {
			c.hooks.changed(ch.ID)
			return c.editedAnew(ctx, op, to)
		}
		if err != nil {
			return sdk.Delivered{}, explain("the message was not changed", unwrapUnsureTemporary(err))
		}
		out.Parts = append(out.Parts, sdk.Part{ID: partID(i), Remote: messageRef(m.Thread, m.ID).ID, Time: c.opt.Now()})
	}
	for _, m := range old[len(out.Parts):] {
		if err := c.erase(ctx, ch.ID, m); err != nil {
			return sdk.Delivered{}, err
		}
	}
	if len(parts) == len(out.Parts) {
		return out, nil
	}
	h := op.OpHeader
	h.Prior = out.Parts
	return c.sendParts(ctx, &h, to, parts, mentions)
}

// editedAnew says what was changed in a new message, when the webhook is gone that
// wrote the old one: nobody can change that any more.
func (c *Connector) editedAnew(ctx context.Context, op *sdk.EditMessage, to target) (sdk.Delivered, error) {
	content := op.Content
	content.Attachments = nil
	content.ReplyTo = nil
	m, _ := discordid.ParseMessage(string(refID(op.Target)))
	head := richtext.Para(richtext.Style(richtext.KindSubtext, richtext.Link(discordid.Link(to.room.GuildID, m.Channel(to.room.ID), m.ID), richtext.Text("edited:"))))
	content.Body = normal(richtext.Join(richtext.Doc(head), content.Body))
	parts, err := c.compose(ctx, to, content)
	if err != nil {
		return sdk.Delivered{}, err
	}
	return c.sendParts(ctx, &op.OpHeader, to, parts, allowed(content.Body))
}

// Retract implements sdk.Retractor: every part goes, and what is gone already is fine.
func (c *Connector) Retract(ctx context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	ch, err := c.operate(ctx, &op.OpHeader)
	if err != nil {
		return sdk.Delivered{}, err
	}
	list, err := targets(op.Target)
	if err != nil {
		return sdk.Delivered{}, err
	}
	for _, m := range list {
		if err := c.erase(ctx, ch.ID, m); err != nil {
			return sdk.Delivered{}, err
		}
	}
	return sdk.Delivered{}, nil
}

// erase deletes a message: through the webhook that wrote it, or as the bot.
func (c *Connector) erase(ctx context.Context, room string, m discordid.Message) error {
	c.removed.put(m.ID, true)
	hook, ok, err := c.hookOf(ctx, room, m)
	if err != nil {
		if e := sdk.AsError(err); e.Code == sdk.CodeNotFound {
			return nil
		}
		return err
	}
	if ok {
		err := c.api.do(ctx, hookCall(http.MethodDelete, hook, m, nil), nil)
		if err == nil || hasCode(err, codeUnknownMessage) {
			return nil
		}
		if !hasCode(err, codeUnknownWebhook, codeBadHookToken) {
			return explain("the message was not taken back", unwrapUnsureTemporary(err))
		}
		c.hooks.changed(room)
	}
	path := "/channels/" + m.Channel(room) + "/messages/"
	err = c.api.do(ctx, call{Method: http.MethodDelete, Path: path + m.ID, Route: path}, nil)
	if err == nil || hasCode(err, codeUnknownMessage) {
		return nil
	}
	return explain("the message was not taken back", unwrapUnsureTemporary(err))
}

// SetTopic implements sdk.TopicSetter. Discord allows it twice in ten minutes.
func (c *Connector) SetTopic(ctx context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	ch, err := c.operate(ctx, &op.OpHeader)
	if err != nil {
		return sdk.Delivered{}, err
	}
	if utf8.RuneCountInString(op.Topic) > limitTopic {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeTooLong, "a topic on Discord has at most %d characters", limitTopic)
	}
	if ch.Topic == op.Topic {
		return sdk.Delivered{}, nil // an edit would count all the same
	}
	var changed discordgo.Channel
	err = c.api.do(ctx, call{Method: http.MethodPatch, Path: "/channels/" + ch.ID, Body: map[string]any{"topic": op.Topic}}, &changed)
	return sdk.Delivered{}, explain("the topic was not changed", unwrapUnsureTemporary(err))
}
