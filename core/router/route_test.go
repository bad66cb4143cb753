package router_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const c = " xmlns='jabber:client' from='alice@a.example/phone'"

// What a client gets back for a stanza, and what the other one gets.
func TestRouting(t *testing.T) {
	const (
		serviceUnavailable = "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
		badRequest         = "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
		notFound           = "<remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	)
	for name, x := range map[string]struct {
		xml  string
		back string // to the sender; "" nothing
		bob  string // to bob@a.example/desk; "" nothing
	}{
		"message to bare":                       {"<message" + c + " to='bob@a.example' type='chat'><body>x</body></message>", "", "<body>x</body>"},
		"message to full":                       {"<message" + c + " to='bob@a.example/desk'><body>x</body></message>", "", "to='bob@a.example/desk'"},
		"§8.5.2.1.1 to stays":                   {"<message" + c + " to='bob@a.example'><body>x</body></message>", "", "<message to='bob@a.example' from="},
		"§8.5.1 message to nobody":              {"<message" + c + " to='nobody@a.example' type='chat'><body>x</body></message>", serviceUnavailable, ""},
		"§8.5.1 headline to nobody":             {"<message" + c + " to='nobody@a.example' type='headline'><body>x</body></message>", "", ""},
		"error message to nobody":               {"<message" + c + " to='nobody@a.example' type='error'><body>x</body></message>", "", ""},
		"§8.5.2.1.1 groupchat to bare":          {"<message" + c + " to='bob@a.example' type='groupchat'><body>x</body></message>", serviceUnavailable, ""},
		"error message to bare":                 {"<message" + c + " to='bob@a.example' type='error'><body>x</body></message>", "", ""},
		"chat state to one who is away":         {"<message" + c + " to='carol@b.example' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>", "", ""},
		"§8.5.2.2.1 chat to one who is away":    {"<message" + c + " to='carol@b.example' type='chat'><body>x</body></message>", serviceUnavailable, ""},
		"RFC 6120 §10.5 message to the server":  {"<message" + c + " to='a.example'><body>x</body></message>", serviceUnavailable, ""},
		"RFC 6120 §10.4 message elsewhere":      {"<message" + c + " to='x@elsewhere.example'><body>x</body></message>", notFound, ""},
		"error elsewhere":                       {"<message" + c + " to='x@elsewhere.example' type='error'/>", "", ""},
		"presence elsewhere":                    {"<presence" + c + " to='x@elsewhere.example'/>", notFound, ""},
		"§8.5.2.1.2 presence to bare":           {"<presence" + c + " to='bob@a.example'/>", "", "<presence to='bob@a.example'"},
		"§8.5.1 presence to nobody":             {"<presence" + c + " to='nobody@a.example'/>", "", ""},
		"presence of no type":                   {"<presence" + c + " to='bob@a.example' type='here'/>", badRequest, ""},
		"presence error to bare":                {"<presence" + c + " to='bob@a.example' type='error'/>", "", ""},
		"RFC 6120 §8.2.3 iq without a child":    {"<iq" + c + " to='bob@a.example/desk' type='get' id='1'/>", badRequest, ""},
		"RFC 6120 §8.2.3 iq with two":           {"<iq" + c + " to='bob@a.example/desk' type='set' id='1'><a xmlns='u'/><b xmlns='u'/></iq>", badRequest, ""},
		"iq of no type":                         {"<iq" + c + " to='bob@a.example/desk' type='ask' id='1'><a xmlns='u'/></iq>", badRequest, ""},
		"iq without an id":                      {"<iq" + c + " to='bob@a.example/desk' type='get'><a xmlns='u'/></iq>", badRequest, ""},
		"§8.5.3.1 iq to a resource":             {"<iq" + c + " to='bob@a.example/desk' type='get' id='1'><a xmlns='u'/></iq>", "", "<a xmlns='u'/>"},
		"§8.5.3.1 result to a resource":         {"<iq" + c + " to='bob@a.example/desk' type='result' id='1'/>", "", "type='result'"},
		"§8.5.3.2.3 iq to no resource":          {"<iq" + c + " to='bob@a.example/gone' type='get' id='1'><a xmlns='u'/></iq>", serviceUnavailable, ""},
		"§8.5.3.2.3 result to no resource":      {"<iq" + c + " to='bob@a.example/gone' type='result' id='1'/>", "", ""},
		"§8.5.2.1.3 unknown iq to an account":   {"<iq" + c + " to='bob@a.example' type='get' id='1'><a xmlns='u'/></iq>", serviceUnavailable, ""},
		"§8.5.1 iq to nobody":                   {"<iq" + c + " to='nobody@a.example' type='get' id='1'><a xmlns='u'/></iq>", serviceUnavailable, ""},
		"unknown iq to the server":              {"<iq" + c + " to='a.example' type='get' id='1'><a xmlns='u'/></iq>", serviceUnavailable, ""},
		"unknown iq to nobody in particular":    {"<iq" + c + " type='get' id='1'><a xmlns='u'/></iq>", serviceUnavailable, ""},
		"RFC 6120 §8.2.3 unknown result":        {"<iq" + c + " to='a.example' type='result' id='1'/>", "", ""},
		"error that nobody has asked for":       {"<iq" + c + " to='a.example' type='error' id='1'/>", "", ""},
		"iq elsewhere":                          {"<iq" + c + " to='elsewhere.example' type='get' id='1'><a xmlns='u'/></iq>", notFound, ""},
		"RFC 6120 §10.3.1 message to oneself":   {"<message" + c + " type='chat'><body>me</body></message>", "<body>me</body>", ""},
		"presence to the server":                {"<presence" + c + " to='a.example'/>", "", ""},
		"attack 22: roster push by another":     {"<iq" + c + " to='bob@a.example/desk' type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='eve@x'/></query></iq>", "<forbidden xmlns", ""},
		"attack 20: forged carbon":              {"<message" + c + " to='bob@a.example'><body>x</body><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received></message>", "", "<body>x</body></message>"},
		"attack 21: forged stanza-id of bob":    {"<message" + c + " to='bob@a.example'><stanza-id xmlns='urn:xmpp:sid:0' by='bob@a.example' id='f'/><body>x</body></message>", "", "type='chat'><body>x</body></message>"},
		"attack 21: of a room here":             {"<message" + c + " to='bob@a.example'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='r@rooms.a.example' id='f'/></message>", "", "><body>x</body></message>"},
		"attack 21: of the sender's own":        {"<message" + c + " to='bob@a.example'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='alice@a.example' id='f'/></message>", "", "><body>x</body></message>"},
		"attack 21: delay of the server":        {"<message" + c + " to='bob@a.example'><body>x</body><delay xmlns='urn:xmpp:delay' from='a.example' stamp='2001-01-01T00:00:00Z'/><delay xmlns='urn:xmpp:delay' from='bob@a.example' stamp='2001-01-01T00:00:00Z'/></message>", "", "><body>x</body></message>"},
		"delay of the sender's own stays":       {"<message" + c + " to='bob@a.example'><body>x</body><delay xmlns='urn:xmpp:delay' from='alice@a.example/phone' stamp='2001-01-01T00:00:00Z'/></message>", "", "<delay xmlns="},
		"attack 21: result of an archive":       {"<message" + c + " to='bob@a.example'><body>x</body><result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'/></result></message>", "", "><body>x</body></message>"},
		"stanza-id of somebody elsewhere stays": {"<message" + c + " to='bob@a.example'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='r@elsewhere.example' id='f'/></message>", "", "id='f'/></message>"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, func(g *rig, _ *router.Options) {
				g.reg.Hosts = append(g.reg.Hosts, module.HostSpec{Name: "rooms.a.example", Scope: "muc", Handler: &host{}})
			})
			g.sessions.add("alice@a.example/phone", 0)
			g.sessions.add("bob@a.example/desk", 0)
			xml := x.xml
			if name == "attack 21: forged stanza-id of bob" {
				xml = strings.Replace(xml, "to='bob@a.example'", "to='bob@a.example' type='chat'", 1)
			}
			g.route(xml)
			for full, want := range map[string]string{"alice@a.example/phone": x.back, "bob@a.example/desk": x.bob} {
				if want == "" {
					g.expect(full)
				} else {
					g.expect(full, want)
				}
			}
			if st := g.r.Stats(); st.Messages+st.Presences+st.IQs == 0 {
				t.Error("nothing was counted")
			}
		})
	}
}

// host is a module's host; it keeps what it gets.
type host struct {
	mu  sync.Mutex
	j   journal.Submitter
	got []string
}

func (h *host) HandleStanza(_ context.Context, u *journal.Unit, st *stanza.Stanza) {
	h.mu.Lock()
	h.got = append(h.got, st.String())
	h.mu.Unlock()
	if h.j != nil {
		h.j.Submit(u)
	}
}

func TestHostTable(t *testing.T) {
	h := &host{}
	g := newRig(t, func(g *rig, _ *router.Options) {
		h.j = g.journal
		g.reg.Hosts = append(g.reg.Hosts, module.HostSpec{Name: "rooms.a.example", Scope: "muc", Handler: h})
		answer := func(text string) module.IQHandler {
			return func(context.Context, *module.Request) (*xmlstream.Node, error) {
				return xmlstream.NewNode("u", "answer").SetText(text), nil
			}
		}
		for k, text := range map[module.IQKey]string{
			{Scope: "muc", Type: "get", Space: "u", Local: "own"}:                 "muc",
			{Scope: module.ScopeAny, Type: "get", Space: "u", Local: "own"}:       "any",
			{Scope: module.ScopeAny, Type: "get", Space: "u", Local: "a"}:         "any",
			{Scope: module.ScopeServer, Type: "get", Space: "u", Local: "server"}: "server",
		} {
			g.reg.IQ[k] = module.IQRoute{Handle: answer(text)}
		}
	})
	g.sessions.add("alice@a.example/phone", 0)
	for _, x := range []struct{ to, query, answer string }{
		{"rooms.a.example", "own", "muc"},
		{"r@rooms.a.example", "own", "muc"},
		{"r@rooms.a.example", "a", "any"},
		{"a.example", "own", "any"},
		{"alice@a.example", "a", "any"},
		{"a.example", "server", "server"},
		{"r@rooms.a.example/nick", "own", ""},
		{"r@rooms.a.example", "server", ""},
	} {
		g.route("<iq" + c + " to='" + x.to + "' type='get' id='1'><" + x.query + " xmlns='u'/></iq>")
		if x.answer != "" {
			g.expect("alice@a.example/phone", "from='"+x.to+"' id='1' type='result'><answer xmlns='u'>"+x.answer)
			continue
		}
		g.expect("alice@a.example/phone")
		if len(h.got) != 1 || !strings.Contains(h.got[0], x.to) {
			t.Errorf("the host got %v", h.got)
		}
		h.got = nil
	}
	if !g.r.IsLocal("rooms.a.example") || g.r.IsAccountDomain("rooms.a.example") || g.r.IsLocal("x.example") || !g.r.IsAccountDomain("b.example") {
		t.Error("the table of domains is wrong")
	}
}

func TestAttachRefuses(t *testing.T) {
	for name, hosts := range map[string][]module.HostSpec{
		"account domain": {{Name: "A.example", Handler: &host{}}},
		"twice":          {{Name: "r.example", Handler: &host{}}, {Name: "r.example", Handler: &host{}}},
		"no handler":     {{Name: "r.example"}},
		"no domain":      {{Name: "", Handler: &host{}}},
	} {
		g := newRig(t)
		reg := module.NewRegistry()
		reg.Hosts = hosts
		if err := g.r.Attach(reg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHandlers(t *testing.T) {
	broken := errors.New("broken")
	committed := make(chan struct{}, 1)
	g := newRig(t, func(g *rig, _ *router.Options) {
		on := func(local string, own bool, h module.IQHandler) {
			g.reg.IQ[module.IQKey{Scope: module.ScopeAccount, Type: "set", Space: "u", Local: local}] = module.IQRoute{OwnOnly: own, Handle: h}
		}
		on("own", true, func(_ context.Context, r *module.Request) (*xmlstream.Node, error) {
			r.Unit.Add(storage.PutRow{Table: "t"})
			r.OnCommit(func() { committed <- struct{}{} })
			return nil, nil
		})
		on("panic", false, func(context.Context, *module.Request) (*xmlstream.Node, error) { panic("no") })
		on("error", false, func(context.Context, *module.Request) (*xmlstream.Node, error) { return nil, broken })
		on("refuse", false, func(context.Context, *module.Request) (*xmlstream.Node, error) {
			return nil, stanza.NewError(stanza.Conflict, "taken")
		})
		on("later", false, func(_ context.Context, r *module.Request) (*xmlstream.Node, error) {
			r.Defer()
			g.journal.Submit(r.Unit)
			return nil, nil
		})
		on("answered", false, func(ctx context.Context, r *module.Request) (*xmlstream.Node, error) {
			r.Defer()
			iq := r.IQ
			r.Unit.After(direct{}, func(error) { g.r.Send(context.Background(), iq.Result()) })
			g.journal.Submit(r.Unit)
			return nil, nil
		})
		on("lateerror", false, func(_ context.Context, r *module.Request) (*xmlstream.Node, error) {
			r.Defer()
			return nil, stanza.NewError(stanza.Gone, "")
		})
		on("latepanic", false, func(_ context.Context, r *module.Request) (*xmlstream.Node, error) {
			r.Defer()
			panic("no")
		})
	})
	g.sessions.add("alice@a.example/phone", 0)
	ask := func(to, local string) {
		t.Helper()
		g.route("<iq" + c + to + " type='set' id='1'><" + local + " xmlns='u'/></iq>")
	}
	me := "alice@a.example/phone"
	ask("", "own")
	g.expect(me, "<iq to='alice@a.example/phone' id='1' type='result'/>")
	<-committed
	ask(" to='alice@a.example'", "own")
	g.expect(me, "<iq to='alice@a.example/phone' from='alice@a.example' id='1' type='result'/>")
	<-committed
	ask(" to='bob@a.example'", "own")
	g.expect(me, "<forbidden xmlns")
	ask("", "panic")
	g.expect(me, "<internal-server-error xmlns")
	ask("", "error")
	g.expect(me, "<internal-server-error xmlns")
	ask("", "refuse")
	g.expect(me, "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text")
	ask("", "later")
	g.expect(me)
	ask("", "answered")
	g.expect(me, "<iq to='alice@a.example/phone' id='1' type='result'/>")
	ask("", "lateerror")
	g.expect(me, "<gone xmlns")
	ask("", "latepanic")
	g.expect(me, "<internal-server-error xmlns")

	g.backend.mu.Lock()
	g.backend.fail = errors.New("no space left on device")
	g.backend.mu.Unlock()
	u := journal.NewUnit(journal.Lane{})
	done := make(chan struct{})
	u.After(direct{}, func(error) { close(done) })
	g.r.Route(context.Background(), u, parse(t, "<iq"+c+" type='set' id='2'><own xmlns='u'/></iq>"))
	<-done
	g.backend.mu.Lock()
	g.backend.fail = nil
	g.backend.mu.Unlock()
	g.expect(me, "<error type='wait'><resource-constraint xmlns")
	select {
	case <-committed:
		t.Error("what follows a commit was done without one")
	default:
	}
}

func TestRequest(t *testing.T) {
	g := newRig(t)
	g.sessions.add("bob@a.example/desk", 0)
	q := journal.NewQueue(nil)
	replies := make(chan *stanza.Stanza, 10)
	send := func(from, to string) string {
		t.Helper()
		iq := stanza.NewIQ("get", "", xmlstream.NewNode(ns.Ping, "ping"))
		iq.From, iq.To = jid.MustParse(from), jid.MustParse(to)
		g.r.Request(context.Background(), iq, time.Minute, q, func(st *stanza.Stanza) { replies <- st })
		got := g.got("bob@a.example/desk")
		if len(got) != 1 {
			t.Fatalf("the request did not arrive: %v", got)
		}
		_, id, _ := strings.Cut(got[0], "id='")
		id, _, _ = strings.Cut(id, "'")
		return id
	}
	none := func() {
		t.Helper()
		g.flush()
		select {
		case st := <-replies:
			t.Errorf("answered by %s", st)
		default:
		}
	}
	id := send("r@a.example", "bob@a.example/desk")
	// Attack 22: only who was asked answers, and only what was asked.
	g.route("<iq xmlns='jabber:client' from='eve@a.example/x' to='r@a.example' type='result' id='" + id + "'/>")
	g.route("<iq xmlns='jabber:client' from='bob@a.example/other' to='r@a.example' type='result' id='" + id + "'/>")
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='x@a.example' type='result' id='" + id + "'/>")
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='r@a.example' type='result' id='x" + id + "'/>")
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='r@a.example' type='get' id='" + id + "'><a xmlns='u'/></iq>")
	none()
	g.got("bob@a.example/desk") // the errors
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='r@a.example' type='result' id='" + id + "'/>")
	if st := <-replies; st.Type != stanza.TypeResult {
		t.Errorf("answered with %s", st)
	}
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='r@a.example' type='result' id='" + id + "'/>")
	none()

	// What comes too late is not the business of the client in whose name was asked.
	g.sessions.add("alice@a.example/phone", 0)
	id = send("alice@a.example/phone", "bob@a.example/desk")
	g.clock.fire()
	if e := (<-replies).ErrorFrom(); e == nil || e.Condition != stanza.RemoteServerTimeout {
		t.Errorf("after its time: %v", e)
	}
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' to='alice@a.example/phone' type='result' id='" + id + "'/>")
	g.route("<iq xmlns='jabber:client' from='eve@a.example/x' to='alice@a.example/phone' type='result' id='" + id + "'/>")
	if got := g.got("alice@a.example/phone"); len(got) != 1 || !strings.Contains(got[0], "eve@") {
		t.Errorf("the client in whose name was asked received %v", got)
	}

	// A client answers its own account without an address.
	id = send("bob@a.example", "bob@a.example/desk")
	g.route("<iq xmlns='jabber:client' from='bob@a.example/desk' type='error' id='" + id + "'/>")
	if st := <-replies; st.Type != stanza.TypeError {
		t.Errorf("answered with %s", st)
	}

	send("r@a.example", "bob@a.example/desk")
	if g.clock.fire() != 1 {
		t.Fatal("there is no timeout")
	}
	if st := <-replies; st.ErrorFrom() == nil || st.ErrorFrom().Condition != stanza.RemoteServerTimeout {
		t.Errorf("timed out with %s", st)
	}
	if n := g.r.Stats().Requests; n != 0 {
		t.Errorf("%d requests wait", n)
	}
	g.r.Stop()
	iq := stanza.NewIQ("get", "", xmlstream.NewNode(ns.Ping, "ping"))
	iq.From, iq.To = jid.MustParse("r@a.example"), jid.MustParse("bob@a.example/desk")
	g.r.Request(context.Background(), iq, time.Minute, q, func(st *stanza.Stanza) { replies <- st })
	if st := <-replies; st.Type != stanza.TypeError {
		t.Errorf("answered with %s", st)
	}
}

// An answer that nobody waits for, and an error for which there is nobody, end there: attack 28.
func TestErrorsAreNotAnswered(t *testing.T) {
	g := newRig(t)
	g.sessions.add("alice@a.example/phone", 0)
	for _, kind := range []string{"message", "presence", "iq"} {
		for _, to := range []string{"", " to='a.example'", " to='a.example/x'", " to='bob@a.example'", " to='bob@a.example/gone'", " to='nobody@a.example'", " to='nobody@a.example/x'", " to='x@elsewhere.example'"} {
			g.route("<" + kind + c + to + " type='error' id='1'><error type='cancel'><gone xmlns='" + ns.Stanzas + "'/></error></" + kind + ">")
		}
	}
	g.expect("alice@a.example/phone")
	if n := g.r.Stats().Errors; n != 0 {
		t.Errorf("%d errors were made", n)
	}
}

func TestGuards(t *testing.T) {
	g := newRig(t)
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", 0)
	g.events.Route.Any.On(event.Guard, "test", func(_ context.Context, v *event.Routed) error {
		switch v.Stanza.Body() {
		case "refuse":
			return stanza.NewError(stanza.NotAcceptable, "no")
		case "drop":
			return event.Stop
		case "panic":
			panic("no")
		}
		return nil
	})
	for body, want := range map[string][2]int{"refuse": {1, 0}, "drop": {0, 0}, "panic": {1, 0}, "fine": {0, 1}} {
		g.route("<message" + c + " to='bob@a.example'><body>" + body + "</body></message>")
		for i, full := range []string{"alice@a.example/phone", "bob@a.example/desk"} {
			if got := g.got(full); len(got) != want[i] {
				t.Errorf("%s: %s got %v", body, full, got)
			}
		}
	}
}

func TestUnitIsSubmittedOnce(t *testing.T) {
	g := newRig(t, func(g *rig, _ *router.Options) {
		g.reg.Hosts = append(g.reg.Hosts, module.HostSpec{Name: "rooms.a.example", Scope: "muc", Handler: panics{}})
	})
	g.sessions.add("alice@a.example/phone", 0)
	g.route("<message" + c + " to='r@rooms.a.example'><body>x</body></message>")
	g.expect("alice@a.example/phone", "<internal-server-error")
	// Without a sender there is nobody to tell, and the unit is done all the same.
	g.route("<message xmlns='jabber:client' to='bob@a.example'/>")
}

type panics struct{}

func (panics) HandleStanza(context.Context, *journal.Unit, *stanza.Stanza) { panic("no") }

func TestFanout(t *testing.T) {
	h := &host{}
	g := newRig(t, func(g *rig, o *router.Options) {
		h.j = g.journal
		g.reg.Hosts = append(g.reg.Hosts, module.HostSpec{Name: "gw.a.example", Scope: "gateway", Handler: h})
		o.Remote = remote{h}
	})
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", -1)
	g.sessions.add("bob@a.example/away", 0, func(i *event.SessionInfo) { i.Available = false })
	st := stanza.NewMessage("groupchat", xmlstream.NewNode(ns.Client, "body").SetText("x"))
	st.From = jid.MustParse("r@rooms.a.example/n")
	var gone []string
	to := []jid.JID{jid.MustParse("alice@a.example/phone"), jid.MustParse("alice@a.example/left"), jid.MustParse("bob@a.example"),
		jid.MustParse("carol@b.example"), jid.MustParse("p@gw.a.example"), jid.MustParse("x@elsewhere.example/r")}
	g.r.Fanout(context.Background(), st, to, func(j jid.JID) { gone = append(gone, j.String()) })
	g.expect("alice@a.example/phone", "<message to='alice@a.example/phone' from='r@rooms.a.example/n' type='groupchat'>")
	g.expect("bob@a.example/desk", "<message to='bob@a.example' from")
	g.expect("bob@a.example/away")
	if !slices.Equal(gone, []string{"alice@a.example/left", "carol@b.example"}) {
		t.Errorf("gone: %v", gone)
	}
	if len(h.got) != 2 || !strings.Contains(h.got[0], "to='p@gw.a.example'") || !strings.Contains(h.got[1], "to='x@elsewhere.example/r'") {
		t.Errorf("elsewhere: %v", h.got)
	}
}

// remote takes everything for other servers.
type remote struct{ h *host }

func (r remote) Deliver(ctx context.Context, u *journal.Unit, st *stanza.Stanza) bool {
	r.h.HandleStanza(ctx, u, st)
	return true
}
