package pubsub_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// keeper is what administrators' commands ask for.
type keeper interface {
	Nodes(ctx context.Context, service, owner jid.JID, fn func(name, title, kind, access string, items, subscriptions int, created time.Time) bool) error
	Node(ctx context.Context, service jid.JID, name string) (config map[string]string, affiliations map[string][]string, err error)
	DeleteNode(ctx context.Context, service jid.JID, name string) error
	PurgeNode(ctx context.Context, service jid.JID, name string) error
}

// operator is a module that has got hold of it.
type operator struct{ keeper keeper }

func (*operator) Info() module.Info { return module.Info{Name: "operator"} }

func (o *operator) Register(r *module.Registrar) error { r.Need(&o.keeper); return nil }

// TestOperate: administrators list, show, purge and delete nodes of a host and of an account, all or those of one owner; subscribers are told.
func TestOperate(t *testing.T) {
	o := &operator{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{o} }})
	ctx := t.Context()
	alice, bob := s.Login(t, "alice@example.org/a"), s.Login(t, "bob@example.org/b")
	bob.Online()
	for c, names := range map[*xmpptest.Client][]string{alice: {"a1", "a2"}, bob: {"b1"}} {
		for _, n := range names {
			ok(t, c.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+n+"'/></pubsub>"))
		}
	}
	ok(t, bob.Request("set", host, subscribing("a1", "bob@example.org", "")))
	ok(t, alice.Request("set", host, affiliating("a1", "bob@example.org", "publisher")))
	bob.Next() // what she is now
	ok(t, alice.Request("set", host, publishing("a1", "1", "2")))
	bob.Next()
	ok(t, alice.Request("set", "", publishing("u:own", "1")))

	service, account := jid.MustParse(host), jid.MustParse("alice@example.org")
	list := func(at, owner jid.JID) string {
		var out []string
		err := o.keeper.Nodes(ctx, at, owner, func(name, _, kind, access string, items, subs int, created time.Time) bool {
			if created.IsZero() {
				t.Error("a node was never made")
			}
			out = append(out, fmt.Sprintf("%s %s %s %d/%d", name, kind, access, items, subs))
			return name != "a2"
		})
		if err != nil {
			return err.Error()
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct {
		at, owner jid.JID
		want      string
	}{
		{service, jid.JID{}, "a1 leaf open 2/1, a2 leaf open 0/0"}, // enough
		{service, jid.MustParse("bob@example.org"), "b1 leaf open 0/0"},
		{service, jid.MustParse("nobody@example.org"), ""},
		{account, jid.JID{}, "u:own leaf presence 1/0"},
		{account, account, "u:own leaf presence 1/0"},
		{jid.MustParse("example.com"), jid.JID{}, "example.com has no nodes: it is neither an account of this server nor one of its hosts of publish-subscribe"},
	} {
		if got := list(c.at, c.owner); got != c.want {
			t.Errorf("%s of %s: %s", c.at, c.owner, got)
		}
	}
	config, lists, err := o.keeper.Node(ctx, service, "a1")
	if err != nil || config["access_model"] != "open" || config["max_items"] != "100" || !slices.Equal(lists["owner"], []string{"alice@example.org"}) ||
		!slices.Equal(lists["publisher"], []string{"bob@example.org"}) {
		t.Errorf("shown: %v, %v, %v", config, lists, err)
	}
	if _, lists, err := o.keeper.Node(ctx, account, "u:own"); err != nil || !slices.Equal(lists["owner"], []string{"alice@example.org"}) {
		t.Errorf("shown: %v, %v", lists, err)
	}
	for what, got := range map[string]error{"delete": o.keeper.DeleteNode(ctx, service, "nothing"), "purge": o.keeper.PurgeNode(ctx, service, ""),
		"of no service": o.keeper.PurgeNode(ctx, jid.MustParse("example.com"), "a1")} {
		if got == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, _, err := o.keeper.Node(ctx, service, "nothing"); err == nil {
		t.Error("shown: nothing")
	}

	told := func(want string) {
		t.Helper()
		if n := bob.Next(); !strings.Contains(n.String(), "<"+want+" node='a1'") {
			t.Errorf("told: %s", n)
		}
	}
	if err := o.keeper.PurgeNode(ctx, service, "a1"); err != nil {
		t.Fatal(err)
	}
	told("purge")
	if err := o.keeper.DeleteNode(ctx, service, "a1"); err != nil {
		t.Fatal(err)
	}
	told("delete")
	if got := list(service, account); got != "a2 leaf open 0/0" {
		t.Errorf("left: %s", got)
	}
	if err := o.keeper.DeleteNode(ctx, account, "u:own"); err != nil {
		t.Fatal(err)
	}
	if got := list(account, jid.JID{}); got != "" {
		t.Errorf("left: %s", got)
	}
}
