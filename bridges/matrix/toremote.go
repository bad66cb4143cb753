package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixfmt"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// opField marks our own events with the operation they carry out.
const opField = "fi.viaduct.op"

// maxTextBytes bounds the text of one event: body and HTML together must stay
// below the 64 KiB of an event.
const maxTextBytes = 16 << 10

// outgoing is one event of an operation.
type outgoing struct {
	part    sdk.PartID
	kind    event.Type
	content map[string]any
	// file is uploaded before the event is sent.
	file *sdk.Attachment
}

// mark is what the events of one operation carry to be known again: the operation
// and the part.
func mark(op sdk.OpID, part sdk.PartID) string {
	if part == "" {
		return string(op)
	}
	return string(op) + "." + string(part)
}

// Send implements sdk.Bridge.
func (c *Connector) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	if err := c.writable(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	events, err := c.compose(op.ID, op.Content)
	if err != nil {
		return sdk.Delivered{}, err
	}
	return c.sendAll(ctx, &op.OpHeader, events)
}

// sendAll sends the events of an operation in order, skipping what the network
// has already.
func (c *Connector) sendAll(ctx context.Context, h *sdk.OpHeader, events []outgoing) (sdk.Delivered, error) {
	var done sdk.Delivered
	prior := map[sdk.PartID]sdk.Part{}
	for _, p := range h.Prior {
		prior[p.ID] = p
	}
	err := c.inRoom(ctx, h, "cannot write here", func(ctx context.Context, api *mautrix.Client, r *room) error {
		done.Parts = nil
		if h.Doubt || h.Attempt > 1 {
			if err := c.findPrior(ctx, api, r, h, prior); err != nil {
				return err
			}
		}
		for _, out := range events {
			part, ok := prior[out.part]
			if !ok {
				var err error
				if part, err = c.sendOne(ctx, api, r, h, out); err != nil {
					return err
				}
				prior[out.part] = part
			}
			c.settleMark(r, api.UserID, mark(h.ID, out.part), id.EventID(part.Remote))
			done.Parts = append(done.Parts, part)
		}
		return nil
	})
	if err != nil {
		return sdk.Delivered{}, err
	}
	return done, nil
}

func (c *Connector) sendOne(ctx context.Context, api *mautrix.Client, r *room, h *sdk.OpHeader, out outgoing) (sdk.Part, error) {
	if out.file != nil {
		if err := c.attach(ctx, api.UserID, out); err != nil {
			return sdk.Part{}, err
		}
	}
	txn := mark(h.ID, out.part)
	out.content[opField] = txn
	resp, err := api.SendMessageEvent(ctx, r.id, out.kind, out.content, mautrix.ReqSendEvent{TransactionID: txn})
	if err != nil {
		return sdk.Part{}, err
	}
	return sdk.Part{ID: out.part, Remote: sdk.RemoteMessageID(resp.EventID), Time: c.now()}, nil
}

// findPrior looks for what an earlier attempt left in the room: homeservers keep
// transaction ids in memory only, and forget them when they are killed.
func (c *Connector) findPrior(ctx context.Context, api *mautrix.Client, r *room, h *sdk.OpHeader, prior map[sdk.PartID]sdk.Part) error {
	if err := c.catchUp(ctx, api, r); err != nil {
		return err
	}
	for {
		if err := c.scanPrior(ctx, api, r, h, prior); err != nil || len(prior) > 0 {
			return err
		}
		left := showsLate - c.now().Sub(time.Unix(c.upSince.Load(), 0))
		if ephemeralWay(c.ephemeral.Load()) == wayPush || left < 0 {
			return nil
		}
		select {
		case <-c.opt.After(min(left+time.Second, lookAgain)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// showsLate is how long after it was killed a homeserver may show an event for the
// first time that it had taken before.
//
// COMPAT(Dendrite 0.15): its parts hand events to each other through a queue, which
// gives out again after 30 s what the killed process had taken from it.
const showsLate = 35 * time.Second

// lookAgain is the pause between two looks for what may be shown late.
const lookAgain = 5 * time.Second

// scanPrior reads the room back to before the operation.
func (c *Connector) scanPrior(ctx context.Context, api *mautrix.Client, r *room, h *sdk.OpHeader, prior map[sdk.PartID]sdk.Part) error {
	since := h.Time.Add(-10 * time.Minute)
	from := ""
	for range 10 {
		page, err := c.messages(ctx, api, r.id, from, mautrix.DirectionBackward, readPage)
		if err != nil {
			return err
		}
		for _, ev := range page.Events {
			op, part, ok := originOf(ev)
			if ok && op == h.ID && ev.Sender == api.UserID {
				prior[part] = sdk.Part{ID: part, Remote: sdk.RemoteMessageID(ev.ID), Time: time.UnixMilli(ev.Timestamp)}
			}
			if !h.Time.IsZero() && time.UnixMilli(ev.Timestamp).Before(since) {
				return nil
			}
		}
		if page.End == "" || page.End == from {
			return nil
		}
		from = nextPage(page.End)
	}
	return nil
}

// barrier is an event without a meaning, which clients do not show.
var barrier = event.Type{Type: "fi.viaduct.barrier", Class: event.MessageEventType}

// catchUp returns when the room shows whatever an earlier attempt of this ghost
// sent: its request may still be worked on although nobody waits for the answer,
// and the part of the homeserver that shows rooms may lag behind the one that
// takes events (Dendrite). Events of one ghost in a room are taken in order, so
// that when a new one is shown, all are.
func (c *Connector) catchUp(ctx context.Context, api *mautrix.Client, r *room) error {
	resp, err := api.SendMessageEvent(ctx, r.id, barrier, map[string]any{}, mautrix.ReqSendEvent{TransactionID: token()[:26]})
	if err != nil {
		return err
	}
	for range 40 {
		page, err := c.messages(ctx, api, r.id, "", mautrix.DirectionBackward, readPage)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(page.Events, func(ev *event.Event) bool { return ev.ID == resp.EventID }) {
			return nil
		}
		select {
		case <-c.opt.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return sdk.RetryAfter(0, errors.New("the homeserver does not show yet what was written"))
}

// compose makes the events of a message: its text, in as many parts as it needs,
// and each file. One file takes a short text as its caption (MSC2530).
func (c *Connector) compose(op sdk.OpID, content sdk.Content) ([]outgoing, error) {
	body := content.Body.WithoutReplyFallback()
	if content.ReplyTo != nil && content.ReplyTo.Target.IsZero() {
		body = quoted(*content.ReplyTo, body)
	}
	var out []outgoing
	caption := len(content.Attachments) == 1 && !body.Empty() && richtext.PlainBytes(body) < 1024
	if !body.Empty() && !caption {
		parts := richtext.Split(body, maxTextBytes, richtext.PlainBytes)
		if len(parts) > 1 && fits(c.text(content.Kind, body)) {
			parts = []richtext.Document{body}
		}
		for i, part := range parts {
			ev := outgoing{kind: event.EventMessage, content: c.text(content.Kind, part)}
			if i > 0 {
				ev.part = sdk.PartID(fmt.Sprint(i))
			}
			out = append(out, ev)
		}
	}
	for i := range content.Attachments {
		a := content.Attachments[i]
		if caption {
			a.Caption = body
		}
		part := a.Part
		if part == "" && len(out) > 0 {
			part = sdk.PartID(fmt.Sprintf("f%d", i))
		}
		out = append(out, outgoing{part: part, kind: event.EventMessage, content: map[string]any{}, file: &a})
	}
	if len(out) == 0 {
		return nil, sdk.Refuse(sdk.CodeInvalid, "there is nothing in the message")
	}
	relate(out[0].content, content)
	return out, nil
}

// maxContent bounds what an event holds, so that it stays below 65,536 bytes with everything around it
// (Client-Server API, "Size limits").
const maxContent = 60 << 10

func fits(content map[string]any) bool {
	b, err := json.Marshal(content)
	return err == nil && len(b) <= maxContent
}

// text is the content of a text event.
func (c *Connector) text(kind sdk.MessageKind, body richtext.Document) map[string]any {
	types := map[sdk.MessageKind]event.MessageType{sdk.KindEmote: event.MsgEmote, sdk.KindNotice: event.MsgNotice}
	msgtype, ok := types[kind]
	if !ok {
		msgtype = event.MsgText
	}
	content := map[string]any{"msgtype": string(msgtype), "body": body.Plain()}
	c.format(content, body)
	return content
}

// format adds HTML, if there is any need of it, and who is called. m.mentions
// stands there even if it is empty: no client then guesses from the text.
func (c *Connector) format(content map[string]any, body richtext.Document) {
	opt := matrixfmt.Options{User: c.mentioned}
	if matrixfmt.Formatted(body) {
		content["format"] = string(event.FormatHTML)
		content["formatted_body"] = matrixfmt.HTML(body, opt)
	}
	mentions := map[string]any{}
	users, room := matrixfmt.Mentioned(body, opt)
	if len(users) > 0 {
		mentions["user_ids"] = users
	}
	if room {
		mentions["room"] = true
	}
	content["m.mentions"] = mentions
}

// mentioned is the Matrix user a mention points at.
func (c *Connector) mentioned(m richtext.Mention) string {
	if m.ID != "" {
		return m.ID
	}
	self := c.self.Load()
	if self == nil || m.Address == "" {
		return ""
	}
	return self.ns.Person(m.Address).UserID
}

// relate says what a message answers and which thread it belongs to.
func relate(content map[string]any, m sdk.Content) {
	relates := map[string]any{}
	reply := ""
	if m.ReplyTo != nil {
		reply = firstID(m.ReplyTo.Target)
	}
	if m.Thread != nil {
		root := m.Thread.ID
		if root == "" {
			root = firstID(m.Thread.Root)
		}
		if root != "" {
			relates["rel_type"], relates["event_id"] = "m.thread", root
			relates["is_falling_back"] = reply == ""
			if reply == "" {
				reply = root
			}
		}
	}
	if reply != "" {
		relates["m.in_reply_to"] = map[string]any{"event_id": reply}
	}
	if len(relates) > 0 {
		content["m.relates_to"] = relates
	}
}

// firstID is the native message that stands for a message, "" if it is none of Matrix.
func firstID(ref sdk.MessageRef) string {
	id := ref.ID
	if len(ref.Parts) > 0 {
		id = ref.Parts[0].Remote
	}
	if !strings.HasPrefix(string(id), "$") {
		return ""
	}
	return string(id)
}

// quoted puts what is answered above the text, where Matrix has no event to point at.
func quoted(r sdk.Reply, body richtext.Document) richtext.Document {
	var line []richtext.Node
	if r.Author != "" {
		line = append(line, richtext.Bold(richtext.Text(r.Author+": ")))
	}
	line = append(line, richtext.Text(short(r.Excerpt, 300)))
	if r.Author == "" && r.Excerpt == "" {
		return body
	}
	blocks := append([]richtext.Node{richtext.Quote(richtext.Para(line...))}, body.Blocks...)
	d, _ := richtext.Normalize(richtext.Doc(blocks...), richtext.DefaultLimits())
	return d
}

// Edit implements sdk.Editor. A message in several parts keeps the first, with the
// whole new text; the others are redacted.
func (c *Connector) Edit(ctx context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	if err := c.writable(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	target := firstID(op.Target)
	if target == "" {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeNotFound, "the message is not known on Matrix")
	}
	body := op.Content.Body.WithoutReplyFallback()
	if parts := richtext.Split(body, maxTextBytes, richtext.PlainBytes); len(parts) > 1 {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeTooLong, "a corrected message may have %d bytes", maxTextBytes)
	}
	content := c.text(op.Content.Kind, body)
	inner := c.text(op.Content.Kind, body)
	content["body"] = "* " + body.Plain()
	if html, ok := content["formatted_body"].(string); ok {
		content["formatted_body"] = "* " + html
	}
	content["m.new_content"] = inner
	content["m.relates_to"] = map[string]any{"rel_type": "m.replace", "event_id": target}
	done, err := c.sendAll(ctx, &op.OpHeader, []outgoing{{kind: event.EventMessage, content: content}})
	if err != nil || len(op.Target.Parts) < 2 {
		return done, err
	}
	return done, c.redactAll(ctx, &op.OpHeader, op.Target.Parts[1:], "")
}

// Retract implements sdk.Retractor.
func (c *Connector) Retract(ctx context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	parts := op.Target.Parts
	if len(parts) == 0 && op.Target.ID != "" {
		parts = []sdk.Part{{Remote: op.Target.ID}}
	}
	if len(parts) == 0 {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeNotFound, "the message is not known on Matrix")
	}
	return sdk.Delivered{}, c.redactAll(ctx, &op.OpHeader, parts, op.Reason)
}

// redactAll redacts as the sender, and as the bot where she has no right to.
func (c *Connector) redactAll(ctx context.Context, h *sdk.OpHeader, parts []sdk.Part, reason string) error {
	return c.inRoom(ctx, h, "cannot take it back", func(ctx context.Context, api *mautrix.Client, r *room) error {
		for i, p := range parts {
			if err := c.redact(ctx, api, r, id.EventID(p.Remote), fmt.Sprintf("%s.r%d", h.ID, i), reason); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Connector) redact(ctx context.Context, api *mautrix.Client, r *room, target id.EventID, txn, reason string) error {
	req := mautrix.ReqRedact{TxnID: txn, Reason: short(reason, 500), Extra: map[string]any{opField: txn}}
	_, err := api.RedactEvent(ctx, r.id, target, req)
	if errcode(err) != "M_FORBIDDEN" {
		return err
	}
	helper, helperErr := c.reader(ctx, r)
	if helperErr != nil || helper.UserID == api.UserID {
		return err
	}
	if _, second := helper.RedactEvent(ctx, r.id, target, req); second == nil {
		return nil
	}
	return err
}

// writable: what is said in an encrypted room was meant to stay there, and the
// bridge has no keys.
func (c *Connector) writable(h *sdk.OpHeader) error {
	if err := checkHeader(h); err != nil {
		return err
	}
	if c.rooms.get(id.RoomID(h.Portal.Room)).isEncrypted() {
		return sdk.Refuse(sdk.CodeEncrypted, "the room is end-to-end encrypted on Matrix; the bridge cannot write there")
	}
	return nil
}
