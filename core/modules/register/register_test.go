package register_test

import (
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/register"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o register.Options) *xmpptest.Server {
	t.Helper()
	return xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{Register: o}})
}

var ids int

func ask(c *xmpptest.Conn, typ, query string) *xmlstream.Node {
	ids++
	c.Write("<iq type='" + typ + "' id='" + strconv.Itoa(ids) + "'><query xmlns='jabber:iq:register'>" + query + "</query></iq>")
	return c.NextNamed(ns.Client, "iq")
}

func account(name, password string) string {
	return "<username>" + name + "</username><password>" + password + "</password>"
}

// condition returns the condition of an error, "" of a result.
func condition(n *xmlstream.Node) string {
	e := n.Child(ns.Client, "error")
	if e == nil {
		return ""
	}
	for c := range e.Elements() {
		return c.Name.Local
	}
	return "?"
}

// XEP-0077 §3.1: an account before login, and then a login with it.
func TestRegister(t *testing.T) {
	s := start(t, register.Options{Open: true, PerAddress: 100})
	c := s.Dial(t, "example.org")
	features := c.Open("example.org")
	if features.Child(ns.FeatureRegister, "register") == nil {
		t.Errorf("registration is not offered: %s", features)
	}
	form := ask(c, "get", "").Child(ns.Register, "query")
	if form == nil || form.Child(ns.Register, "username") == nil || form.Child(ns.Register, "password") == nil {
		t.Fatalf("the form is %s", form)
	}
	s.AddUser(t, jid.MustParse("taken@example.org"))
	for name, x := range map[string]struct{ query, want string }{
		"no password":   {"<username>new</username>", "not-acceptable"},
		"nothing":       {"", "not-acceptable"},
		"bad name":      {account("a b", "long enough password"), "jid-malformed"},
		"another host":  {account("a@elsewhere.example", "long enough password"), "jid-malformed"},
		"weak password": {account("new", "short"), "not-acceptable"},
		"taken":         {account("Taken", "long enough password"), "conflict"},
	} {
		if got := condition(ask(c, "set", x.query)); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	if n := ask(c, "set", account("New", xmpptest.Password)); condition(n) != "" {
		t.Fatalf("registration fails: %s", n)
	}
	if got := condition(ask(c, "set", account("new", xmpptest.Password))); got != "conflict" {
		t.Errorf("registered twice: %q", got)
	}
	s.Login(t, "new@example.org/r").Online()
}

// TestSetOpen: what the operator changes holds for the streams to come, and a stream that began before cannot go round it.
func TestSetOpen(t *testing.T) {
	s := start(t, register.Options{PerAddress: 100})
	m := s.Module("register").(*register.Module)
	offered := func() (*xmpptest.Conn, bool) {
		c := s.Dial(t, "example.org")
		return c, c.Open("example.org").Child(ns.FeatureRegister, "register") != nil
	}
	if _, ok := offered(); ok {
		t.Error("registration is offered")
	}
	m.SetOpen(true)
	c, ok := offered()
	if !ok {
		t.Error("registration is not offered")
	}
	if got := condition(ask(c, "set", account("first", xmpptest.Password))); got != "" {
		t.Errorf("open: %q", got)
	}
	m.SetOpen(false)
	if got := condition(ask(c, "set", account("second", xmpptest.Password))); got != "service-unavailable" {
		t.Errorf("closed: %q", got)
	}
	if ok, err := s.Accounts().Exists(t.Context(), jid.MustParse("second@example.org")); ok || err != nil {
		t.Errorf("the account was made: %v", err)
	}
	if _, ok := offered(); ok {
		t.Error("registration is offered again")
	}
}

// Row 36 of the attacks: off by default, and limited by address.
func TestLimits(t *testing.T) {
	s := start(t, register.Options{})
	c := s.Dial(t, "example.org")
	if f := c.Open("example.org"); f.Child(ns.FeatureRegister, "register") != nil {
		t.Error("registration is offered")
	}
	if got := condition(ask(c, "set", account("new", xmpptest.Password))); got != "service-unavailable" { // XEP-0077 §3.1
		t.Errorf("closed: %q", got)
	}
	if ok, err := s.Accounts().Exists(t.Context(), jid.MustParse("new@example.org")); ok || err != nil {
		t.Errorf("the account was made: %v", err)
	}

	s = start(t, register.Options{Open: true, PerAddress: 2, PerTime: time.Hour})
	c = s.Dial(t, "example.org")
	c.Open("example.org")
	for i, want := range []string{"", "", "resource-constraint"} {
		if got := condition(ask(c, "set", account("new"+strconv.Itoa(i), xmpptest.Password))); got != want {
			t.Errorf("account %d: %q, want %q", i, got, want)
		}
	}
	// Without encryption it is neither offered nor done.
	p := s.DialPlain(t)
	if f := p.Open("example.org"); f.Child(ns.FeatureRegister, "register") != nil {
		t.Error("registration is offered in the clear")
	}
	p.Write("<iq type='set' id='1'><query xmlns='jabber:iq:register'>" + account("clear", xmpptest.Password) + "</query></iq>")
	for _, n := range p.ClosedOr(1) {
		if n.Name.Local == "iq" && condition(n) == "" {
			t.Errorf("registered in the clear: %s", n)
		}
	}
	if ok, err := s.Accounts().Exists(t.Context(), jid.MustParse("clear@example.org")); ok || err != nil {
		t.Errorf("the account was made: %v", err)
	}
}

// XEP-0077 §3.1.1, §3.3: one who has an account, and another password.
func TestChangePassword(t *testing.T) {
	s := start(t, register.Options{})
	c := s.Login(t, "alice@example.org/phone")
	got := ask(c.Conn, "get", "").Child(ns.Register, "query")
	if got == nil || got.Child(ns.Register, "registered") == nil || got.Child(ns.Register, "username").TextContent() != "alice" {
		t.Errorf("registered: %s", got)
	}
	for name, x := range map[string]struct{ query, want string }{
		"somebody else": {account("bob", "another long password"), "not-allowed"},
		"no name":       {"<password>another long password</password>", "bad-request"},
		"weak":          {account("alice", "short"), "not-acceptable"},
	} {
		if got := condition(ask(c.Conn, "set", x.query)); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	if n := ask(c.Conn, "set", account("alice", "another long password")); condition(n) != "" {
		t.Fatalf("the password is not changed: %s", n)
	}
	s.Authenticate(t, c.JID, "another long password")
	if ok, err := s.Accounts().Verify(t.Context(), c.JID.Bare(), xmpptest.Password); ok || err != nil {
		t.Errorf("the old password is still good: %v", err)
	}
}

// XEP-0077 §3.2: giving the account up ends all sessions and leaves nothing behind.
func TestRemove(t *testing.T) {
	s := start(t, register.Options{})
	bob := s.Login(t, "bob@example.org/desk")
	bob.Online()
	other := s.Login(t, "alice@example.org/desk")
	c := s.Login(t, "alice@example.org/phone")
	c.Request("set", "", "<query xmlns='jabber:iq:roster'><item jid='bob@example.org'/></query>")
	c.Write("<presence type='subscribe' to='bob@example.org'/>")
	bob.Expect("<presence from='alice@example.org' type='subscribe'/>")
	if got := condition(ask(c.Conn, "set", "<remove/><username>alice</username>")); got != "bad-request" {
		t.Errorf("remove and more: %q", got)
	}
	if n := ask(c.Conn, "set", "<remove/>"); condition(n) != "" {
		t.Fatalf("the account is not removed: %s", n)
	}
	for _, conn := range []*xmpptest.Client{c, other} {
		last := conn.Closed()
		if len(last) == 0 || last[len(last)-1].Child(ns.StreamErrors, "not-authorized") == nil {
			t.Errorf("%s ends with %v", conn.JID, last)
		}
	}
	bob.Expect("<presence from='alice@example.org' type='unsubscribe'/>")
	ctx := t.Context()
	if ok, err := s.Accounts().Exists(ctx, c.JID.Bare()); ok || err != nil {
		t.Errorf("the account is still there: %v", err)
	}
	if items, _, err := s.Data().Roster().All(ctx, "alice@example.org"); len(items) > 0 || err != nil {
		t.Errorf("its roster is still there: %v, %v", items, err)
	}
}
