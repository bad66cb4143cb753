package slack

import (
	"context"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// partsOf are the native messages of a target; ok is false if none of them can be one
// of Slack's.
func partsOf(t sdk.MessageRef) []sdk.Part {
	if len(t.Parts) > 0 {
		return t.Parts
	}
	if t.ID == "" {
		return nil
	}
	return []sdk.Part{{ID: t.Part, Remote: t.ID}}
}

func unknownMessage() error {
	return sdk.Refuse(sdk.CodeNotFound, "the message is not known on Slack")
}

// Edit implements sdk.Editor. A text that has more parts than before goes on in new
// messages, one that has fewer loses its last ones; files stay.
func (c *Connector) Edit(ctx context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	ch, _, err := c.place(op.Portal)
	if err != nil {
		return sdk.Delivered{}, err
	}
	var texts, rest []sdk.Part
	for _, p := range partsOf(op.Target) {
		if p.ID == filesPart {
			rest = append(rest, p)
		} else if slackid.TS(p.Remote).Valid() {
			texts = append(texts, p)
		}
	}
	doc := c.body(op.Content)
	switch {
	case len(texts) == 0:
		return sdk.Delivered{}, unknownMessage()
	case doc.Empty():
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeInvalid, "there is nothing to say")
	}
	if r := op.Content.ReplyTo; r != nil && ch.Thread == "" && op.Content.Thread == nil && c.conf.Replies == "quote" {
		if _, threaded := c.memory.roots.get(place{ch.ID, slackid.TS(texts[0].Remote)}); !threaded {
			doc = richtext.Join(c.quote(ch.ID, slackid.TS(r.Target.ID), r), doc)
		}
	}
	return c.editTexts(ctx, op, ch, texts, rest, slackfmt.Split(doc))
}

func (c *Connector) editTexts(ctx context.Context, op *sdk.EditMessage, ch slackid.Channel, texts, rest []sdk.Part, docs []richtext.Document) (sdk.Delivered, error) {
	if len(docs) > maxParts {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeTooLong, "the text is too long for an edit on Slack")
	}
	var done []sdk.Part
	for i, doc := range docs[:min(len(docs), len(texts))] {
		if err := c.update(ctx, op, ch, texts[i], doc); err != nil {
			return sdk.Delivered{}, err
		}
		done = append(done, texts[i])
	}
	for _, p := range texts[len(done):] {
		if err := c.remove(ctx, ch.ID, p); err != nil {
			return sdk.Delivered{}, err
		}
	}
	if len(docs) > len(texts) {
		more := &sdk.SendMessage{OpHeader: op.OpHeader, Content: sdk.Content{Thread: op.Content.Thread}}
		s := &sending{c: c, op: more, ch: ch, thread: ch.Thread}
		if root, ok := c.memory.roots.get(place{ch.ID, slackid.TS(texts[0].Remote)}); ok && s.thread == "" {
			s.thread = root
		}
		var err error
		if op.Doubt {
			if s.known, err = s.lookBack(ctx); err != nil {
				return sdk.Delivered{}, err
			}
		}
		for i, doc := range docs[len(texts):] {
			id := partID(len(texts) + i)
			ts, ok := s.known[id]
			if !ok {
				if ts, err = s.say(ctx, doc, id); err != nil {
					return sdk.Delivered{}, err
				}
			}
			s.took(id, ts)
		}
		done = append(done, s.done...)
	}
	return sdk.Delivered{Parts: append(done, rest...)}, nil
}

func (c *Connector) update(ctx context.Context, op *sdk.EditMessage, ch slackid.Channel, p sdk.Part, doc richtext.Document) error {
	ts := slackid.TS(p.Remote)
	words := &posting{channel: ch.ID} // without metadata: what made the message stays written in it
	if c.plain.Load() {
		words.sign(c, op.Sender, &doc)
	}
	words.write(doc, c.writing(&op.OpHeader))
	c.memory.edits.put(place{ch.ID, ts}, op.ID)
	change := func() error {
		return c.api.simple(ctx, "chat.update", func(ctx context.Context, client *slackgo.Client) error {
			_, _, _, err := client.UpdateMessageContext(ctx, ch.ID, string(ts), words.options()...)
			return err
		})
	}
	err := change()
	switch codeOf(err) {
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long":
		words.blocks = []slackgo.Block{} // the ones that are there have to go
		err = change()
	}
	return explain("cannot change the message", err)
}

// Retract implements sdk.Retractor.
func (c *Connector) Retract(ctx context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	ch, _, err := c.place(op.Portal)
	if err != nil {
		return sdk.Delivered{}, err
	}
	parts := partsOf(op.Target)
	if len(parts) == 0 {
		return sdk.Delivered{}, unknownMessage()
	}
	for _, p := range parts {
		if err := c.remove(ctx, ch.ID, p); err != nil {
			return sdk.Delivered{}, err
		}
	}
	return sdk.Delivered{}, nil
}

// remove deletes a message; that it is not there is as good.
func (c *Connector) remove(ctx context.Context, channel string, p sdk.Part) error {
	id := string(p.Remote)
	if slackid.IsFile(id) {
		err := c.api.simple(ctx, "files.delete", func(ctx context.Context, client *slackgo.Client) error {
			return client.DeleteFileContext(ctx, id)
		})
		if code := codeOf(err); code == "file_not_found" || code == "file_deleted" {
			return nil
		}
		return explain("cannot delete the file", err)
	}
	if !slackid.TS(id).Valid() {
		return unknownMessage()
	}
	c.memory.deleted.put(place{channel, slackid.TS(id)}, true)
	err := c.api.simple(ctx, "chat.delete", func(ctx context.Context, client *slackgo.Client) error {
		_, _, err := client.DeleteMessageContext(ctx, channel, id)
		return err
	})
	if codeOf(err) == "message_not_found" {
		return nil
	}
	if err != nil && !sdk.AsError(explain("", err)).Temporary {
		c.memory.deleted.put(place{channel, slackid.TS(id)}, false)
	}
	return explain("cannot delete the message", err)
}
