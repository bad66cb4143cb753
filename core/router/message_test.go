package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func withSM(id string) func(*event.SessionInfo) {
	return func(i *event.SessionInfo) { i.SMID, i.Flags = id, event.FlagSM }
}

// keepOffline does what the module does.
func (g *rig) keepOffline() {
	g.events.Route.Account.On(event.Record, "offline", func(_ context.Context, m *event.AccountMessage) error {
		if len(m.Targets) == 0 && hints.Of(m.Stanza).Offline() {
			m.Ref(storage.Offline, m.Account.String(), "", nil)
			m.Offline = true
		}
		return nil
	})
}

// archive does what the module does.
func (g *rig) archive() {
	g.events.Route.Sent.On(event.Record, "archive", func(_ context.Context, m *event.AccountMessage) error {
		m.Ref(storage.Archive, m.Account.String(), "", nil)
		return nil
	})
	g.events.Route.Account.On(event.Record, "archive", func(_ context.Context, m *event.AccountMessage) error {
		m.Ref(storage.Archive, m.Account.String(), "", nil)
		m.Archived = true
		m.Stamp = append(m.Stamp, xmlstream.NewNode("u", "stamp", "of", m.Account.String()))
		return nil
	})
}

func chat(to, id, body string) string {
	return "<message" + c + " to='" + to + "' id='" + id + "' type='chat'><body>" + body + "</body></message>"
}

func TestRowsOfMessages(t *testing.T) {
	for name, x := range map[string]struct {
		set  func(*rig)
		xml  string
		refs []string
		bob  string
	}{
		"nothing is kept":            {func(*rig) {}, chat("bob@a.example", "1", "x"), nil, "<body>x</body></message>"},
		"with stream management":     {func(g *rig) { g.sessions.add("bob@a.example/sm", 0, withSM("s1")) }, chat("bob@a.example", "1", "x"), []string{"unacked s1"}, "x"},
		"a chat state is not kept":   {func(g *rig) { g.sessions.add("bob@a.example/sm", 0, withSM("s1")) }, "<message" + c + " to='bob@a.example' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>", nil, "active"},
		"a headline is not kept":     {func(g *rig) { g.sessions.add("bob@a.example/sm", 0, withSM("s1")) }, "<message" + c + " to='bob@a.example' type='headline'><body>x</body></message>", nil, "x"},
		"archived for both":          {(*rig).archive, chat("bob@a.example", "1", "x"), []string{"archive alice@a.example", "archive bob@a.example"}, "<stamp xmlns='u' of='bob@a.example'/></message>"},
		"offline for one who is not": {(*rig).keepOffline, chat("carol@b.example", "1", "x"), []string{"offline carol@b.example"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.sessions.add("alice@a.example/phone", 0)
			g.sessions.add("bob@a.example/desk", 0)
			x.set(g)
			g.route(x.xml)
			if x.bob == "" {
				g.expect("bob@a.example/desk")
			} else {
				g.expect("bob@a.example/desk", x.bob)
			}
			g.expect("alice@a.example/phone")
			if got := g.backend.refs(); !slices.Equal(got, x.refs) {
				t.Errorf("rows: %v, want %v", got, x.refs)
			}
		})
	}
}

// A retry is acknowledged and not shown again; anything else is another message.
func TestRetry(t *testing.T) {
	origin := func(to, id, oid, body string) string {
		return "<message" + c + " to='" + to + "' id='" + id + "'><body>" + body + "</body><origin-id xmlns='urn:xmpp:sid:0' id='" + oid + "'/></message>"
	}
	for name, x := range map[string]struct {
		first, second string
		shown         int
	}{
		"the same":                 {chat("bob@a.example", "1", "x"), chat("bob@a.example", "1", "x"), 1},
		"another resource":         {chat("bob@a.example", "1", "x"), strings.Replace(chat("bob@a.example", "1", "x"), "/phone", "/other", 1), 1},
		"another id":               {chat("bob@a.example", "1", "x"), chat("bob@a.example", "2", "x"), 2},
		"another body":             {chat("bob@a.example", "1", "x"), chat("bob@a.example", "1", "y"), 2},
		"another sender":           {chat("bob@a.example", "1", "x"), strings.Replace(chat("bob@a.example", "1", "x"), "alice", "carol", 1), 2},
		"another address":          {chat("bob@a.example", "1", "x"), chat("bob@a.example/desk", "1", "x"), 2},
		"no id":                    {strings.Replace(chat("bob@a.example", "1", "x"), "id='1'", "", 1), strings.Replace(chat("bob@a.example", "1", "x"), "id='1'", "", 1), 2},
		"the same origin-id":       {origin("bob@a.example", "1", "o", "x"), origin("bob@a.example", "2", "o", "x"), 1},
		"another origin-id":        {origin("bob@a.example", "1", "o", "x"), origin("bob@a.example", "1", "p", "x"), 2},
		"the boundary of id, body": {chat("bob@a.example", "1", "2x"), chat("bob@a.example", "12", "x"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.archive()
			g.sessions.add("alice@a.example/phone", 0)
			g.sessions.add("bob@a.example/desk", 0)
			g.route(x.first)
			g.route(x.second)
			if got := g.got("bob@a.example/desk"); len(got) != x.shown {
				t.Errorf("shown %d times: %v", len(got), got)
			}
			g.expect("alice@a.example/phone")
		})
	}
}

func TestStoreFails(t *testing.T) {
	g := newRig(t)
	g.archive()
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", 0)
	g.backend.fail = errors.New("no space left on device")
	u := journal.NewUnit(journal.Lane{})
	done := make(chan struct{})
	u.After(direct{}, func(error) { close(done) })
	g.r.Route(context.Background(), u, parse(t, chat("bob@a.example", "1", "x")))
	<-done
	g.backend.mu.Lock()
	g.backend.fail = nil
	g.backend.mu.Unlock()
	g.expect("bob@a.example/desk")
	g.expect("alice@a.example/phone", "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text")
}

// Sessions that end between the decision and the delivery: the message goes to others, or is kept.
func TestTargetsEnd(t *testing.T) {
	for name, x := range map[string]struct {
		also func(*rig)
		got  map[string]int
		refs []string
	}{
		"nobody is left": {func(*rig) {}, map[string]int{"alice@a.example/phone": 0}, []string{"unacked s1", "offline bob@a.example"}},
		"another is there": {func(g *rig) { g.sessions.add("bob@a.example/pad", -1) }, map[string]int{"alice@a.example/phone": 0, "bob@a.example/pad": 0},
			[]string{"unacked s1", "offline bob@a.example"}},
		"another gets it": {func(g *rig) {
			g.sessions.lose = func(j jid.JID) bool {
				if j.Resource() == "desk" { // it comes when the other goes
					g.sessions.info[jid.MustParse("bob@a.example/new")] = event.SessionInfo{JID: jid.MustParse("bob@a.example/new"), Available: true}
					g.sessions.list = append(g.sessions.list, jid.MustParse("bob@a.example/new"))
					return true
				}
				return false
			}
		}, map[string]int{"bob@a.example/new": 1}, []string{"unacked s1"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.keepOffline()
			g.sessions.add("alice@a.example/phone", 0)
			g.sessions.add("bob@a.example/desk", 0, withSM("s1"))
			g.sessions.lose = func(j jid.JID) bool { return j.Resource() == "desk" }
			x.also(g)
			g.route(chat("bob@a.example", "1", "x"))
			for full, n := range x.got {
				if got := g.got(full); len(got) != n {
					t.Errorf("%s got %v", full, got)
				}
			}
			g.flush()
			refs := g.backend.refs()
			for _, want := range x.refs {
				if !slices.Contains(refs, want) {
					t.Errorf("rows %v lack %s", refs, want)
				}
			}
			if slices.Contains(x.refs, "offline bob@a.example") && !slices.Contains(refs, "-unacked s1") {
				t.Errorf("the session that is gone still refers to the message: %v", refs)
			}
		})
	}
}

// Nobody keeps it: the sender is told, once.
func TestTargetsEndUnkept(t *testing.T) {
	g := newRig(t)
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", 0)
	g.sessions.lose = func(j jid.JID) bool { return j.Resource() == "desk" }
	g.route(chat("bob@a.example", "1", "x"))
	g.expect("alice@a.example/phone", "service-unavailable")
}

// What is not stored keeps its place behind what is, and does not overtake it while the store is busy.
func TestOrder(t *testing.T) {
	g := newRig(t)
	g.events.Route.Account.On(event.Record, "archive", func(_ context.Context, m *event.AccountMessage) error {
		if m.Stanza.Body() != "" {
			m.Ref(storage.Archive, m.Account.String(), "", nil)
		}
		return nil
	})
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", 0)
	ctx := context.Background()
	var want []string
	for i := range 200 {
		mark := fmt.Sprintf("m%d", i)
		want = append(want, "'"+mark+"'")
		switch i % 4 {
		case 0:
			g.r.Send(ctx, parse(t, chat("bob@a.example", mark, "x")))
		case 1:
			g.r.Send(ctx, parse(t, "<message"+c+" to='bob@a.example' id='"+mark+"' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"))
		case 2:
			g.r.Send(ctx, parse(t, "<presence"+c+" to='bob@a.example/desk' id='"+mark+"'/>"))
		case 3:
			g.r.Send(ctx, parse(t, "<iq"+c+" to='bob@a.example/desk' id='"+mark+"' type='get'><q xmlns='u'/></iq>"))
		}
	}
	got := g.got("bob@a.example/desk")
	if len(got) != len(want) {
		t.Fatalf("%d of %d arrived", len(got), len(want))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Fatalf("at place %d: %s instead of %s", i, got[i], want[i])
		}
	}
}

// Where a guard refuses for the account, the sender is told and nothing is shown.
func TestAccountRefuses(t *testing.T) {
	g := newRig(t)
	g.sessions.add("alice@a.example/phone", 0)
	g.sessions.add("bob@a.example/desk", 0)
	g.events.Route.Account.On(event.Guard, "block", func(context.Context, *event.AccountMessage) error {
		return stanza.NewError(stanza.NotAcceptable, "blocked")
	})
	g.route(chat("bob@a.example", "1", "x"))
	g.expect("bob@a.example/desk")
	g.expect("alice@a.example/phone", "not-acceptable")
}

func TestUndelivered(t *testing.T) {
	for name, x := range map[string]struct {
		xml         string
		alice, refs int
	}{
		"chat to the resource":       {chat("bob@a.example/gone", "1", "x"), 0, 1},
		"normal message":             {"<message" + c + " to='bob@a.example/gone' id='1'><body>x</body></message>", 0, 1},
		"groupchat":                  {"<message" + c + " to='bob@a.example/gone' type='groupchat'><body>x</body></message>", 1, 0},
		"headline":                   {"<message" + c + " to='bob@a.example/gone' type='headline'><body>x</body></message>", 0, 0},
		"presence":                   {"<presence" + c + " to='bob@a.example/gone'/>", 0, 0},
		"request":                    {"<iq" + c + " to='bob@a.example/gone' type='get' id='1'><a xmlns='u'/></iq>", 1, 0},
		"result":                     {"<iq" + c + " to='bob@a.example/gone' type='result' id='1'/>", 0, 0},
		"seen before, but not there": {chat("bob@a.example", "seen", "x"), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.keepOffline()
			g.sessions.add("alice@a.example/phone", 0)
			g.route(chat("bob@a.example", "seen", "x")) // as it went the first time
			g.flush()
			g.backend.refs()
			g.r.Undelivered(context.Background(), jid.MustParse("bob@a.example/gone"), parse(t, x.xml))
			if got := g.got("alice@a.example/phone"); len(got) != x.alice {
				t.Errorf("the sender got %v", got)
			}
			if got := g.backend.refs(); len(got) != x.refs {
				t.Errorf("rows: %v", got)
			}
		})
	}
}

func TestRestoreAndRedeliver(t *testing.T) {
	g := newRig(t)
	g.events.Route.Restored.On(event.Rewrite, "archive", func(_ context.Context, m *event.AccountMessage) error {
		m.Stamp = append(m.Stamp, xmlstream.NewNode("u", "stamp"))
		return nil
	})
	var kept []storage.Stored
	for i := range 5 {
		id := storage.MessageID(1700000000000+int64(i)) << 20
		kept = append(kept, storage.Stored{Ref: storage.Ref{Kind: storage.Offline, Owner: "bob@a.example", ID: id, Msg: id},
			Body: parse(t, chat("bob@a.example", fmt.Sprint(i), "x")).Marshal()})
	}
	kept[3].Body = []byte("<broken")
	for name, x := range map[string]struct {
		set   []func(*event.SessionInfo)
		lose  int // the session ends at this message
		taken int
		refs  []string
	}{
		"plain": {nil, 9, 5, []string{"-offline", "-offline", "-offline", "-offline", "-offline"}},
		"sm":    {[]func(*event.SessionInfo){withSM("s1")}, 9, 5, []string{"unacked", "-offline", "unacked", "-offline", "unacked", "-offline", "-offline", "unacked", "-offline"}},
		"ends":  {nil, 2, 2, []string{"-offline", "-offline"}},
		"sm ends": {[]func(*event.SessionInfo){withSM("s1")}, 4, 4, []string{"unacked", "-offline", "unacked", "-offline", "unacked", "-offline", "unacked", "-offline",
			"-offline", "-unacked", "offline"}},
	} {
		t.Run(name, func(t *testing.T) {
			full := jid.MustParse("bob@a.example/" + strings.ReplaceAll(name, " ", ""))
			g.sessions.add(full.String(), 0, x.set...)
			n := 0
			g.sessions.lose = func(jid.JID) bool {
				n++
				if n == 4 { // the broken one is not pushed
					n++
				}
				return n > x.lose
			}
			info, _ := g.sessions.Get(context.Background(), full)
			taken := make(chan int, 1)
			g.r.Redeliver(context.Background(), info, kept, func(int) bool { return false }, func(n int) { taken <- n })
			if n := <-taken; n != x.taken {
				t.Errorf("taken %d, want %d", n, x.taken)
			}
			for i, st := range g.got(full.String()) {
				if !strings.Contains(st, "<stamp xmlns='u'/><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20.00"+fmt.Sprint(i+i/3)) {
					t.Errorf("message %d: %s", i, st)
				}
			}
			refs := g.backend.refs()
			for i := range refs {
				refs[i], _, _ = strings.Cut(refs[i], " ")
			}
			slices.Sort(refs)
			slices.Sort(x.refs)
			if !slices.Equal(refs, x.refs) {
				t.Errorf("rows %v, want %v", refs, x.refs)
			}
		})
	}
}

func FuzzDedupe(f *testing.F) {
	f.Add("1", "x", "2", "x")
	f.Fuzz(func(t *testing.T, id1, body1, id2, body2 string) {
		key := func(id, body string) (op storage.Dedupe, ok bool, said string) {
			st := stanza.NewMessage("chat", xmlstream.NewNode("jabber:client", "body").SetText(body))
			st.From, st.To, st.ID = jid.MustParse("a@x/r"), jid.MustParse("b@x"), id
			op, ok = router.Dedupe(st, 1)
			return op, ok, st.Body() // what is no XML has become something else
		}
		k1, ok1, said1 := key(id1, body1)
		k2, ok2, said2 := key(id2, body2)
		if ok1 != (id1 != "") || ok2 != (id2 != "") {
			t.Fatalf("ok for %q is %v, for %q %v", id1, ok1, id2, ok2)
		}
		if ok1 && ok2 && (k1.Key == k2.Key) != (id1 == id2 && said1 == said2) {
			t.Errorf("(%q, %q) and (%q, %q) have keys %x and %x", id1, said1, id2, said2, k1.Key, k2.Key)
		}
	})
}
