package presence_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// elsewhere is another server, or a host of this one: it keeps what it gets with the rows of its unit.
type elsewhere struct {
	mu     sync.Mutex
	submit func(*journal.Unit)
	got    chan arrived
	// answer, if set, is called in the goroutine that routes.
	answer func(st *stanza.Stanza)
}

type arrived struct {
	st  *stanza.Stanza
	ops []journal.Op
}

func newElsewhere() *elsewhere { return &elsewhere{got: make(chan arrived, 100)} }

func (e *elsewhere) Deliver(_ context.Context, u *journal.Unit, st *stanza.Stanza) bool {
	e.got <- arrived{st, u.Ops()}
	e.mu.Lock()
	submit, answer := e.submit, e.answer
	e.mu.Unlock()
	submit(u)
	if answer != nil {
		answer(st)
	}
	return true
}

func (e *elsewhere) HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	e.Deliver(ctx, u, st)
}

// next waits for the next stanza and compares it.
func (e *elsewhere) next(t *testing.T, want string) arrived {
	t.Helper()
	a := <-e.got
	if got := a.st.String(); got != want {
		t.Errorf("elsewhere received %s\nwant %s", got, want)
	}
	return a
}

func startWith(t *testing.T, far *elsewhere, extra ...module.Module) (*xmpptest.Server, func(string)) {
	t.Helper()
	s := xmpptest.Start(t, xmpptest.Options{Remote: far, Extra: func() []module.Module { return extra }})
	far.mu.Lock()
	far.submit = s.Journal().Submit
	far.mu.Unlock()
	return s, func(xml string) {
		t.Helper()
		f, err := xmlstream.ParseFragment([]byte(xml))
		if err != nil {
			t.Fatal(err)
		}
		st, err := stanza.FromChild(f.At(0))
		if err != nil {
			t.Fatal(err)
		}
		s.Router().Send(context.Background(), st)
	}
}

func push(item string) string {
	return "<iq type='set' from='alice@example.org'><query xmlns='jabber:iq:roster' ver='{*}'>" + item + "</query></iq>"
}

// RFC 6121 §3 with a contact elsewhere, in both directions; the stanza goes in the unit that changes the roster.
func TestSubscriptionsElsewhere(t *testing.T) {
	far := newElsewhere()
	s, send := startWith(t, far)
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Send("<presence to='romeo@montague.example/x' type='subscribe'/>")
	a := far.next(t, "<presence to='romeo@montague.example' from='alice@example.org' type='subscribe'/>")
	if len(a.ops) == 0 {
		t.Error("the stanza is not in the unit of the roster's change")
	} else if _, ok := a.ops[0].(storage.PutRosterItem); !ok {
		t.Errorf("its unit has %T", a.ops[0])
	}
	alice.Expect(push("<item jid='romeo@montague.example' subscription='none' ask='subscribe'/>"))
	// §3.1.6, and nobody else can grant it
	send("<presence xmlns='jabber:client' from='tybalt@capulet.example' to='alice@example.org' type='subscribed'/>")
	send("<presence xmlns='jabber:client' from='romeo@montague.example/orchard' to='alice@example.org' type='subscribed'/>")
	alice.Expect("<presence from='romeo@montague.example' type='subscribed'/>")
	alice.Expect(push("<item jid='romeo@montague.example' subscription='to'/>"))
	// §3.1.3 and §3.1.5: the other direction
	send("<presence xmlns='jabber:client' from='romeo@montague.example/orchard' to='alice@example.org' type='subscribe'/>")
	alice.Expect("<presence from='romeo@montague.example' type='subscribe'/>")
	alice.Send("<presence to='romeo@montague.example' type='subscribed'/>")
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org' type='subscribed'/>")
	alice.Expect(push("<item jid='romeo@montague.example' subscription='both'/>"))
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org/phone'/>")
	// §3.1.3: asked again, the server answers by itself
	send("<presence xmlns='jabber:client' from='romeo@montague.example' to='alice@example.org' type='subscribe'/>")
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org' type='subscribed'/>")
	// §4.3.2: probes
	send("<presence xmlns='jabber:client' from='romeo@montague.example/orchard' to='alice@example.org' type='probe'/>")
	far.next(t, "<presence to='romeo@montague.example/orchard' from='alice@example.org/phone'/>")
	send("<presence xmlns='jabber:client' from='tybalt@capulet.example' to='alice@example.org' type='probe'/>")
	far.next(t, "<presence to='tybalt@capulet.example' from='alice@example.org' type='unsubscribed'/>")
	// §4.3.1: another resource probes for itself
	desk := s.Login(t, "alice@example.org/desk")
	desk.Online()
	for range 2 { // its presence and its probe, in the order of their ways
		a := <-far.got
		if got := a.st.String(); got != "<presence to='romeo@montague.example' from='alice@example.org/desk'/>" &&
			got != "<presence to='romeo@montague.example' from='alice@example.org/desk' type='probe'/>" {
			t.Errorf("elsewhere received %s", got)
		}
	}
	// §4.5.2: a lost connection
	desk.Drop()
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org/desk' type='unavailable'/>")
	// §2.5.2: removed
	alice.Write("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='romeo@montague.example' subscription='remove'/></query></iq>")
	want := map[string]bool{
		"<presence to='romeo@montague.example' from='alice@example.org' type='unsubscribe'/>":       true,
		"<presence to='romeo@montague.example' from='alice@example.org' type='unsubscribed'/>":      true,
		"<presence to='romeo@montague.example' from='alice@example.org/phone' type='unavailable'/>": true,
	}
	for range 3 {
		if a := <-far.got; !want[a.st.String()] {
			t.Errorf("elsewhere received %s", a.st)
		}
	}
}

// RFC 6121 §3.1.2: a subscription that has not been answered is asked for again at the next login.
func TestAskAgain(t *testing.T) {
	far := newElsewhere()
	s, _ := startWith(t, far)
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Send("<presence to='romeo@montague.example' type='subscribe'/>")
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org' type='subscribe'/>")
	alice.Close()
	s.Login(t, "alice@example.org/desk").Online()
	far.next(t, "<presence to='romeo@montague.example' from='alice@example.org' type='subscribe'/>")
}

// gateway is a module with a host.
type gateway struct{ *elsewhere }

func (gateway) Info() module.Info { return module.Info{Name: "gateway"} }

func (g gateway) Register(r *module.Registrar) error {
	return r.Host(module.HostSpec{Name: "matrix.example.org", Scope: "gateway", Handler: g.elsewhere})
}

// A host that answers a subscription at once, from the goroutine that hands it over, blocks nobody.
func TestHostAnswersAtOnce(t *testing.T) {
	host := newElsewhere()
	s, _ := startWith(t, host, gateway{host})
	host.mu.Lock()
	host.answer = func(st *stanza.Stanza) {
		if st.Type == stanza.TypeSubscribe {
			s.Router().Send(context.Background(), stanza.NewPresence(stanza.TypeSubscribed).With(st.To, st.From))
			s.Router().Send(context.Background(), stanza.NewPresence(stanza.TypeSubscribe).With(st.To, st.From))
			s.Router().Send(context.Background(), stanza.NewPresence("").With(st.To, st.From))
		}
	}
	host.mu.Unlock()
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Send("<presence to='puppet@matrix.example.org' type='subscribe'/>")
	host.next(t, "<presence to='puppet@matrix.example.org' from='alice@example.org' type='subscribe'/>")
	got := map[string]bool{}
	for range 5 {
		n := alice.Next()
		kind := n.Name.Local + " " + n.Attr("type")
		if q := n.Child(ns.Roster, "query"); q != nil {
			kind = "push " + q.Child(ns.Roster, "item").Attr("subscription")
		}
		got[kind] = true
	}
	for _, want := range []string{"push none", "push to", "presence subscribed", "presence subscribe", "presence "} {
		if !got[want] {
			t.Errorf("alice has not received %q: %v", want, got)
		}
	}
}

// Two accounts that subscribe to each other at the same moment, again and again: nobody waits for nobody, and in the end both sides agree.
func TestSubscribeAtOnce(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	alice, bob := s.Login(t, "alice@example.org/a"), s.Login(t, "bob@example.org/b")
	alice.Online()
	bob.Online()
	var wg sync.WaitGroup
	for _, p := range []struct {
		c  *xmpptest.Client
		to string
	}{{alice, "bob@example.org"}, {bob, "alice@example.org"}} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var b strings.Builder
			for range 30 {
				for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
					b.WriteString("<presence to='" + p.to + "' type='" + typ + "'/>")
				}
			}
			p.c.Write(b.String() + "<presence to='" + p.to + "' type='subscribe'/><presence to='" + p.to + "' type='subscribed'/>" +
				"<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
		}()
	}
	wg.Wait()
	for _, c := range []*xmpptest.Client{alice, bob} {
		for n := c.Next(); n.Attr("id") != "end"; n = c.Next() {
		}
	}
	item := func(owner, contact string) string {
		items, _, err := s.Data().Roster().All(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Contact == contact {
				return it.Subscription
			}
		}
		return "none"
	}
	// What one has the other gives.
	mirror := map[string]string{"none": "none", "to": "from", "from": "to", "both": "both"}
	a, b := item("alice@example.org", "bob@example.org"), item("bob@example.org", "alice@example.org")
	if mirror[a] != b {
		t.Errorf("alice has %s, bob has %s", a, b)
	}
}
