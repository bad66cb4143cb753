package matrix

import (
	"context"
	"errors"
	"strings"
	"time"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixfmt"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

type richDocument = richtext.Document

func plainDocument(s string) richDocument {
	doc, _ := richtext.Normalize(richtext.FromPlain(s), richtext.DefaultLimits())
	return doc
}

// translation is one event of Matrix while it becomes events of the contract.
type translation struct {
	c    *Connector
	ctx  context.Context
	ev   *event.Event
	room *room
	head sdk.EventHeader
}

// translators says what is made of which type; other types are not carried.
func translators() map[string]func(*translation) []sdk.Event {
	return map[string]func(*translation) []sdk.Event{
		event.EventMessage.Type:         (*translation).message,
		event.EventSticker.Type:         (*translation).message,
		event.EventEncrypted.Type:       (*translation).encrypted,
		event.EventReaction.Type:        (*translation).reaction,
		event.EventRedaction.Type:       (*translation).redaction,
		event.StateMember.Type:          (*translation).member,
		event.StateRoomName.Type:        (*translation).roomName,
		event.StateTopic.Type:           (*translation).topic,
		event.StateRoomAvatar.Type:      (*translation).roomAvatar,
		event.StateJoinRules.Type:       (*translation).joinRules,
		event.StatePowerLevels.Type:     (*translation).powerLevels,
		event.StateTombstone.Type:       (*translation).tombstone,
		event.StateEncryption.Type:      (*translation).encryption,
		"org.matrix.msc3381.poll.start": (*translation).poll,
		"m.poll.start":                  (*translation).poll,
	}
}

// stateTypes are those of translators that only count as state events.
func isStateType(t string) bool {
	switch t {
	case event.StateMember.Type, event.StateRoomName.Type, event.StateTopic.Type, event.StateRoomAvatar.Type,
		event.StateJoinRules.Type, event.StatePowerLevels.Type, event.StateTombstone.Type, event.StateEncryption.Type:
		return true
	}
	return false
}

// translate makes events of the contract of one event of a room. It never fails:
// what makes no sense becomes nothing.
func (c *Connector) translate(ctx context.Context, ev *event.Event) []sdk.Event {
	make, ok := translators()[ev.Type.Type]
	if !ok || ev.RoomID == "" || ev.ID == "" || len(ev.ID) > sdk.MaxID || len(ev.RoomID) > sdk.MaxID {
		return nil
	}
	if isStateType(ev.Type.Type) && (ev.StateKey == nil || ev.Type.Type != event.StateMember.Type && *ev.StateKey != "") {
		return nil
	}
	if ev.StateKey != nil {
		ev.Type.Class = event.StateEventType
	}
	ev.Content.Parsed = nil // a page of history comes parsed, well or badly
	if err := ev.Content.ParseRaw(ev.Type); err != nil && !errors.Is(err, event.ErrUnsupportedContentType) {
		c.log.Debug("event makes no sense", "event", string(ev.ID), "type", ev.Type.Type, "error", err)
		return nil
	}
	actor, own := c.party(ctx, ev.Sender)
	head := sdk.EventHeader{
		Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(ev.RoomID)}, ID: sdk.EventID(ev.ID),
		Time: time.UnixMilli(ev.Timestamp), Actor: actor, Own: own,
	}
	if op, _, ok := originOf(ev); ok && own {
		head.Origin = op
	}
	return make(&translation{c: c, ctx: ctx, ev: ev, room: c.rooms.get(ev.RoomID), head: head})
}

// originOf reads the operation that one of our events carries out. Anybody can
// copy the field: it counts only in events of our own users.
func originOf(ev *event.Event) (op sdk.OpID, part sdk.PartID, ok bool) {
	s, _ := ev.Content.Raw[opField].(string)
	name, p, _ := strings.Cut(s, ".")
	return sdk.OpID(name), sdk.PartID(p), name != "" && len(s) <= 128
}

func (t *translation) message() []sdk.Event {
	m, ok := t.ev.Content.Parsed.(*event.MessageEventContent)
	if !ok || m.MsgType == "" && t.ev.Type.Type != event.EventSticker.Type || m.MsgType == event.MsgVerificationRequest {
		return nil // redacted, or none of ours
	}
	if target := m.RelatesTo.GetReplaceID(); target != "" {
		body := m.NewContent
		if body == nil {
			// Some clients leave it out; the fall-back text is marked with a star.
			body = m
			body.Body = strings.TrimPrefix(body.Body, "* ")
			body.FormattedBody = ""
		}
		body.RelatesTo = nil
		return []sdk.Event{&sdk.Edit{EventHeader: t.head, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(target)}, Content: t.content(body)}}
	}
	return []sdk.Event{&sdk.Message{EventHeader: t.head, Message: sdk.RemoteMessageID(t.ev.ID), Content: t.content(m)}}
}

func (t *translation) content(m *event.MessageEventContent) sdk.Content {
	var out sdk.Content
	switch m.MsgType {
	case event.MsgEmote:
		out.Kind = sdk.KindEmote
	case event.MsgNotice:
		out.Kind = sdk.KindNotice
	}
	replyTo := m.RelatesTo.GetNonFallbackReplyTo()
	if m.RelatesTo.GetReplyTo() != "" {
		m.Body = event.TrimReplyFallbackText(m.Body)
	}
	switch {
	case t.ev.Type.Type == event.EventSticker.Type, m.URL != "", m.File != nil:
		t.files(m, &out)
	case m.MsgType == event.MsgLocation && m.GeoURI != "":
		out.Body = plainDocument(strings.TrimSpace(m.Body + "\n" + m.GeoURI))
	default:
		out.Body = bodyOf(m)
	}
	out.Body = t.call(m, out.Body.WithoutReplyFallback())
	if root := m.RelatesTo.GetThreadParent(); root != "" {
		ref := sdk.MessageRef{ID: sdk.RemoteMessageID(root)}
		out.Thread = &sdk.Thread{ID: string(root), Root: ref}
	}
	if replyTo != "" {
		out.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: sdk.RemoteMessageID(replyTo)}}
	}
	return out
}

// files gives a message its file, its caption being the text.
func (t *translation) files(m *event.MessageEventContent, out *sdk.Content) {
	a, ok := attachment(m)
	if !ok {
		out.Body = plainDocument(m.Body + "\n(a file that the bridge cannot open)")
		return
	}
	if t.ev.Type.Type == event.EventSticker.Type {
		a.Sticker, a.Inline = true, true
	}
	out.Body, a.Caption = a.Caption, richDocument{}
	out.Attachments = []sdk.Attachment{a}
}

// call makes mentions of our ghosts mentions of people, and lets "@room" call
// everybody where the author may do that.
func (t *translation) call(m *event.MessageEventContent, body richDocument) richDocument {
	if m.Mentions != nil && m.Mentions.Room && t.room.mayCallAll(t.ev.Sender) {
		body = matrixfmt.MarkBroadcast(body)
	}
	return richDocument{Blocks: t.people(body.Blocks)}
}

func (t *translation) people(nodes []richtext.Node) []richtext.Node {
	out := make([]richtext.Node, len(nodes))
	for i, n := range nodes {
		if n.Kind == richtext.KindMention && n.Mention.Target == richtext.MentionUser && t.c.ours(id.UserID(n.Mention.ID)) {
			if p, _ := t.c.party(t.ctx, id.UserID(n.Mention.ID)); !p.IsRemote() {
				n.Mention.ID, n.Mention.Person, n.Mention.Address = "", string(p.Person), p.Address
			}
		}
		n.Children = t.people(n.Children)
		out[i] = n
	}
	return out
}

func (t *translation) encrypted() []sdk.Event {
	if _, ok := t.ev.Content.Raw["algorithm"].(string); !ok {
		return nil // redacted
	}
	t.room.setEncrypted()
	return []sdk.Event{&sdk.Message{EventHeader: t.head, Message: sdk.RemoteMessageID(t.ev.ID), Content: sdk.Content{
		Unencrypted: "Megolm", Body: plainDocument("(an end-to-end encrypted message that the bridge cannot read)"),
	}}}
}

func (t *translation) poll() []sdk.Event {
	question := ""
	for _, key := range []string{"org.matrix.msc1767.text", "m.text", "body"} {
		if s, ok := t.ev.Content.Raw[key].(string); ok && s != "" {
			question = s
			break
		}
	}
	if question == "" {
		return nil
	}
	return []sdk.Event{&sdk.Message{EventHeader: t.head, Message: sdk.RemoteMessageID(t.ev.ID), Content: sdk.Content{Body: plainDocument(question)}}}
}

func (t *translation) reaction() []sdk.Event {
	r, ok := t.ev.Content.Parsed.(*event.ReactionEventContent)
	if !ok || r.RelatesTo.GetAnnotationID() == "" || r.RelatesTo.Key == "" || len(r.RelatesTo.Key) > 512 {
		return nil
	}
	emoji := sdk.Emoji{Text: r.RelatesTo.Key}
	if media := face(r.RelatesTo.Key); media != nil {
		name, _ := t.ev.Content.Raw["shortcode"].(string)
		emoji = sdk.Emoji{Text: ":" + strings.Trim(firstOf(name, "emoji"), ":") + ":", ID: r.RelatesTo.Key, Media: media}
	}
	return []sdk.Event{&sdk.Reaction{
		EventHeader: t.head, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(r.RelatesTo.EventID)},
		Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{emoji}, Message: sdk.RemoteMessageID(t.ev.ID),
	}}
}

// redaction: who wrote the target is for the host to know, and with it whether
// this was moderation. Room version 11 moved the target into the content.
func (t *translation) redaction() []sdk.Event {
	r, ok := t.ev.Content.Parsed.(*event.RedactionEventContent)
	if !ok {
		return nil
	}
	target := firstOf(string(t.ev.Redacts), string(r.Redacts))
	if target == "" {
		return nil
	}
	return []sdk.Event{&sdk.Retract{EventHeader: t.head, Target: sdk.MessageRef{ID: sdk.RemoteMessageID(target)}, Reason: short(r.Reason, 500)}}
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

func millis(n int) time.Duration { return time.Duration(max(n, 0)) * time.Millisecond }
