package discord

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// begun is what is noted in the server's store before a message is sent: with it a
// later attempt, of this process or the next, can find out what became of it.
type begun struct {
	Op      sdk.OpID  `json:"op"`
	Channel string    `json:"channel"`
	After   string    `json:"after"` // the youngest message at that time
	At      time.Time `json:"at"`
}

func begunKey(room string) string { return "begun/" + room }

// sendParts writes the native messages of an operation, one after the other. Those
// that an earlier attempt has written are not written again.
func (c *Connector) sendParts(ctx context.Context, h *sdk.OpHeader, to target, parts []part, mentions map[string]any) (sdk.Delivered, error) {
	out := sdk.Delivered{Parts: slices.Clone(h.Prior)}
	if len(out.Parts) >= len(parts) {
		return out, nil
	}
	// A new process may be asked before it has caught up, as after an outage.
	if err := c.knowSelf(ctx); err != nil {
		return sdk.Delivered{}, err
	}
	name := discordid.LegalName(h.Sender.Name)
	note, again, err := c.begin(ctx, h, to)
	if err != nil {
		return sdk.Delivered{}, err
	}
	if again {
		found, err := c.reconcile(ctx, note, name, parts[len(out.Parts):], out.Parts)
		if err != nil {
			return sdk.Delivered{}, err
		}
		for _, m := range found {
			out.Parts = append(out.Parts, c.delivered(to, m, len(out.Parts)))
		}
	}
	for n := len(out.Parts); n < len(parts); n++ {
		if n > len(h.Prior) {
			c.progress(ctx, h, out.Parts)
		}
		m, err := c.execute(ctx, h, to, name, parts[n], mentions)
		if err != nil {
			return sdk.Delivered{}, err
		}
		out.Parts = append(out.Parts, c.delivered(to, m, n))
	}
	return out, nil
}

func (c *Connector) delivered(to target, m message, n int) sdk.Part {
	c.sent.put(m.ID, m.WebhookID)
	c.world.youngest(to.channel(), m.ID)
	return sdk.Part{ID: partID(n), Remote: messageRef(to.thread, m.ID).ID, Time: m.Timestamp}
}

// progress reports what was taken; nobody waits for it: the note does the same.
func (c *Connector) progress(ctx context.Context, h *sdk.OpHeader, parts []sdk.Part) {
	e := &sdk.Progress{Op: h.ID, Parts: slices.Clone(parts)}
	e.EventHeader = sdk.EventHeader{Portal: h.Portal, ID: sdk.EventID("progress-" + string(h.ID) + "-" + string(partID(len(parts)))), Time: c.opt.Now()}
	if _, err := c.host.DeliverAsync(ctx, sdk.Batch{Events: []sdk.Event{e}}); err != nil {
		c.log.Debug("progress not reported", "error", err)
	}
}

// begin notes an operation before its first message; again: it was begun before.
func (c *Connector) begin(ctx context.Context, h *sdk.OpHeader, to target) (begun, bool, error) {
	key := begunKey(to.room.ID)
	if h.Attempt > 1 || h.Doubt || len(h.Prior) > 0 {
		e, err := c.host.State().Get(ctx, key)
		var old begun
		switch {
		case err != nil && !errors.Is(err, sdk.ErrNotFound):
			return begun{}, false, err
		case err == nil && json.Unmarshal(e.Value, &old) == nil && old.Op == h.ID:
			return old, true, nil
		}
	}
	ch, err := c.world.load(ctx, c.api, to.channel())
	if err != nil && !hasCode(err, codeUnknownChannel) {
		return begun{}, false, explain("the channel cannot be used", err)
	}
	note := begun{Op: h.ID, Channel: to.channel(), After: ch.LastMessageID, At: c.opt.Now()}
	raw, err := json.Marshal(note)
	if err != nil {
		return begun{}, false, err
	}
	_, err = c.host.State().Put(ctx, key, raw, sdk.AnyRevision)
	return note, false, err
}

// reconcile reads the channel back for what an earlier attempt has written: messages
// of our webhooks, after the place that was noted, under the same name, with the
// same texts in the same order.
func (c *Connector) reconcile(ctx context.Context, note begun, name string, parts []part, prior []sdk.Part) ([]message, error) {
	// A request that was cut off may still be under way.
	if wait := c.opt.Settle - c.opt.Now().Sub(note.At); wait > 0 {
		c.pause(ctx, min(wait, c.opt.Settle))
	}
	after := note.After
	for _, p := range prior {
		if m, ok := discordid.ParseMessage(string(p.Remote)); ok {
			after = discordid.Max(after, m.ID)
		}
	}
	if after == "" {
		after = discordid.At(note.At.Add(-time.Hour))
	}
	var found []message
	for pages := 0; len(found) < len(parts) && pages < 20; pages++ {
		page, err := c.page(ctx, note.Channel, "after="+after)
		if err != nil {
			return nil, explain("what became of the message is not known", unwrapUnsure(err))
		}
		for _, m := range page {
			after = m.ID
			if len(found) < len(parts) && c.same(m, name, parts[len(found)]) {
				found = append(found, m)
			}
		}
		if len(page) < pageSize {
			break
		}
	}
	return found, ctx.Err()
}

// same reports whether a message is what an attempt would have written.
func (c *Connector) same(m message, name string, p part) bool {
	if m.WebhookID == "" || !c.ours(m) || m.Author == nil || m.Author.Username != name || strings.TrimSpace(m.Content) != strings.TrimSpace(p.text) || len(m.Attachments) != len(p.files) {
		return false
	}
	for i, f := range p.files {
		if m.Attachments[i].Size != len(f.Data) {
			return false
		}
	}
	return true
}

// execute lets a webhook speak. One that is gone is replaced, once.
func (c *Connector) execute(ctx context.Context, h *sdk.OpHeader, to target, name string, p part, mentions map[string]any) (message, error) {
	body := map[string]any{"content": p.text, "username": name, "allowed_mentions": mentions}
	if face := h.Sender.Avatar; face != nil && strings.HasPrefix(face.URL, "http") {
		body["avatar_url"] = face.URL
	}
	query := "wait=true"
	if to.thread != "" {
		query += "&thread_id=" + to.thread
	}
	for try := 0; ; try++ {
		hook, err := c.hooks.pick(ctx, to.room.ID, string(h.Sender.Person)+h.Sender.Address+h.Sender.Occupant)
		if err != nil {
			return message{}, err
		}
		var m message
		err = c.api.do(ctx, call{
			Method: http.MethodPost, Path: "/webhooks/" + hook.ID + "/" + hook.Token, Route: "/webhooks/" + hook.ID, Query: query, Body: body, Files: p.files, Anon: true,
		}, &m)
		switch {
		case err == nil:
			return m, nil
		case hasCode(err, codeUnknownWebhook, codeBadHookToken) && try == 0:
			c.hooks.changed(to.room.ID)
		case hasCode(err, codeUnknownWebhook, codeBadHookToken):
			// Somebody deletes them as fast as we make them.
			return message{}, sdk.RetryAfter(time.Minute, err)
		case hasCode(err, codeUnknownChannel) && to.thread != "":
			return message{}, sdk.Refuse(sdk.CodeNotFound, "the thread is no longer there")
		default:
			return message{}, explain("the message was not sent", unwrapUnsureTemporary(err))
		}
	}
}

// unwrapUnsureTemporary leaves a failure temporary: the next attempt looks first.
func unwrapUnsureTemporary(err error) error {
	var u *unsure
	if errors.As(err, &u) {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Discord gave no answer", Err: u.err}
	}
	return err
}
