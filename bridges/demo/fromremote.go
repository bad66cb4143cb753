package demo

import (
	"context"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demoid"
	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// deliver hands a page of the network's stream to the server. It returns nil
// when everything in it is durable, together with the position after it.
func (c *Connector) deliver(ctx context.Context, page demonet.Page) error {
	batch := sdk.Batch{Cursors: []sdk.CursorMark{{Cursor: sdk.Cursor(page.Next)}}}
	if page.Lost && c.own == nil {
		batch.Events = c.gaps(page)
	}
	for _, e := range page.Events {
		if s := c.signal(e); s != nil {
			c.host.Signal(s)
			continue
		}
		ev, err := c.event(ctx, e)
		if err != nil {
			return err
		}
		if ev != nil {
			batch.Events = append(batch.Events, ev)
		}
	}
	receipt, err := c.host.Deliver(ctx, batch)
	if err != nil {
		return err
	}
	for _, p := range receipt.Problems {
		// The network tells everything, the server has the rooms that somebody joined; it counts what it refuses.
		c.log.Debug("event not taken", "event", string(batch.Events[p.Index].Head().ID), "reason", p.Text)
	}
	return nil
}

// gaps says in every known room that something was missed; history has it.
func (c *Connector) gaps(page demonet.Page) []sdk.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []sdk.Event
	for _, p := range c.portals[:min(len(c.portals), sdk.MaxBatch/2)] {
		h := sdk.EventHeader{Portal: p, ID: sdk.EventID("gap." + page.Next), Time: c.opt.Clock.Now()}
		out = append(out, &sdk.Gap{EventHeader: h, To: h.Time, Fillable: true})
	}
	return out
}

// portal is a room's key: a direct chat of somebody's own account belongs to
// that login, because nobody else may see it.
func (c *Connector) portal(room demonet.RoomID) sdk.PortalKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.tokens {
		if demoid.DirectOf(string(room), string(id)) {
			return sdk.PortalKey{Login: id, Room: sdk.RemoteRoomID(room)}
		}
	}
	return sdk.PortalKey{Room: sdk.RemoteRoomID(room)}
}

// party names somebody: guests are XMPP people.
func party(id demonet.UserID) sdk.Party {
	if p, ok := demoid.Person(string(id)); ok {
		return sdk.Party{Person: sdk.PersonID(p)}
	}
	return sdk.Party{User: sdk.RemoteUserID(id)}
}

// ours reports whether the network's author is one of our own senders.
func (c *Connector) ours(id demonet.UserID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, guest := demoid.Person(string(id))
	_, own := c.tokens[sdk.LoginID(id)]
	return guest || own
}

// header is common to all events. The network gives the key of our own calls
// back, so the server knows an echo when it sees one.
func (c *Connector) header(e demonet.Event) sdk.EventHeader {
	p := c.portal(e.Room)
	return sdk.EventHeader{
		Portal: p, ID: sdk.EventID(e.ID), Time: e.Time, Actor: party(e.Actor), Login: p.Login,
		Origin: sdk.OpID(demoid.Op(e.Key)), Own: c.ours(e.Actor),
	}
}

// signal turns what is worth nothing later into a signal, or returns nil.
func (c *Connector) signal(e demonet.Event) sdk.Signal {
	switch {
	case c.ours(e.Actor):
		return nil
	case e.Kind == demonet.KindTyping:
		return &sdk.Typing{Portal: c.portal(e.Room), Who: party(e.Actor), Active: e.Active, Expires: 10 * time.Second}
	case e.Kind == demonet.KindPresence:
		return presence(*e.User, e.Time)
	case e.Kind == demonet.KindRead && e.Message != nil:
		return &sdk.ReadState{Portal: c.portal(e.Room), Who: party(e.Actor), UpTo: sdk.MessageRef{ID: sdk.RemoteMessageID(e.Message.ID)}, Time: e.Time}
	}
	return nil
}

func presence(u demonet.User, since time.Time) *sdk.Presence {
	shows := map[string]sdk.Show{"online": sdk.ShowOnline, "away": sdk.ShowAway, "busy": sdk.ShowBusy, "offline": sdk.ShowOffline}
	return &sdk.Presence{Who: party(u.ID), Show: shows[u.Show], Status: u.Status, Since: since}
}

// event turns what lasts into an event, or returns nil for what is nobody's
// business. An error means that it has to be tried again.
func (c *Connector) event(ctx context.Context, e demonet.Event) (sdk.Event, error) {
	h := c.header(e)
	switch e.Kind {
	case demonet.KindMessage:
		return c.message(h, *e.Message), nil
	case demonet.KindEdit:
		return &sdk.Edit{EventHeader: h, Target: c.ref(*e.Message), Content: c.content(*e.Message)}, nil
	case demonet.KindDelete:
		return &sdk.Retract{EventHeader: h, Target: c.ref(*e.Message), Moderated: e.Actor != e.Message.Author, Reason: e.Text}, nil
	case demonet.KindReact:
		return &sdk.Reaction{EventHeader: h, Target: c.ref(*e.Message), Change: sdk.ReactionSet, Emoji: emoji(e.Emoji)}, nil
	case demonet.KindJoin, demonet.KindLeave:
		return c.membership(h, e), nil
	case demonet.KindKick:
		return &sdk.Membership{EventHeader: h, Member: party(e.Who), Change: sdk.MembershipKick, Reason: e.Text}, nil
	case demonet.KindBan:
		return &sdk.Membership{EventHeader: h, Member: party(e.Who), Change: sdk.MembershipBan, Reason: e.Text}, nil
	case demonet.KindUnban:
		return &sdk.Membership{EventHeader: h, Member: party(e.Who), Change: sdk.MembershipUnban}, nil
	case demonet.KindInvite:
		return c.invited(ctx, h, e)
	case demonet.KindBring:
		return c.brought(ctx, h, e)
	case demonet.KindRoom:
		return c.roomChanged(ctx, h, *e.Chat)
	case demonet.KindDirect:
		info := c.chatInfo(*e.Chat)
		return &sdk.PortalOpened{EventHeader: h, Info: info, With: []sdk.Party{party(e.Actor), party(e.Who)}}, nil
	case demonet.KindUser:
		if e.User.Guest {
			return nil, nil
		}
		h.Portal = sdk.PortalKey{}
		return &sdk.UserChanged{EventHeader: h, User: userInfo(*e.User)}, nil
	}
	c.log.Debug("unknown event of the network", "kind", string(e.Kind))
	return nil, nil
}

func (c *Connector) message(h sdk.EventHeader, m demonet.Message) *sdk.Message {
	h.ID, h.Time = sdk.EventID(m.ID), m.Time
	return &sdk.Message{EventHeader: h, Message: sdk.RemoteMessageID(m.ID), Content: c.content(m)}
}

// membership leaves out guests who come and go by themselves: the server sent them.
func (c *Connector) membership(h sdk.EventHeader, e demonet.Event) sdk.Event {
	if h.Own && h.Origin == "" {
		return nil
	}
	m := &sdk.Membership{EventHeader: h, Member: party(e.Who), Change: sdk.MembershipLeave, Reason: e.Text}
	if e.Kind == demonet.KindJoin {
		m.Change = sdk.MembershipJoin
		if e.User != nil && !e.User.Guest {
			info := userInfo(*e.User)
			m.Profile = &info
		}
	}
	return m
}

// invited passes on the invitation of an XMPP person, if there is such a person
// and she may be known here.
func (c *Connector) invited(ctx context.Context, h sdk.EventHeader, e demonet.Event) (sdk.Event, error) {
	who := party(e.Who)
	if e.Who == "" {
		p, err := c.host.LookupPerson(ctx, sdk.PersonQuery{Address: e.Address, By: party(e.Actor)})
		if err != nil {
			return nil, c.refused(ctx, e, "I cannot invite "+e.Address, err)
		}
		who = sdk.Party{Person: p.Person}
	}
	return &sdk.Membership{EventHeader: h, Member: who, Change: sdk.MembershipInvite, Reason: e.Text}, nil
}

// brought makes a room here for an XMPP room that somebody asked for.
func (c *Connector) brought(ctx context.Context, h sdk.EventHeader, e demonet.Event) (sdk.Event, error) {
	card, err := c.host.LookupRoom(ctx, sdk.RoomQuery{Address: e.Address, By: party(e.Actor)})
	if err != nil {
		return nil, c.refused(ctx, e, "I cannot bring "+e.Address, err)
	}
	name := card.Name
	res, err := c.api.Call(ctx, demonet.Request{
		Do: "create", Key: demoid.OwnKey(e.ID), As: e.Actor, Room: roomName(card.Address), Name: &name, Text: card.Topic, Public: card.Public, Address: card.Address,
	})
	if err != nil {
		return nil, c.refused(ctx, e, "I cannot bring "+e.Address, fail(err))
	}
	h.Portal = sdk.PortalKey{Room: sdk.RemoteRoomID(res.Room.ID)}
	return &sdk.PortalOpened{EventHeader: h, Info: c.chatInfo(*res.Room), XMPPRoom: card.Address}, nil
}

// refused answers in the room if the refusal is final; otherwise it returns the
// error, and the event comes again.
func (c *Connector) refused(ctx context.Context, e demonet.Event, text string, err error) error {
	sure := sdk.AsError(err)
	if sure.Temporary {
		return err
	}
	reason := sure.Text
	if reason == "" {
		reason = sure.Code.String()
	}
	_, err = c.api.Call(ctx, demonet.Request{Do: "post", Key: demoid.OwnKey(e.ID), As: e.Actor, Room: e.Room, Text: text + ": " + reason})
	return fail(err)
}

// roomChanged also says what the room's rules are now.
func (c *Connector) roomChanged(ctx context.Context, h sdk.EventHeader, room demonet.Room) (sdk.Event, error) {
	caps := capabilities(room.Strict)
	err := c.host.CapabilitiesChanged(ctx, sdk.CapabilitiesChange{Scope: sdk.ScopePortal, Portal: h.Portal, Capabilities: &caps})
	if err != nil {
		return nil, err
	}
	return &sdk.RoomChanged{EventHeader: h, Name: &room.Name, Topic: &room.Topic, Public: &room.Public, Rules: &caps}, nil
}

func (c *Connector) ref(m demonet.Message) sdk.MessageRef {
	return sdk.MessageRef{ID: sdk.RemoteMessageID(m.ID), Author: party(m.Author), Time: m.Time}
}

// content translates what a message says.
func (c *Connector) content(m demonet.Message) sdk.Content {
	out := sdk.Content{Body: fromText(m.Text)}
	c.callGuests(out.Body.Blocks)
	if m.Emote {
		out.Kind = sdk.KindEmote
	}
	if m.ReplyTo != "" {
		out.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: sdk.RemoteMessageID(m.ReplyTo)}}
	}
	if m.Thread != "" {
		out.Thread = &sdk.Thread{ID: string(m.Thread), Root: sdk.MessageRef{ID: sdk.RemoteMessageID(m.Thread)}}
	}
	for _, f := range m.Files {
		out.Attachments = append(out.Attachments, sdk.Attachment{Media: lazyMedia(f), Inline: f.Type == "image/png"})
	}
	return out
}

// callGuests turns the accounts of guests that are mentioned into the XMPP people they stand for, under their names.
func (c *Connector) callGuests(nodes []richtext.Node) {
	for i := range nodes {
		n := &nodes[i]
		c.callGuests(n.Children)
		person, guest := demoid.Person(n.Mention.ID)
		if n.Kind != richtext.KindMention || !guest {
			continue
		}
		n.Mention.ID, n.Mention.Person = "", person
		c.mu.Lock()
		if known, ok := c.guests[sdk.PersonID(person)]; ok && known.name != "" {
			n.Text = "@" + known.name
		}
		c.mu.Unlock()
	}
}

func emoji(list []string) []sdk.Emoji {
	out := make([]sdk.Emoji, 0, len(list))
	for _, e := range list {
		out = append(out, sdk.Emoji{Text: e})
	}
	return slices.Clip(out)
}
