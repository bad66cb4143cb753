package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// ensure changes a room past the gateway.
func (w *world) ensure(spec event.RoomSpec) error {
	return w.other.rooms.EnsureRoom(context.Background(), spec)
}

// other is a module that uses the rooms service, too.
type other struct {
	rooms interface {
		EnsureRoom(ctx context.Context, spec event.RoomSpec) error
		Facts(ctx context.Context, room jid.JID) (event.RoomFacts, error)
	}
}

func (*other) Info() module.Info { return module.Info{Name: "other"} }

func (o *other) Register(r *module.Registrar) error {
	r.Need(&o.rooms)
	return nil
}

func roomAdmins(who string) event.RoomSpec {
	return event.RoomSpec{Room: jid.MustParse(opsRoom), Affiliations: map[string]string{who: "owner"}}
}

func TestHostilePlugin(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	person := func(e *sdk.Message) *sdk.Message { e.Actor = sdk.Party{Address: "alice@example.org"}; return e }
	foreign := says("@bob:hs", "$f", "x")
	foreign.Portal.Room = "!Foreign:hs"
	control := says("@b\x00b:hs", "$c", "x")
	long := says("@bob:hs", strings.Repeat("x", 2000), "x")
	both := says("@bob:hs", "$both", "x")
	both.Actor.Person = "p"
	none := says("@bob:hs", "", "x")
	for name, e := range map[string]sdk.Event{
		"room of somebody else":  foreign,
		"speaks as a person":     person(says("", "$p", "I am alice")),
		"control character":      control,
		"long id":                long,
		"actor on both sides":    both,
		"no id":                  none,
		"room of the other side": &sdk.PortalOpened{EventHeader: sdk.EventHeader{Portal: sdk.PortalKey{Room: "!X:hs"}, ID: "$x"}, XMPPRoom: "lobby@rooms.example.org"},
		"reaction by nobody":     nil,
	} {
		r := w.deliver(e)
		if len(r.Problems) != 1 || r.Problems[0].Outcome != sdk.OutcomeRejected {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := w.deliver(&sdk.UnknownEvent{}); len(r.Problems) != 1 || r.Problems[0].Outcome != sdk.OutcomeUnsupported {
		t.Errorf("unknown: %+v", r)
	}
	if _, err := w.net.host.Deliver(context.Background(), sdk.Batch{Events: make([]sdk.Event, sdk.MaxBatch+1)}); err == nil {
		t.Error("an oversize batch was taken")
	}
	w.deliver(&sdk.Membership{EventHeader: head("$m", "@bob:hs"), Member: sdk.Party{Person: "nobody"}, Change: sdk.MembershipBan})
	markup := says("@bob:hs", "$ok", "<script>&\u202e")
	w.deliver(markup)
	alice.until("the text", func(n *xmlstream.Node) bool { return strings.HasPrefix(textOf(n), "<script>&") })
	if s, _ := w.gw.Status(context.Background(), "fake"); s.Rejected < 8 {
		t.Errorf("%d were counted", s.Rejected)
	}
}

func TestLostSession(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.in("alice")
	old := w.net.host
	w.detach()
	w.awaitAway()
	if _, err := old.Deliver(context.Background(), sdk.Batch{Events: []sdk.Event{says("@bob:hs", "$1", "late")}}); !errors.Is(err, sdk.ErrSessionLost) {
		t.Errorf("deliver: %v", err)
	}
	if _, err := old.State().Get(context.Background(), "k"); !errors.Is(err, sdk.ErrSessionLost) {
		t.Errorf("state: %v", err)
	}
	if err := old.LoginChanged(context.Background(), sdk.LoginStatus{}); !errors.Is(err, sdk.ErrSessionLost) {
		t.Errorf("login: %v", err)
	}
}

func TestPersona(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	m := says("@hook:hs", "$1", "built")
	m.Persona = &sdk.Persona{Key: "ci", Name: "CI"}
	w.deliver(m)
	alice.hears("CI", "built")
	m2 := says("@hook:hs", "$2", "failed")
	m2.Persona = &sdk.Persona{Key: "other", Name: "Other"}
	m2.Content.Body = richtext.FromPlain("failed")
	w.deliver(m2)
	alice.hears("Other", "failed")
}

// specOf gives somebody an affiliation in a room.
func specOf(room jid.JID, who, affiliation string) event.RoomSpec {
	return event.RoomSpec{Room: room, Affiliations: map[string]string{who: affiliation}}
}
