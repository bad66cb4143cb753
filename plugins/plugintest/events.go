package plugintest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func eventParts() []part {
	return []part{
		{"events", func(t *testing.T, r *rig) {
			for _, c := range causes() {
				t.Run(string(c.cause), func(t *testing.T) { caused(t, r, c) })
			}
		}},
		{"messages in order", messagesInOrder},
	}
}

// cause is something people do, and what has to come of it.
type cause struct {
	cause Cause
	event func(r *rig, e sdk.Event) bool // nil: a signal
	sig   func(r *rig, s sdk.Signal) bool
	also  func(t *testing.T, r *rig)
}

// caused lets it happen and waits for what comes of it.
func caused(t *testing.T, r *rig, c cause) {
	r.do(t, r.message("from outside")) // the ghost is there, and there is a last message
	r.net.Say(t, r.room, "before "+string(c.cause))
	if !r.net.Cause(t, c.cause) {
		t.Skip("the network does not know this")
	}
	switch {
	case c.event != nil:
		r.host.Await(t, string(c.cause), func() bool {
			return slices.ContainsFunc(r.host.Events(), func(e sdk.Event) bool { return c.event(r, e) })
		})
	case c.sig != nil:
		r.host.Await(t, string(c.cause), func() bool {
			return slices.ContainsFunc(r.host.Signals(), func(s sdk.Signal) bool { return c.sig(r, s) })
		})
	}
	if c.also != nil {
		c.also(t, r)
	}
}

// is narrows an event to its type, in the first room, by the driver's person.
func is[E sdk.Event](f func(r *rig, e E) bool) func(*rig, sdk.Event) bool {
	return func(r *rig, e sdk.Event) bool {
		v, ok := e.(E)
		return ok && e.Head().Portal.Room == r.room && e.Head().Actor.User == r.net.Person() && f(r, v)
	}
}

// anyone is is, whoever did it.
func anyone[E sdk.Event](f func(r *rig, e E) bool) func(*rig, sdk.Event) bool {
	return func(r *rig, e sdk.Event) bool {
		v, ok := e.(E)
		return ok && f(r, v)
	}
}

func causes() []cause {
	return append([]cause{
		{cause: CauseEdit, event: is(func(_ *rig, e *sdk.Edit) bool { return e.Content.Body.Plain() == "edited" && e.Target.ID != "" })},
		{cause: CauseRetract, event: is(func(_ *rig, e *sdk.Retract) bool { return !e.Target.IsZero() && !e.Moderated })},
		{cause: CauseReact, event: is(func(_ *rig, e *sdk.Reaction) bool {
			return e.Change != sdk.ReactionUnknown && len(e.Emoji) == 1 && strings.HasPrefix(e.Emoji[0].Text, "👍") && !e.Target.IsZero()
		})},
		{cause: CauseUnreact, event: is(func(_ *rig, e *sdk.Reaction) bool {
			return e.Change == sdk.ReactionRemove || e.Change == sdk.ReactionSet && len(e.Emoji) == 0
		})},
		{cause: CauseReply, event: is(func(_ *rig, e *sdk.Message) bool {
			return e.Content.ReplyTo != nil && e.Content.ReplyTo.Target.ID != ""
		})},
		{cause: CauseThread, event: is(func(_ *rig, e *sdk.Message) bool { return e.Content.Thread != nil && !e.Content.Thread.Root.IsZero() })},
		{cause: CauseFormat, event: is(func(_ *rig, e *sdk.Message) bool {
			bold := false
			e.Content.Body.Walk(func(n richtext.Node) bool { bold = bold || n.Kind == richtext.KindBold; return true })
			return bold
		})},
		{cause: CauseEmote, event: is(func(_ *rig, e *sdk.Message) bool {
			return e.Content.Kind == sdk.KindEmote && e.Content.Body.Plain() == "waves"
		})},
		{cause: CauseTopic, event: anyone(func(r *rig, e *sdk.RoomChanged) bool {
			return e.Topic != nil && *e.Topic == "new topic" && e.Portal.Room == r.room
		})},
		{cause: CauseName, event: anyone(func(r *rig, e *sdk.RoomChanged) bool {
			return e.Name != nil && *e.Name == "new name" && e.Portal.Room == r.room
		})},
		{cause: CauseRename, event: anyone(func(r *rig, e *sdk.UserChanged) bool { return e.User.ID == r.net.Person() && e.User.Name == "New Name" })},
		{cause: CauseFace, event: anyone(func(r *rig, e *sdk.UserChanged) bool {
			return e.User.ID == r.net.Person() && e.User.Avatar != nil && e.User.Avatar.ID != ""
		})},
		{cause: CauseTyping, sig: func(r *rig, s sdk.Signal) bool {
			v, ok := s.(*sdk.Typing)
			return ok && v.Active && v.Who.User == r.net.Person() && v.Portal.Room == r.room
		}},
		{cause: CausePresence, sig: func(r *rig, s sdk.Signal) bool {
			v, ok := s.(*sdk.Presence)
			return ok && v.Show == sdk.ShowAway && v.Status == "at lunch" && v.Who.User == r.net.Person()
		}},
		{cause: CauseRead, sig: func(r *rig, s sdk.Signal) bool {
			v, ok := s.(*sdk.ReadState)
			return ok && !v.UpTo.IsZero() && v.Who.User == r.net.Person()
		}},
	}, memberCauses()...)
}

func memberCauses() []cause {
	member := func(c sdk.MembershipChange, who func(p sdk.Party) bool) func(*rig, sdk.Event) bool {
		return anyone(func(r *rig, e *sdk.Membership) bool { return e.Change == c && who(e.Member) && e.Portal.Room == r.room })
	}
	remote := func(p sdk.Party) bool { return p.User != "" && p.Person == "" }
	ghost := func(p sdk.Party) bool { return p.Person == person().Person || p.Address == person().Address }
	return []cause{
		{cause: CauseJoin, event: member(sdk.MembershipJoin, remote)},
		{cause: CauseLeave, event: member(sdk.MembershipLeave, remote)},
		{cause: CauseKick, event: member(sdk.MembershipKick, ghost)},
		{cause: CauseInvite, also: func(t *testing.T, r *rig) {
			// First nobody has this address; then somebody has.
			r.host.AddPerson("invited@example.org", sdk.Sender{Person: "k7invited", Address: "invited@example.org"})
			r.net.Cause(t, CauseInvite)
			r.host.Await(t, "the invitation", func() bool {
				return slices.ContainsFunc(r.host.Events(), func(e sdk.Event) bool {
					m, ok := e.(*sdk.Membership)
					return ok && m.Change == sdk.MembershipInvite && m.Member.Person == "k7invited"
				})
			})
		}},
		{cause: CauseBring, also: func(t *testing.T, r *rig) {
			r.host.AddRoom(sdk.RoomCard{Address: "brought@rooms.example.org", Name: "Brought", Public: true})
			r.net.Cause(t, CauseBring)
			r.host.Await(t, "the room", func() bool {
				return slices.ContainsFunc(r.host.Events(), func(e sdk.Event) bool {
					o, ok := e.(*sdk.PortalOpened)
					return ok && o.XMPPRoom == "brought@rooms.example.org" && o.Portal.Room != "" && o.Info.Portal == o.Portal
				})
			})
		}},
		{cause: CauseDirect, event: anyone(func(_ *rig, e *sdk.PortalOpened) bool {
			return e.Info.Kind == sdk.ChatDirect && slices.ContainsFunc(e.With, ghost)
		})},
		{cause: CauseRules, event: anyone(func(r *rig, e *sdk.RoomChanged) bool { return e.Rules != nil && e.Portal.Room == r.room }), also: func(t *testing.T, r *rig) {
			r.host.Await(t, "the portal's capabilities", func() bool {
				return slices.ContainsFunc(r.host.Capabilities(), func(c sdk.CapabilitiesChange) bool {
					return c.Scope == sdk.ScopePortal && c.Portal.Room == r.room && c.Capabilities != nil
				})
			})
			// And back, for those who come after.
			r.net.Cause(t, CauseRules)
		}},
	}
}

// texts are the bodies of the durable messages of the driver's person in a room.
func (r *rig) texts(room sdk.RemoteRoomID) []string {
	var out []string
	for _, e := range r.host.Events() {
		if m, ok := e.(*sdk.Message); ok && m.Portal.Room == room && m.Actor.User == r.net.Person() {
			out = append(out, m.Content.Body.Plain())
		}
	}
	return out
}

func numbered(what string, from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprintf("%s %d", what, i))
	}
	return out
}

// arrived waits until the texts are durable in a room: each once, in order.
func (r *rig) arrived(t *testing.T, room sdk.RemoteRoomID, want []string) {
	t.Helper()
	r.host.Await(t, fmt.Sprintf("%d messages in %s", len(want), room), func() bool { return len(r.texts(room)) >= len(want) })
	if got := r.texts(room); !slices.Equal(got, want) {
		t.Fatalf("in %s arrived %q, said was %q", room, got, want)
	}
}

func messagesInOrder(t *testing.T, r *rig) {
	one, two := numbered("one", 1, 150), numbered("two", 1, 150)
	ids := map[sdk.RemoteMessageID]bool{}
	for i := range one {
		ids[r.net.Say(t, r.room, one[i])] = true
		ids[r.net.Say(t, r.two, two[i])] = true
	}
	r.arrived(t, r.room, one)
	r.arrived(t, r.two, two)
	for _, e := range r.host.Events() {
		if m, ok := e.(*sdk.Message); ok {
			if !ids[m.Message] || m.ID == "" || m.Time.IsZero() || m.Own || m.History {
				t.Fatalf("%+v", m)
			}
		}
	}
}

// wrong reports whether an error is a final refusal.
func wrong(err error) bool {
	var e *sdk.Error
	return errors.As(err, &e) && !e.Temporary
}
