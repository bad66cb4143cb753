package disco_test

import (
	"context"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/disco"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// service is a module with a host.
type service struct{ j journal.Submitter }

func (*service) Info() module.Info { return module.Info{Name: "service"} }

func (s *service) Register(r *module.Registrar) error {
	s.j = r.Deps.Journal
	r.Feature("svc", "urn:example:b", "urn:example:a", "urn:example:a")
	r.Identity("svc", module.Identity{Category: "conference", Type: "text", Name: "Rooms <&>"})
	if err := r.Host(module.HostSpec{Name: "hidden.example.org", Scope: "svc", Handler: s}); err != nil {
		return err
	}
	return r.Host(module.HostSpec{Name: "svc.example.org", Scope: "svc", Handler: s, ListedIn: "example.org", Title: "Service"})
}

func (s *service) HandleStanza(_ context.Context, u *journal.Unit, _ *stanza.Stanza) { s.j.Submit(u) }

func start(t *testing.T) *xmpptest.Client {
	t.Helper()
	s := xmpptest.Start(t, xmpptest.Options{
		Modules: modules.Options{Disco: disco.Options{Contacts: map[string][]string{"abuse": {"mailto:abuse@example.org", "xmpp:abuse@example.org"}}}},
		Extra:   func() []module.Module { return []module.Module{&service{}} },
	})
	return s.Login(t, "alice@example.org/phone")
}

// XEP-0030 §3.1, §4.1: hosts of modules tell what was registered for their scope, and are listed if they want to be.
func TestHosts(t *testing.T) {
	c := start(t)
	got := c.Request("get", "svc.example.org", "<query xmlns='"+ns.DiscoInfo+"'/>").Child(ns.DiscoInfo, "query").String()
	want := "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text' name='Rooms &lt;&amp;>'/>" +
		"<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>" +
		"<feature var='urn:example:a'/><feature var='urn:example:b'/><feature var='urn:xmpp:ping'/></query>"
	if strings.ReplaceAll(got, "&gt;", ">") != want {
		t.Errorf("info of the host: %s\nwant %s", got, want)
	}
	items := c.Request("get", "example.org", "<query xmlns='"+ns.DiscoItems+"'/>").Child(ns.DiscoItems, "query").String()
	if !strings.Contains(items, "<item jid='svc.example.org' name='Service'/>") || strings.Contains(items, "hidden") {
		t.Errorf("items: %s", items)
	}
	if n := c.Request("get", "room@svc.example.org", "<query xmlns='"+ns.DiscoInfo+"'/>"); n.Attr("type") != "error" {
		t.Errorf("what is not there is known: %s", n)
	}
}

// XEP-0115 §6.3 and attack 30: the hash in the stream features is that of the answer, also of the node it names, and no other node is known.
func TestServerCaps(t *testing.T) {
	c := start(t)
	caps := c.Features.Child(ns.Caps, "c")
	if caps == nil {
		t.Fatalf("no capabilities in %s", c.Features)
	}
	for _, node := range []string{"", " node='" + caps.Attr("node") + "#" + caps.Attr("ver") + "'"} {
		q := c.Request("get", "example.org", "<query xmlns='"+ns.DiscoInfo+"'"+node+"/>").Child(ns.DiscoInfo, "query")
		if q == nil {
			t.Fatalf("node %q is unknown", node)
		}
		info, err := hash.Parse(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Ver(); got != caps.Attr("ver") {
			t.Errorf("the hash of the answer is %s, announced is %s", got, caps.Attr("ver"))
		}
		// XEP-0157 §2
		if f := q.String(); !strings.Contains(f, "<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@example.org</value><value>xmpp:abuse@example.org</value></field>") {
			t.Errorf("no contact addresses in %s", f)
		}
	}
	if n := c.Request("get", "example.org", "<query xmlns='"+ns.DiscoInfo+"' node='"+caps.Attr("node")+"#forged'/>"); n.Attr("type") != "error" {
		t.Errorf("a forged hash is answered: %s", n)
	}
}
