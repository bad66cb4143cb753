package muc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	portal = "ops@rooms.net.example.org"
	alice  = "alice@example.org/desk"
	bob    = "bob@example.org/phone"
)

var portalJID = jid.MustParse(portal)

func newGatewayWorld(t testing.TB) *world {
	t.Helper()
	return newWorld(t, Options{Hosts: []HostSpec{{Name: "rooms.net.example.org", Origin: "net.example.org", Title: "Net"}}})
}

func (w *world) ensure(spec event.RoomSpec) {
	w.t.Helper()
	spec.Room, spec.Persistent, spec.Origin = portalJID, true, "net.example.org"
	if err := w.m.EnsureRoom(context.Background(), spec); err != nil {
		w.t.Fatal(err)
	}
}

func puppet(name, nick string) event.OccupantChange {
	return event.OccupantChange{ID: "u-" + name, Puppet: jid.MustParse(name + "@net.example.org"), Nick: nick}
}

func (w *world) occupy(changes ...event.OccupantChange) {
	w.t.Helper()
	if err := w.m.SetOccupants(context.Background(), portalJID, changes); err != nil {
		w.t.Fatal(err)
	}
}

// say lists what somebody received, one short line each.
func (w *world) heard(who string) []string {
	var out []string
	for _, st := range w.take(who) {
		line := st.Kind.String() + " " + st.From.Resource()
		if st.Type != "" {
			line += " " + st.Type
		}
		if b := st.Body(); b != "" {
			line += " " + b
		}
		if c, ok := st.Child(ns.Client, "subject"); ok {
			line += " subject=" + c.Text()
		}
		if e := st.ErrorFrom(); e != nil {
			line += " " + string(e.Condition)
		}
		if c, ok := st.Child(ns.MUCUser, "x"); ok {
			for s := range c.Node().Children(ns.MUCUser, "status") {
				line += " " + s.Attr("code")
			}
			if i := c.Node().Child(ns.MUCUser, "item"); i != nil && i.Attr("nick") != "" {
				line += " now=" + i.Attr("nick")
			}
		}
		if _, ok := st.Child(ns.Retract, "retract"); ok {
			line += " retract"
		}
		out = append(out, line)
	}
	return out
}

func (w *world) wantHeard(who string, want ...string) {
	w.t.Helper()
	got := w.heard(who)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("%s received\n  %s\nwant\n  %s", who, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const joinPortal = "<presence to='" + portal + "/%'><x xmlns='http://jabber.org/protocol/muc'/></presence>"

func joinAs(nick string) string { return strings.ReplaceAll(joinPortal, "%", nick) }

// A portal is made while its first visitor waits: at once, after asking the other side, or not at all.
func TestLookup(t *testing.T) {
	ctx := context.Background()
	make1 := func(w *world) event.RoomSpec {
		return event.RoomSpec{Room: portalJID, Persistent: true, Origin: "net.example.org", Name: "Ops"}
	}
	var release func(error)
	for _, c := range []struct {
		name  string
		guard func(w *world) func(context.Context, *event.RoomLookup) error
		then  func(w *world)
		want  []string
	}{
		{"nobody makes it", func(*world) func(context.Context, *event.RoomLookup) error {
			return func(context.Context, *event.RoomLookup) error { return nil }
		}, nil, []string{"presence Alice error item-not-found"}},
		{"at once", func(w *world) func(context.Context, *event.RoomLookup) error {
			return func(ctx context.Context, l *event.RoomLookup) error {
				l.Created = true
				return w.m.EnsureRoom(ctx, make1(w))
			}
		}, nil, []string{"presence Alice 110 170", "message  groupchat subject="}},
		{"moved", func(*world) func(context.Context, *event.RoomLookup) error {
			return func(context.Context, *event.RoomLookup) error {
				return &stanza.Error{Condition: stanza.Gone, URI: "xmpp:other@rooms.net.example.org?join"}
			}
		}, nil, []string{"presence Alice error gone"}},
		{"after asking", func(w *world) func(context.Context, *event.RoomLookup) error {
			return func(context.Context, *event.RoomLookup) error {
				return event.Pending(time.Minute, func(resolve func(error)) { release = resolve })
			}
		}, func(w *world) {
			if err := w.m.EnsureRoom(ctx, make1(w)); err != nil { // from another goroutine than the room's
				w.t.Error(err)
			}
			release(nil)
		}, []string{"presence Alice 110 170", "message  groupchat subject="}},
		{"refused after asking", func(w *world) func(context.Context, *event.RoomLookup) error {
			return func(context.Context, *event.RoomLookup) error {
				return event.Pending(time.Minute, func(resolve func(error)) { release = resolve })
			}
		}, func(w *world) { release(stanza.NewError(stanza.Forbidden, "not for you")) }, []string{"presence Alice error forbidden"}},
		{"no answer", func(w *world) func(context.Context, *event.RoomLookup) error {
			return func(context.Context, *event.RoomLookup) error {
				return event.Pending(time.Minute, func(func(error)) {})
			}
		}, func(w *world) { w.clock.advance(time.Minute) }, []string{"presence Alice error remote-server-timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newGatewayWorld(t)
			w.ev.MUC.Lookup.On(event.Guard, "gateway", c.guard(w))
			w.do(alice, joinAs("Alice"))
			if c.then != nil {
				if got := w.take(alice); len(got) != 0 {
					t.Errorf("before the answer: %v", got)
				}
				c.then(w)
				w.sync()
			}
			w.wantHeard(alice, c.want...)
		})
	}
}

func TestPuppets(t *testing.T) {
	w := newGatewayWorld(t)
	w.ensure(event.RoomSpec{Name: "Ops"})
	w.occupy(puppet("u1", "Ann"), puppet("u2", "Ann"),
		event.OccupantChange{ID: "u-u3", Puppet: jid.MustParse("u3@net.example.org"), Nick: "ann", Fallbacks: []string{"Ann (net)"}})
	w.do(alice, joinAs("Alice"))
	w.wantHeard(alice, "presence Ann", "presence Ann 2", "presence Ann (net)", "presence Alice 110 170", "message  groupchat subject=")

	t.Run("a person takes the nick of a puppet, which keeps the other one", func(t *testing.T) {
		w.do(bob, joinAs("Ann"))
		w.wantHeard(alice, "presence Ann unavailable 303 now=Ann 3", "presence Ann 3", "presence Ann")
		w.wantHeard(bob, "presence Ann 3", "presence Ann 2", "presence Ann (net)", "presence Alice", "presence Ann 110 170", "message  groupchat subject=")
		w.do(bob, "<presence to='"+portal+"/Ann' type='unavailable'/>")
		w.forgetAll()
		w.occupy(event.OccupantChange{Puppet: jid.MustParse("u1@net.example.org"), Leave: true, Status: []int{307}, Reason: "out", Actor: "Ann 2"})
		w.wantHeard(alice, "presence Ann 3 unavailable 307")
		w.occupy(puppet("u1", "Ann"))
		w.wantHeard(alice, "presence Ann 3")
	})
	t.Run("unchanged is not shown again", func(t *testing.T) {
		w.occupy(puppet("u1", "Ann"), puppet("u2", "Ann"))
		w.wantHeard(alice)
	})
	t.Run("presence and nick", func(t *testing.T) {
		c := puppet("u2", "Zoe")
		c.Presence = []*xmlstream.Node{xmlstream.NewNode(ns.Client, "show").SetText("away"),
			xmlstream.NewNode(ns.MUCUser, "x").Add(xmlstream.NewNode(ns.MUCUser, "status", "code", "110"))}
		w.occupy(c)
		w.wantHeard(alice, "presence Ann 2 unavailable 303 now=Zoe", "presence Zoe")
	})
	t.Run("the nicks are there after a restart", func(t *testing.T) {
		w.stop()
		w.start()
		w.occupy(puppet("u2", "Zoe"), puppet("u1", "Ann"))
		w.forgetAll()
		w.do(alice, joinAs("Alice"))
		w.wantHeard(alice, "presence Zoe", "presence Ann 3", "presence Alice 110 170", "message  groupchat subject=")
	})
	t.Run("occupant ids are of the remote person", func(t *testing.T) {
		moved := puppet("u9", "Ann 3")
		moved.ID = "u-u1" // the same person under another address
		before := w.occupantID("Ann 3")
		w.occupy(event.OccupantChange{Puppet: jid.MustParse("u1@net.example.org"), Leave: true})
		w.occupy(moved)
		if after := w.occupantID("Ann 3"); before == "" || after != before {
			t.Errorf("occupant id %q became %q", before, after)
		}
	})
	t.Run("only puppets of another host", func(t *testing.T) {
		for _, bad := range []string{"alice@example.org", "x@rooms.net.example.org", "u1@net.example.org/x"} {
			err := w.m.SetOccupants(context.Background(), portalJID, []event.OccupantChange{{Puppet: jid.MustParse(bad), Nick: "x"}})
			if !errors.Is(err, errNoPuppet) {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
}

// occupantID looks at the room itself.
func (w *world) occupantID(nick string) string {
	id := ""
	_ = w.m.call(context.Background(), portalJID, exclusive, func(a *actor, _ *inbound, done func(error)) {
		if o := a.room.ByNick(nick); o != nil {
			id = o.ID
		}
		done(nil)
	})
	return id
}

func body(s string) []*xmlstream.Node {
	return []*xmlstream.Node{xmlstream.NewNode(ns.Client, "body").SetText(s)}
}

func (w *world) inject(msg event.InjectedMessage) storage.MessageID {
	w.t.Helper()
	msg.Room = portalJID
	done := make(chan error, 1)
	if msg.Done == nil {
		msg.Done = func(_ storage.MessageID, err error) { done <- err }
	}
	id, err := w.m.Inject(context.Background(), msg)
	if err == nil {
		err = <-done
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.sync()
	return id
}

func TestInject(t *testing.T) {
	w := newGatewayWorld(t)
	w.ensure(event.RoomSpec{MaxHistory: 10})
	var seen []string
	w.ev.MUC.Message.On(event.Record, "test", func(_ context.Context, m *event.RoomMessage) error {
		seen = append(seen, m.Origin+" "+m.Occupant.Nick+" "+m.Stanza.Body())
		return nil
	})
	w.do(alice, joinAs("Alice"))
	w.forgetAll()
	enter := puppet("u1", "Ann")
	ann := enter.Puppet

	t.Run("the author enters before her message, in one unit with the id map", func(t *testing.T) {
		id := w.inject(event.InjectedMessage{Author: ann, Enter: &enter, ID: "r1", Payload: body("one"), Live: true, Origin: "net.example.org",
			Record: func(rec *event.MessageRecord) {
				rec.Unit.Add(storage.PutIDPair{Pair: storage.IDPair{Bridge: "net", Portal: "p", Remote: "$1", Room: portal, Stanza: rec.ID}})
			}})
		w.wantHeard(alice, "presence Ann", "message Ann groupchat one")
		pairs, err := w.store.Gateway().ByRemote(context.Background(), "net", "p", "$1")
		if err != nil || len(pairs) != 1 || pairs[0].Stanza != id {
			t.Errorf("id map: %v %v, want %d", pairs, err, id)
		}
	})
	t.Run("by the room itself", func(t *testing.T) {
		w.inject(event.InjectedMessage{Payload: body("notice"), Live: true})
		w.wantHeard(alice, "message  groupchat notice")
	})
	t.Run("the past is not shown and stands in its own time", func(t *testing.T) {
		w.inject(event.InjectedMessage{Author: ann, Payload: body("zero"), At: time.Unix(epoch-100, 0)})
		w.wantHeard(alice)
		w.do(bob, strings.Replace(joinAs("Bob"), "<x ", "<priority>1</priority><x ", 1))
		w.wantHeard(bob, "presence Alice", "presence Ann", "presence Bob 110 170",
			"message Ann groupchat zero", "message Ann groupchat one", "message  groupchat notice", "message  groupchat subject=")
		w.forgetAll()
	})
	t.Run("a subject", func(t *testing.T) {
		if err := w.m.SetSubject(context.Background(), event.InjectedMessage{Room: portalJID, Author: ann,
			Payload: []*xmlstream.Node{xmlstream.NewNode(ns.Client, "subject").SetText("topic")}}); err != nil {
			t.Fatal(err)
		}
		w.sync()
		w.wantHeard(alice, "message Ann groupchat subject=topic")
		w.forgetAll()
	})
	t.Run("nobody of that name, no such room, no such host", func(t *testing.T) {
		_, err := w.m.Inject(context.Background(), event.InjectedMessage{Room: portalJID, Author: jid.MustParse("no@net.example.org"), Payload: body("x")})
		if err == nil {
			t.Error("a message of somebody who is not in the room was taken")
		}
		_, err = w.m.Inject(context.Background(), event.InjectedMessage{Room: jid.MustParse("no@rooms.net.example.org"), Payload: body("x")})
		if !errors.Is(err, ErrNoRoom) {
			t.Errorf("no room: %v", err)
		}
		_, err = w.m.Inject(context.Background(), event.InjectedMessage{Room: jid.MustParse("x@elsewhere.example"), Payload: body("x")})
		if !errors.Is(err, ErrNoHost) {
			t.Errorf("no host: %v", err)
		}
	})
	want := "net.example.org Ann one| Ann zero" // records of messages with an author
	if got := strings.Join([]string{seen[0], seen[2]}, "|"); got != want {
		t.Errorf("events %q, want %q", seen, want)
	}
}

// The other side refuses a message for good after it was shown: its author is told why, and it is retracted for everybody.
func TestRetract(t *testing.T) {
	w := newGatewayWorld(t)
	w.ensure(event.RoomSpec{})
	var id storage.MessageID
	w.ev.MUC.Message.On(event.Record, "test", func(_ context.Context, m *event.RoomMessage) error {
		if m.Stanza.Body() != "" {
			id = m.ID
		}
		return nil
	})
	w.do(alice, joinAs("Alice"))
	w.do(bob, joinAs("Bob"))
	w.forgetAll()
	w.do(alice, "<message to='"+portal+"' type='groupchat' id='m1'><body>too long</body></message>")
	w.forgetAll()
	refused := id
	if err := w.m.Retract(context.Background(), event.RoomRetraction{Room: portalJID, ID: refused, Reason: "4,000 characters at most"}); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.wantHeard(bob, "message  groupchat retract")
	got := w.take(alice)
	if len(got) != 2 || got[1].Type != stanza.TypeError || got[1].ID != "m1" || got[1].ErrorFrom().Text != "4,000 characters at most" {
		t.Errorf("the author received %v", got)
	}
	s, err := w.store.Messages().Get(context.Background(), storage.Room, portal, refused)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(s.Body), "too long") || !strings.Contains(string(s.Body), "<retracted ") {
		t.Errorf("in the archive: %s", s.Body)
	}
	if err := w.m.Retract(context.Background(), event.RoomRetraction{Room: portalJID, ID: refused + 1000}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an unknown message: %v", err)
	}
}

// Decisions that a gateway makes later: the stanza waits, the room goes on.
func TestPending(t *testing.T) {
	var release func(error)
	later := func() error {
		return event.Pending(time.Minute, func(resolve func(error)) { release = resolve })
	}
	start := func(t *testing.T) *world {
		w := newGatewayWorld(t)
		w.ensure(event.RoomSpec{Affiliations: map[string]string{"alice@example.org": "owner"}})
		w.do(alice, joinAs("Alice"))
		w.forgetAll()
		return w
	}
	t.Run("entering", func(t *testing.T) {
		w := start(t)
		w.ev.MUC.Join.On(event.Guard, "gateway", func(context.Context, *event.RoomJoin) error { return later() })
		asked := 0
		w.ev.MUC.Join.On(event.Guard, "second", func(context.Context, *event.RoomJoin) error { asked++; return nil })
		w.do(bob, joinAs("Bob"))
		w.do(alice, "<message to='"+portal+"' type='groupchat' id='m1'><body>meanwhile</body></message>")
		w.wantHeard(alice, "message Alice groupchat meanwhile")
		w.wantHeard(bob)
		release(nil)
		w.sync()
		w.wantHeard(alice, "presence Bob")
		w.wantHeard(bob, "presence Alice", "presence Bob 110 170", "message Alice groupchat meanwhile", "message  groupchat subject=")
		if asked != 1 {
			t.Errorf("the guard behind was asked %d times", asked)
		}
	})
	t.Run("entering, and meanwhile the nick is gone", func(t *testing.T) {
		w := start(t)
		first := true
		w.ev.MUC.Join.On(event.Guard, "gateway", func(context.Context, *event.RoomJoin) error {
			if first {
				first = false
				return later()
			}
			return nil
		})
		w.do(bob, joinAs("Bob"))
		w.do("carol@example.org/desk", joinAs("Bob"))
		release(nil)
		w.sync()
		w.wantHeard(bob, "presence Bob error conflict")
	})
	t.Run("no answer", func(t *testing.T) {
		w := start(t)
		w.ev.MUC.Join.On(event.Guard, "gateway", func(context.Context, *event.RoomJoin) error { return later() })
		w.do(bob, joinAs("Bob"))
		w.clock.advance(time.Minute)
		w.sync()
		w.wantHeard(bob, "presence Bob error remote-server-timeout")
		release(nil) // too late
		w.sync()
		w.wantHeard(bob)
	})
	t.Run("the subject", func(t *testing.T) {
		w := start(t)
		w.ev.MUC.Subject.On(event.Guard, "gateway", func(context.Context, *event.RoomMessage) error { return later() })
		w.do(alice, "<message to='"+portal+"' type='groupchat' id='s1'><subject>one</subject></message>")
		w.wantHeard(alice)
		release(nil)
		w.sync()
		w.wantHeard(alice, "message Alice groupchat subject=one")
		w.do(alice, "<message to='"+portal+"' type='groupchat' id='s2'><subject>two</subject></message>")
		release(stanza.NewError(stanza.NotAllowed, "no rights there"))
		w.sync()
		w.wantHeard(alice, "message  error not-allowed")
	})
	t.Run("an affiliation", func(t *testing.T) {
		w := start(t)
		w.ev.MUC.Affiliation.On(event.Guard, "gateway", func(_ context.Context, v *event.RoomAffiliation) error {
			if v.Target.Local() == "x" {
				return later()
			}
			return nil
		})
		w.do(alice, "<iq type='set' id='a1' to='"+portal+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='y@example.org'/><item affiliation='outcast' jid='x@example.org'/></query></iq>")
		w.wantHeard(alice)
		release(nil)
		w.sync()
		w.wantHeard(alice, "iq  result", "message ", "message ") // of two people who are not there
		l, err := w.store.Rooms().Affiliations(context.Background(), portal, "", storage.Page{})
		if err != nil || len(l) != 3 {
			t.Errorf("affiliations: %v %v", l, err)
		}
	})
	t.Run("a moderation", func(t *testing.T) {
		w := start(t)
		w.ev.MUC.Moderate.On(event.Guard, "gateway", func(context.Context, *event.RoomModeration) error { return later() })
		w.do(alice, "<message to='"+portal+"' type='groupchat' id='m1'><body>x</body></message>")
		said := w.take(alice)
		c, _ := said[0].Child(ns.StanzaID, "stanza-id")
		request := "<iq type='set' id='r1' to='" + portal + "'><moderate xmlns='urn:xmpp:message-moderate:1' id='" + c.Attr("id") + "'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>"
		w.do(alice, request)
		w.wantHeard(alice)
		release(stanza.NewError(stanza.NotAllowed, "no rights there"))
		w.sync()
		w.wantHeard(alice, "iq  error not-allowed")
		w.do(alice, request)
		release(nil)
		w.sync()
		w.wantHeard(alice, "message  groupchat retract", "iq  result")
	})
	t.Run("too many", func(t *testing.T) {
		w := newWorld(t, Options{MaxPending: 1, Hosts: []HostSpec{{Name: "rooms.net.example.org", Origin: "net.example.org"}}})
		w.ensure(event.RoomSpec{})
		w.ev.MUC.Join.On(event.Guard, "gateway", func(context.Context, *event.RoomJoin) error { return later() })
		w.do(alice, joinAs("Alice"))
		w.do(bob, joinAs("Bob"))
		w.wantHeard(bob, "presence Bob error resource-constraint")
	})
}

// A private message to a puppet goes to its gateway, if that takes it.
func TestPrivateToPuppet(t *testing.T) {
	w := newGatewayWorld(t)
	w.ensure(event.RoomSpec{})
	w.occupy(puppet("u1", "Ann"))
	w.do(alice, joinAs("Alice"))
	w.forgetAll()
	const pm = "<message to='" + portal + "/Ann' type='chat' id='p1'><body>psst</body></message>"
	w.do(alice, pm)
	w.wantHeard(alice, "message Ann error service-unavailable")

	taken := make(chan string, 1)
	w.ev.MUC.Private.On(event.Record, "gateway", func(_ context.Context, v *event.RoomPrivate) error {
		v.Ref(storage.Outbox, "portal", "", nil)
		return nil
	})
	w.ev.MUC.Private.On(event.After, "gateway", func(_ context.Context, v *event.RoomPrivate) error {
		taken <- v.From.Nick + ">" + v.To.Nick + " " + v.Stanza.Body()
		return nil
	})
	w.do(alice, pm)
	if got := <-taken; got != "Alice>Ann psst" {
		t.Error(got)
	}
	w.wantHeard(alice)
	w.do(alice, "<iq type='get' id='q1' to='"+portal+"/Ann'><query xmlns='jabber:iq:version'/></iq>")
	w.wantHeard(alice, "iq Ann error service-unavailable")
}

// EnsureRoom again changes what is given and leaves the rest.
func TestEnsureRoomAgain(t *testing.T) {
	w := newGatewayWorld(t)
	w.ensure(event.RoomSpec{Name: "Ops", Public: true, Features: []string{"urn:example:f"}, Info: map[string]string{"muc#roominfo_x": "y"}})
	w.do(alice, joinAs("Alice"))
	w.forgetAll()
	w.ensure(event.RoomSpec{})
	w.wantHeard(alice)
	w.ensure(event.RoomSpec{Description: "all of it", Avatar: []byte("\x89PNG\r\n\x1a\n")})
	w.wantHeard(alice, "message  groupchat 104", "presence ")
	info, _, err := discoSource{w.m}.DiscoInfo(context.Background(), jid.MustParse(bob), portalJID, "")
	if err != nil {
		t.Fatal(err)
	}
	line := infoLine(info, true, nil)
	for _, part := range []string{"conference/text Ops", "urn:example:f", "all of it", "muc#roominfo_x", "muc#roominfo_avatarhash", "muc_public"} {
		if !strings.Contains(line, part) {
			t.Errorf("disco#info lacks %s: %s", part, line)
		}
	}
}
