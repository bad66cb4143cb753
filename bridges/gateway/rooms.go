package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// registerRooms takes part in the rooms of all bridges. The handlers run in the room's goroutine: they read the store, never the network.
func (m *Module) registerRooms(ev *event.MUC) {
	const who = "gateway"
	ev.Lookup.On(event.Guard, who, m.lookup)
	ev.Join.On(event.Guard, who, m.guardJoin)
	ev.Joined.On(event.After, who, m.joined)
	ev.Left.On(event.After, who, m.left)
	ev.Nick.On(event.Record, who, m.nickChanged)
	ev.Presence.On(event.After, who, m.occupantPresence)
	ev.Message.On(event.Guard, who, m.guardMessage)
	ev.Message.On(event.Record, who, m.recordMessage)
	ev.Message.On(event.After, who, m.afterMessage)
	ev.Subject.On(event.Guard, who, m.guardSubject)
	ev.Subject.On(event.Record, who, m.recordSubject)
	ev.Subject.On(event.After, who, m.afterMessage)
	ev.Private.On(event.Guard, who, m.guardPrivate)
	ev.Private.On(event.Record, who, m.recordPrivate)
	ev.Private.On(event.After, who, m.afterPrivate)
	ev.Affiliation.On(event.Guard, who, m.guardAffiliation)
	ev.Affiliation.On(event.Record, who, m.recordAffiliation)
	ev.Affiliation.On(event.After, who, m.afterAffiliation)
	ev.Moderate.On(event.Record, who, m.recordModeration)
	ev.Moderate.On(event.After, who, m.afterModeration)
	ev.Config.On(event.After, who, m.roomConfigured)
	ev.Destroyed.On(event.Guard, who, m.guardDestroyed)
}

// guardMessage refuses what must not cross: encrypted text, of which only the notice beside it could be shown (bridging: §3.5).
func (m *Module) guardMessage(ctx context.Context, v *event.RoomMessage) error {
	if v.Origin != "" {
		return nil
	}
	list, err := m.portalsOf(ctx, v.Room)
	if len(list) == 0 || err != nil {
		return err
	}
	if mappings.Encrypted(v.Stanza.Payload) {
		return stanza.NewError(stanza.PolicyViolation,
			"This room is bridged to "+titles(list)+", where nobody could read an encrypted message. Switch encryption off for this room.")
	}
	if p := list[0]; p.link() == nil && p.gone() {
		return stanza.NewError(stanza.NotAllowed, "This room is no longer bridged to "+p.b.title()+".")
	}
	return nil
}

// titles names the networks of portals.
func titles(list []*portal) string {
	var out []string
	for _, p := range list {
		if t := p.b.title(); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return strings.Join(out, ", ")
}

// recordMessage adds the operations to the unit of the message itself, one for each portal: what is said is sent, or neither happened. What a bridge puts into the
// room is passed on where it comes in (pass.go).
func (m *Module) recordMessage(ctx context.Context, v *event.RoomMessage) error {
	if v.Origin != "" || !v.Live || v.Stanza.From.IsBare() { // the room's own words are what a moderator does: see recordModeration
		return nil
	}
	list, err := m.portalsOf(ctx, v.Room)
	if len(list) == 0 || err != nil {
		return err
	}
	p := list[0] // what follows is the same for all of them
	n := p.noteOf(v.Occupant)
	in := mappings.ReadMessage(v.Stanza.Payload, mappings.ReadOptions{})
	n.Receipt = in.Receipt
	switch in.Act {
	case mappings.ActSay:
		n.Op = opSay
		n.Reply, _ = p.messageID(ctx, in.ReplyTo, "")
		n.Root, n.Thread = p.threadRoot(ctx, in.Thread)
	case mappings.ActCorrect:
		n.Op = opCorrect
		n.Target, _ = p.messageID(ctx, in.Target, v.Occupant.ID)
	case mappings.ActRetract:
		n.Op = opRetract
		n.Target, _ = p.messageID(ctx, in.Target, v.Occupant.ID)
		if err := p.ownTarget(ctx, n); err != nil {
			return err
		}
	case mappings.ActReact:
		n.Op = opReact
		n.Target, _ = p.messageID(ctx, in.Target, v.Occupant.ID)
	default:
		return nil
	}
	if v.Stanza.ID != "" && (n.Op == opSay || n.Op == opCorrect) {
		target := v.ID
		if n.Op == opCorrect && n.Target != 0 {
			target = n.Target // XEP-0308 §3: further corrections may name the correction
		}
		v.Unit.Add(storage.PutRow{Table: tableSent, Owner: p.archive(), Key: v.Occupant.ID + sep + v.Stanza.ID, Value: []byte(strconv.FormatInt(int64(target), 10))})
	}
	if n.Op == opCorrect && n.Target == 0 {
		n.Op = opSay // what it corrects is unknown: it is said
	}
	if l := p.link(); l != nil {
		return l.record(v, list, n, in.Content.Body.Plain())
	}
	return p.record(v.MessageRecord, n)
}

// ownTarget refuses to take back the words of somebody else.
func (p *portal) ownTarget(ctx context.Context, n note) error {
	if n.Target == 0 {
		return nil
	}
	kept, err := p.b.m.d.Store.Messages().Get(ctx, storage.Room, n.Room, n.Target)
	if err != nil || kept.Peer == "" || kept.Peer == n.Bare {
		return nil
	}
	return stanza.NewError(stanza.Forbidden, "Only the author takes a message back.")
}

// record puts an operation into the portal's Outbox.
func (p *portal) record(rec *event.MessageRecord, n note) error {
	b, err := n.encode()
	if err != nil {
		return err
	}
	rec.Ref(storage.Outbox, p.key, "", b)
	rec.Unit.Add(personRow(p.b.m.person(n.bare()), n.bare()))
	return nil
}

// noteOf begins a note for an occupant.
func (p *portal) noteOf(o event.Occupant) note {
	return note{Bare: o.Real.Bare().String(), Full: o.Real.String(), Nick: o.Nick, ID: o.ID, Room: o.Room.String(),
		Role: mappings.RoleOf(mappings.Standing{Affiliation: o.Affiliation, Role: o.Role})}
}

// messageID finds the message that a client names: by the room's id (XEP-0359), or by the id that its author gave it.
func (p *portal) messageID(ctx context.Context, id, occupant string) (storage.MessageID, bool) {
	if id == "" {
		return 0, false
	}
	if n, ok := p.decodeID(ctx, id); ok {
		return n, true
	}
	t := p.b.m.d.Store.Table(tableSent)
	b, err := t.Get(ctx, p.archive(), occupant+sep+id)
	if errors.Is(err, storage.ErrNotFound) && p.link() == nil {
		b, err = t.Get(ctx, p.key, occupant+sep+id) // as it was owned before there were links
	}
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return storage.MessageID(n), err == nil
}

// afterMessage wakes the pump; what is of the moment goes at once.
func (m *Module) afterMessage(ctx context.Context, v *event.RoomMessage) error {
	if v.Origin != "" {
		return nil // who has put it in wakes the others
	}
	return m.each(ctx, v.Room, func(p *portal) error {
		in := mappings.ReadMessage(v.Stanza.Payload, mappings.ReadOptions{})
		switch in.Act {
		case mappings.ActTyping:
			p.typing(ctx, v.Occupant, in.Typing)
		case mappings.ActDisplayed:
			p.displayed(ctx, v.Occupant, in.Target)
		default:
			p.out.wake()
			p.tellAway()
		}
		return nil
	})
}

// tellAway says once in the room that what is said there waits, because the plugin is away.
func (p *portal) tellAway() {
	b := p.b
	b.mu.Lock()
	away := b.inst == nil && !b.told[p.room()] && !p.gone()
	if away {
		b.told[p.room()] = true
	}
	b.mu.Unlock()
	if !away {
		return
	}
	b.m.run(func(ctx context.Context) {
		p.say(ctx, b.title()+" cannot be reached at the moment. What you write here is kept and sent when it is back.")
	})
}

// say is a message by the room itself, which is not kept.
func (p *portal) say(ctx context.Context, text string) {
	if p.room().IsZero() {
		return
	}
	nodes := append(mappings.WriteMessage(sdk.Content{Body: plain(text)}, mappings.WriteOptions{}), noStore())
	_, err := p.b.m.rooms.Inject(ctx, event.InjectedMessage{Room: p.room(), Payload: nodes, At: p.b.m.d.Clock.Now(), Live: true, Origin: p.b.spec.users()})
	if err != nil && ctx.Err() == nil {
		p.b.log.Warn("the room could not be told", "room", p.room().String(), "error", err)
	}
}

func (m *Module) guardSubject(ctx context.Context, v *event.RoomMessage) error {
	list, err := m.portalsOf(ctx, v.Room)
	if len(list) == 0 || err != nil || v.Origin != "" || list[0].link() != nil {
		return err // in a linked room it is the room's, and each network gets it when and if it can
	}
	p := list[0]
	caps := p.caps()
	c, _ := v.Stanza.Child(nsClient, "subject")
	switch {
	case p.b.current() == nil:
		return &stanza.Error{Condition: stanza.RemoteServerTimeout, Type: "wait", Text: p.b.title() + " cannot be reached at the moment."}
	case !p.b.can(sdk.AbilityTopic) || caps.Topic.Level == sdk.LevelNone:
		return stanza.NewError(stanza.NotAllowed, "The subject of this room cannot be changed from here.")
	case caps.Topic.MaxLength > 0 && len([]rune(c.Text())) > caps.Topic.MaxLength:
		return stanza.NewError(stanza.NotAcceptable, "A subject may have "+strconv.Itoa(caps.Topic.MaxLength)+" characters there.")
	}
	return nil
}

func (m *Module) recordSubject(ctx context.Context, v *event.RoomMessage) error {
	list, err := m.portalsOf(ctx, v.Room)
	if len(list) == 0 || err != nil || v.Origin != "" {
		return err
	}
	n := list[0].noteOf(v.Occupant)
	n.Op = opTopic
	if l := list[0].link(); l != nil {
		c, _ := v.Stanza.Child(nsClient, "subject")
		if err := l.noteTopic(v.Unit, c.Text(), v.At); err != nil {
			return err
		}
	}
	for _, p := range list {
		if p.link() != nil && (p.gone() || !p.b.mayUse(v.Occupant.Real)) {
			continue
		}
		if err := p.record(v.MessageRecord, n); err != nil {
			return err
		}
	}
	return nil
}

// queue puts an operation without a message of its own into the Outbox: the stanza is only its carrier.
func (p *portal) queue(u unit, n note, carrier *stanza.Stanza) error {
	rec := event.NewMessageRecord(u, p.b.m.d.IDs.Next(), carrier)
	return p.record(rec, n)
}

// nickChanged tells networks that give people names of their own.
func (m *Module) nickChanged(ctx context.Context, v *event.RoomJoin) error {
	if v.Occupant.Puppet || v.Unit == nil {
		return nil
	}
	return m.each(ctx, v.Occupant.Room, func(p *portal) error {
		p.mu.Lock()
		p.guests[v.Occupant.Real.Bare()] = v.Occupant.Nick
		p.mu.Unlock()
		if !p.b.can(sdk.AbilityProfile) || p.gone() || !p.b.mayUse(v.Occupant.Real) {
			return nil
		}
		n := p.noteOf(v.Occupant)
		n.Op = opProfile
		if err := p.queue(v.Unit, n, v.Stanza); err != nil {
			return err
		}
		v.Unit.After(direct{}, func(err error) {
			if err == nil {
				p.out.wake()
			}
		})
		return nil
	})
}

// moderation of puppets: kick, ban, roles.

func (m *Module) guardAffiliation(ctx context.Context, v *event.RoomAffiliation) error {
	list, q, err := m.moderated(ctx, v)
	if len(list) == 0 || q == nil || err != nil {
		return err
	}
	a, _ := actionOf(v)
	p := list[0]
	caps := p.caps()
	level := map[sdk.ModerateAction]sdk.Level{sdk.ModerateKick: caps.Kick, sdk.ModerateBan: caps.Ban, sdk.ModerateUnban: caps.Ban, sdk.ModerateRole: caps.Roles}[a]
	if !p.b.can(sdk.AbilityModerate) || level == sdk.LevelNone {
		return stanza.NewError(stanza.NotAllowed, "This cannot be done to somebody on "+p.b.title()+" from here.")
	}
	return nil
}

// moderated returns the portals and the puppet that a change is about; none if it is about nobody of a network. Of several portals of her network in a linked
// room it is about those in which she is.
func (m *Module) moderated(ctx context.Context, v *event.RoomAffiliation) ([]*portal, *puppet, error) {
	if v.Actor.Real.IsZero() {
		return nil, nil, nil
	}
	list, err := m.portalsOf(ctx, v.Room)
	if err != nil {
		return nil, nil, err
	}
	hers := slices.DeleteFunc(slices.Clone(list), func(p *portal) bool { return p.b.spec.users() != v.Target.Domain() })
	if len(hers) == 0 {
		return nil, nil, nil
	}
	q, err := hers[0].b.puppets.byJID(ctx, v.Target)
	if err != nil || q == nil {
		return hers, nil, err
	}
	if in := slices.DeleteFunc(slices.Clone(hers), func(p *portal) bool { return !p.isPresent(q.jid) }); len(in) > 0 {
		hers = in
	}
	return hers, q, nil
}

// actionOf says what a change of affiliation or role is on the network.
func actionOf(v *event.RoomAffiliation) (sdk.ModerateAction, sdk.Role) {
	switch {
	case v.Affiliation == "outcast":
		return sdk.ModerateBan, sdk.RoleOutcast
	case v.PreviousAffiliation == "outcast":
		return sdk.ModerateUnban, sdk.RoleUnknown
	case v.Role == "none":
		return sdk.ModerateKick, sdk.RoleUnknown
	}
	return sdk.ModerateRole, mappings.RoleOf(mappings.Standing{Affiliation: v.Affiliation, Role: v.Role})
}

func (m *Module) recordAffiliation(ctx context.Context, v *event.RoomAffiliation) error {
	list, q, err := m.moderated(ctx, v)
	if q == nil || err != nil || v.Unit == nil {
		return err
	}
	a, role := actionOf(v)
	for _, p := range list {
		n := p.noteOf(v.Actor)
		n.Op, n.User, n.Action, n.NewRole, n.Reason = opModerate, q.remote, int32(a), role, v.Reason
		if err := p.queue(v.Unit, n, stanza.NewMessage("")); err != nil {
			return err
		}
	}
	return nil
}

func (m *Module) afterAffiliation(ctx context.Context, v *event.RoomAffiliation) error {
	list, _, err := m.moderated(ctx, v)
	for _, p := range list {
		p.out.wake()
	}
	return err
}

func (m *Module) recordModeration(ctx context.Context, v *event.RoomModeration) error {
	if v.Unit == nil || v.Actor.Puppet {
		return nil
	}
	return m.each(ctx, v.Room, func(p *portal) error {
		if p.link() != nil && p.gone() {
			return nil
		}
		n := p.noteOf(v.Actor)
		n.Room, n.Op, n.Target, n.Action, n.Reason = v.Room.String(), opRetract, v.Target, 1, v.Reason
		return p.queue(v.Unit, n, stanza.NewMessage(""))
	})
}

func (m *Module) afterModeration(ctx context.Context, v *event.RoomModeration) error {
	return m.each(ctx, v.Room, func(p *portal) error {
		p.out.wake()
		return nil
	})
}

// signalAge bounds how old something of the moment may be.
const signalAge = 30 * time.Second

func noStore() *xmlstream.Node { return xmlstream.NewNode(nsHints, "no-store") }
