package demo

import (
	"context"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demoid"
	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// guest is what the network was last told of an XMPP person.
type guest struct {
	name string
	face sdk.MediaID // as the server names it
}

// act is a call on behalf of somebody. The operation's id is the network's
// idempotency key, so that a repeated operation (after a crash) does nothing new;
// n numbers the calls of one operation.
func (c *Connector) act(ctx context.Context, h *sdk.OpHeader, n int, r demonet.Request) (demonet.Response, error) {
	as, err := c.sender(ctx, h)
	if err != nil {
		return demonet.Response{}, err
	}
	r.As, r.Key, r.Room = as, demoid.Key(string(h.ID), n), demonet.RoomID(h.Portal.Room)
	res, err := c.api.Call(ctx, r)
	return res, fail(err)
}

// sender is the account to act with: the person's own, or a guest's with her name and face.
func (c *Connector) sender(ctx context.Context, h *sdk.OpHeader) (demonet.UserID, error) {
	if h.Login != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.tokens[h.Login]; !ok {
			return "", sdk.Refuse(sdk.CodeBadCredentials, "you are not signed in as %s", h.Login)
		}
		return demonet.UserID(h.Login), nil
	}
	return c.guest(ctx, &h.Sender)
}

// guest makes sure that the network knows somebody by her name and face.
func (c *Connector) guest(ctx context.Context, s *sdk.Sender) (demonet.UserID, error) {
	if s.Person == "" {
		return "", sdk.Refuse(sdk.CodeInvalid, "nobody acts")
	}
	id := demonet.UserID(demoid.Guest(string(s.Person)))
	want := guest{name: s.Name}
	if s.Avatar != nil {
		want.face = s.Avatar.ID
	}
	c.mu.Lock()
	have, known := c.guests[s.Person]
	c.mu.Unlock()
	if known && have == want {
		return id, nil
	}
	r := demonet.Request{Do: "guest", As: id}
	if s.Name != "" {
		r.Name = &s.Name
	}
	if !known || have.face != want.face {
		r.Face = c.face(ctx, s.Avatar)
	}
	if _, err := c.api.Call(ctx, r); err != nil {
		return "", fail(err)
	}
	c.mu.Lock()
	c.guests[s.Person] = want
	c.mu.Unlock()
	return id, nil
}

// face copies a picture to the network. Without it a person still can speak, so
// what fails is only logged.
func (c *Connector) face(ctx context.Context, m *sdk.Media) *string {
	none := ""
	if m == nil || m.ID == "" {
		return &none
	}
	f, err := c.upload(ctx, *m)
	if err != nil {
		c.log.Debug("no face", "error", err)
		return &none
	}
	return &f.ID
}

// Send implements sdk.Bridge. A text that is too long becomes several messages;
// each is reported before the next begins, so that after a crash only the rest is sent.
func (c *Connector) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	requests, err := c.outgoing(ctx, op)
	if err != nil {
		return sdk.Delivered{}, err
	}
	out := sdk.Delivered{Parts: op.Prior}
	for n := len(op.Prior); n < len(requests); n++ {
		if n > 0 {
			c.progress(ctx, op, out.Parts)
		}
		res, err := c.act(ctx, &op.OpHeader, n, requests[n])
		if err != nil {
			return sdk.Delivered{}, err
		}
		out.Parts = append(out.Parts, sdk.Part{ID: partID(n), Remote: sdk.RemoteMessageID(res.Message.ID), Time: res.Message.Time})
	}
	return out, nil
}

// progress reports what has been taken. The network knows repeated keys, so it
// is only a help here, and nobody waits for it.
func (c *Connector) progress(ctx context.Context, op *sdk.SendMessage, parts []sdk.Part) {
	h := sdk.EventHeader{Portal: op.Portal, ID: sdk.EventID("progress." + demoid.Key(string(op.ID), len(parts))), Time: c.opt.Clock.Now()}
	_, err := c.host.DeliverAsync(ctx, sdk.Batch{Events: []sdk.Event{&sdk.Progress{EventHeader: h, Op: op.ID, Parts: parts}}})
	if err != nil {
		c.log.Debug("progress not reported", "error", err)
	}
}

func partID(n int) sdk.PartID {
	if n == 0 {
		return ""
	}
	return sdk.PartID(demoid.Key("p", n)[2:])
}

// outgoing splits an operation into the network's messages. Files go with the first.
func (c *Connector) outgoing(ctx context.Context, op *sdk.SendMessage) ([]demonet.Request, error) {
	base := demonet.Request{Do: "post", Emote: op.Content.Kind == sdk.KindEmote}
	if r := op.Content.ReplyTo; r != nil {
		base.ReplyTo = messageID(r.Target)
	}
	if t := op.Content.Thread; t != nil {
		base.Thread = messageID(t.Root)
	}
	first := base
	for _, a := range op.Content.Attachments {
		if len(op.Prior) > 0 {
			break // they are there
		}
		f, err := c.upload(ctx, a.Media)
		if err != nil {
			return nil, err
		}
		first.Files = append(first.Files, f.ID)
	}
	var out []demonet.Request
	for i, part := range richtext.Split(op.Content.Body, demonet.MaxText, textRunes) {
		r := base
		if i == 0 {
			r = first
		}
		r.Text = toText(part)
		out = append(out, r)
	}
	if len(out) == 0 {
		out = append(out, first)
	}
	return out, nil
}

// messageID is the network's message that a reference means: the first of its parts.
func messageID(r sdk.MessageRef) demonet.MessageID {
	if len(r.Parts) > 0 {
		return demonet.MessageID(r.Parts[0].Remote)
	}
	return demonet.MessageID(r.ID)
}

// Edit implements sdk.Editor. What was one message stays one.
func (c *Connector) Edit(ctx context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	id := messageID(op.Target)
	res, err := c.act(ctx, &op.OpHeader, 0, demonet.Request{
		Do: "edit", Message: id, Text: toText(op.Content.Body), Emote: op.Content.Kind == sdk.KindEmote,
	})
	if err != nil {
		return sdk.Delivered{}, err
	}
	// The parts that a long message had beside the first are no longer said.
	for n := 1; n < len(op.Target.Parts); n++ {
		r := demonet.Request{Do: "delete", Message: demonet.MessageID(op.Target.Parts[n].Remote)}
		if _, err := c.act(ctx, &op.OpHeader, n, r); err != nil && sdk.AsError(err).Code != sdk.CodeNotFound {
			return sdk.Delivered{}, err
		}
	}
	return sdk.DeliveredAs(sdk.RemoteMessageID(res.Message.ID), c.opt.Clock.Now()), nil
}

// Retract implements sdk.Retractor: every part goes, and what is gone already is fine.
func (c *Connector) Retract(ctx context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	parts := op.Target.Parts
	if len(parts) == 0 {
		parts = []sdk.Part{{Remote: op.Target.ID}}
	}
	for n, p := range parts {
		r := demonet.Request{Do: "delete", Message: demonet.MessageID(p.Remote), Text: op.Reason}
		if _, err := c.act(ctx, &op.OpHeader, n, r); err != nil && sdk.AsError(err).Code != sdk.CodeNotFound {
			return sdk.Delivered{}, err
		}
	}
	return sdk.Delivered{}, nil
}

// React implements sdk.Reactor: the network wants the whole set.
func (c *Connector) React(ctx context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	r := demonet.Request{Do: "react", Message: messageID(op.Target)}
	for _, e := range op.Emoji {
		r.Emoji = append(r.Emoji, e.Text)
	}
	return c.once(ctx, &op.OpHeader, r)
}

// once is an operation of a single call that makes no message.
func (c *Connector) once(ctx context.Context, h *sdk.OpHeader, r demonet.Request) (sdk.Delivered, error) {
	_, err := c.act(ctx, h, 0, r)
	return sdk.Delivered{}, err
}

// SetTopic implements sdk.TopicSetter.
func (c *Connector) SetTopic(ctx context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: "change", Text: op.Topic})
}

// EditRoom implements sdk.RoomEditor; rooms here have no pictures.
func (c *Connector) EditRoom(ctx context.Context, op *sdk.EditRoom) (sdk.Delivered, error) {
	if op.Name == nil {
		return sdk.Delivered{}, sdk.Unsupported("a picture for a room")
	}
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: "change", Name: op.Name})
}

// JoinGhost implements sdk.GhostMover.
func (c *Connector) JoinGhost(ctx context.Context, op *sdk.JoinGhost) (sdk.Delivered, error) {
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: "join"})
}

// LeaveGhost implements sdk.GhostMover.
func (c *Connector) LeaveGhost(ctx context.Context, op *sdk.LeaveGhost) (sdk.Delivered, error) {
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: "leave", Text: op.Reason})
}

// Invite implements sdk.Inviter.
func (c *Connector) Invite(ctx context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: "invite", User: demonet.UserID(op.User), Text: op.Reason})
}

// Moderate implements sdk.Moderator; there are no roles here to give.
func (c *Connector) Moderate(ctx context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	calls := map[sdk.ModerateAction]string{sdk.ModerateKick: "kick", sdk.ModerateBan: "ban", sdk.ModerateUnban: "unban"}
	do, ok := calls[op.Action]
	if !ok {
		return sdk.Delivered{}, sdk.Unsupported("this kind of moderation")
	}
	return c.once(ctx, &op.OpHeader, demonet.Request{Do: do, User: demonet.UserID(op.User), Text: op.Reason})
}

// ChangeProfile implements sdk.ProfileSetter.
func (c *Connector) ChangeProfile(ctx context.Context, op *sdk.ChangeProfile) (sdk.Delivered, error) {
	if op.Gone {
		c.mu.Lock()
		delete(c.guests, op.Sender.Person)
		c.mu.Unlock()
		_, err := c.api.Call(ctx, demonet.Request{Do: "retire", Key: string(op.ID), As: demonet.UserID(demoid.Guest(string(op.Sender.Person)))})
		return sdk.Delivered{}, fail(err)
	}
	s := op.Sender
	if op.Name != nil {
		s.Name = *op.Name
	}
	if op.Avatar != nil {
		s.Avatar = op.Avatar
	}
	_, err := c.guest(ctx, &s)
	return sdk.Delivered{}, err
}

// Typing implements sdk.Typist. Nobody becomes a guest only by typing.
func (c *Connector) Typing(ctx context.Context, s *sdk.Typing) error {
	return c.told(ctx, s.Who, demonet.Request{Do: "typing", Room: demonet.RoomID(s.Portal.Room), Active: s.Active})
}

// Presence implements sdk.Presencer.
func (c *Connector) Presence(ctx context.Context, s *sdk.Presence) error {
	shows := map[sdk.Show]string{
		sdk.ShowOnline: "online", sdk.ShowAway: "away", sdk.ShowLongAway: "away", sdk.ShowBusy: "busy",
		sdk.ShowOffline: "offline", sdk.ShowInvisible: "offline",
	}
	return c.told(ctx, s.Who, demonet.Request{Do: "presence", Show: shows[s.Show], Status: s.Status})
}

// MarkRead implements sdk.Reader.
func (c *Connector) MarkRead(ctx context.Context, s *sdk.ReadState) error {
	return c.told(ctx, s.Who, demonet.Request{Do: "read", Message: messageID(s.UpTo)})
}

func (c *Connector) told(ctx context.Context, who sdk.Party, r demonet.Request) error {
	c.mu.Lock()
	_, known := c.guests[who.Person]
	c.mu.Unlock()
	if !known {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r.As = demonet.UserID(demoid.Guest(string(who.Person)))
	_, err := c.api.Call(ctx, r)
	return fail(err)
}
