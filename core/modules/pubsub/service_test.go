package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

const host = "pubsub.example.org"

// nodes is what another module asks for, as docs/adr/0007 says.
type nodes interface {
	PEPItem(ctx context.Context, account jid.JID, node, id string) (*xmlstream.Node, error)
	PEPItems(ctx context.Context, account jid.JID, node string, limit int) ([]*xmlstream.Node, error)
	PEPPublish(ctx context.Context, account jid.JID, node string, items []*xmlstream.Node, options map[string]string, done func(error))
	PEPRetract(ctx context.Context, account jid.JID, node string, ids []string, done func(error))
	WatchPEP(func(ctx context.Context, account jid.JID, node string, published []*xmlstream.Node, retracted []string))
}

// neighbour is a module that uses it.
type neighbour struct {
	nodes nodes
	seen  chan string
}

func (*neighbour) Info() module.Info { return module.Info{Name: "neighbour"} }

func (n *neighbour) Register(r *module.Registrar) error { r.Need(&n.nodes); return nil }

func (n *neighbour) Start(context.Context) error {
	n.nodes.WatchPEP(func(_ context.Context, account jid.JID, node string, published []*xmlstream.Node, retracted []string) {
		s := account.String() + " " + node
		for _, it := range published {
			s += " +" + it.Attr("id")
		}
		for _, id := range retracted {
			s += " -" + id
		}
		n.seen <- s
	})
	return nil
}

func (*neighbour) Stop(context.Context) error { return nil }

func (n *neighbour) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-n.seen:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was told")
	}
	return ""
}

func itemNode(id, payload string) *xmlstream.Node {
	return xmlstream.NewNode(ns.PubSub, "item", "id", id).Add(xmlstream.NewNode("u:x", "x").SetText(payload))
}

func publishing(node string, ids ...string) string {
	var b strings.Builder
	b.WriteString("<pubsub xmlns='" + ns.PubSub + "'><publish node='" + node + "'>")
	for _, id := range ids {
		b.WriteString("<item id='" + id + "'><x xmlns='u:x'/></item>")
	}
	return b.String() + "</publish></pubsub>"
}

func ok(t *testing.T, n *xmlstream.Node) *xmlstream.Node {
	t.Helper()
	if n.Attr("type") != stanza.TypeResult {
		t.Fatalf("refused: %s", n)
	}
	return n
}

// TestNeighbours is the part of other modules: they publish, read and delete as the account, and are told of what others do.
func TestNeighbours(t *testing.T) {
	n := &neighbour{seen: make(chan string, 16)}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{n} }})
	alice := s.Login(t, "alice@example.org/a")
	account := jid.MustParse("alice@example.org")
	ctx := t.Context()
	done := make(chan error, 1)
	wait := func() error { t.Helper(); return <-done }

	if it, err := n.nodes.PEPItem(ctx, account, "u:n", ""); it != nil || err != nil {
		t.Fatalf("a node that is not there: %v, %v", it, err)
	}
	n.nodes.PEPPublish(ctx, account, "u:n", []*xmlstream.Node{itemNode("1", "a"), itemNode("2", "b")},
		map[string]string{"access_model": "whitelist", "max_items": "max"}, func(err error) { done <- err })
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if got := n.next(t); got != "alice@example.org u:n +1 +2" {
		t.Error(got)
	}
	// the options are preconditions from now on
	n.nodes.PEPPublish(ctx, account, "u:n", []*xmlstream.Node{itemNode("3", "c")}, map[string]string{"access_model": "open"}, func(err error) { done <- err })
	var se *stanza.Error
	if err := wait(); !errors.As(err, &se) || se.Condition != stanza.Conflict {
		t.Errorf("a precondition that is not met: %v", err)
	}
	ok(t, alice.Request("set", "", publishing("u:n", "4")))
	if got := n.next(t); got != "alice@example.org u:n +4" {
		t.Error(got)
	}
	list, err := n.nodes.PEPItems(ctx, account, "u:n", 2)
	if err != nil || len(list) != 2 || list[0].Attr("id") != "4" || list[1].Attr("id") != "2" || list[1].Child("u:x", "x").TextContent() != "b" {
		t.Errorf("items: %v, %v", list, err)
	}
	n.nodes.PEPRetract(ctx, account, "u:n", []string{"4"}, func(err error) { done <- err })
	if err := wait(); err != nil {
		t.Error(err)
	}
	if got := n.next(t); got != "alice@example.org u:n -4" {
		t.Error(got)
	}
	if it, err := n.nodes.PEPItem(ctx, account, "u:n", ""); err != nil || it.Attr("id") != "2" {
		t.Errorf("the newest: %v, %v", it, err)
	}
	n.nodes.PEPRetract(ctx, account, "u:n", []string{"4"}, func(err error) { done <- err })
	if err := wait(); !errors.As(err, &se) || se.Condition != stanza.ItemNotFound {
		t.Errorf("an item that is gone: %v", err)
	}
}

// TestManyPublishers: each change of a node builds on the one before, whoever makes it, and the order is that of the notifications.
func TestManyPublishers(t *testing.T) {
	const people, each = 8, 25
	s := xmpptest.Start(t, xmpptest.Options{})
	owner := s.Login(t, "owner@example.org/o")
	owner.Online()
	ok(t, owner.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='pubsub#publish_model'><value>open</value></field><field var='pubsub#max_items'><value>150</value></field>"+
		"<field var='pubsub#notify_retract'><value>0</value></field></x></configure></pubsub>"))
	ok(t, owner.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><subscribe node='n' jid='owner@example.org'/></pubsub>"))
	var all sync.WaitGroup
	clients := make([]*xmpptest.Client, people)
	for p := range people {
		clients[p] = s.Login(t, fmt.Sprintf("p%d@example.org/x", p))
	}
	for p, c := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range each {
				c.Write(fmt.Sprintf("<iq type='set' id='i%d' to='%s'>%s</iq>", i, host, publishing("n", fmt.Sprintf("%d-%d", p, i))))
			}
		}()
	}
	all.Wait()
	var order []string
	for range people * each {
		n := owner.Next()
		order = append(order, n.Child(ns.PubSubEvent, "event").Child(ns.PubSubEvent, "items").Child(ns.PubSubEvent, "item").Attr("id"))
	}
	last := map[string]int{}
	for _, id := range order {
		var p, i int
		if _, err := fmt.Sscanf(id, "%d-%d", &p, &i); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(p)
		if i != last[key] {
			t.Fatalf("of publisher %d item %d came where %d was expected", p, i, last[key])
		}
		last[key]++
	}
	res := ok(t, owner.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/></pubsub>"))
	i := len(order)
	kept := 0
	for it := range res.Child(ns.PubSub, "pubsub").Child(ns.PubSub, "items").Children(ns.PubSub, "item") {
		i--
		kept++
		if it.Attr("id") != order[i] {
			t.Fatalf("item %d from the end is %s, notified was %s", kept, it.Attr("id"), order[i])
		}
	}
	if kept != 150 {
		t.Errorf("%d items are kept", kept)
	}
}

// failing refuses to commit a unit that has an item's row.
type failing struct {
	storage.Store
	on *atomic.Bool
}

func (f failing) Commit(ctx context.Context, units []*journal.Unit) []error {
	var good []*journal.Unit
	at := map[int]int{}
	errs := make([]error, len(units))
	for i, u := range units {
		bad := false
		for _, op := range u.Ops() {
			p, isRow := op.(storage.PutRow)
			bad = bad || isRow && p.Table == "pubsub_item"
		}
		if bad && f.on.Load() {
			errs[i] = errors.New("the disk says no")
			continue
		}
		at[len(good)] = i
		good = append(good, u)
	}
	if len(good) > 0 {
		for i, err := range f.Store.Commit(ctx, good) {
			errs[at[i]] = err
		}
	}
	return errs
}

// TestNothingIsShownThatIsNotStored: durable before visible, and the node goes on after a failure.
func TestNothingIsShownThatIsNotStored(t *testing.T) {
	var on atomic.Bool
	s := xmpptest.Start(t, xmpptest.Options{Store: func(st storage.Store) storage.Store { return failing{st, &on} }})
	alice := s.Login(t, "alice@example.org/a")
	bob := s.Login(t, "bob@example.org/b")
	bob.Online()
	ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/></pubsub>"))
	ok(t, bob.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><subscribe node='n' jid='bob@example.org'/></pubsub>"))
	on.Store(true)
	if n := alice.Request("set", host, publishing("n", "1")); n.Attr("type") != stanza.TypeError {
		t.Fatalf("confirmed: %s", n)
	}
	on.Store(false)
	ok(t, alice.Request("set", host, publishing("n", "2")))
	if n := bob.Next(); !strings.Contains(n.String(), "id='2'") || strings.Contains(n.String(), "id='1'") {
		t.Errorf("the first that was shown is %s", n)
	}
	res := ok(t, bob.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/></pubsub>"))
	if s := res.String(); strings.Contains(s, "id='1'") {
		t.Errorf("what was not stored is there: %s", s)
	}
}

// TestDeletedAccount: nothing of an account is left, on its own service and on the hosts'.
func TestDeletedAccount(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	alice := s.Login(t, "alice@example.org/a")
	bob := s.Login(t, "bob@example.org/b")
	ok(t, alice.Request("set", "", publishing("u:n", "1")))
	ok(t, alice.Request("set", "", "<pubsub xmlns='"+ns.PubSub+"'><create node='u:expiring'/><configure><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='pubsub#item_expire'><value>60</value></field></x></configure></pubsub>"))
	ok(t, bob.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/></pubsub>"))
	ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><subscribe node='n' jid='alice@example.org'/></pubsub>"))
	alice.Close()
	ctx := t.Context()
	if err := s.Accounts().Delete(ctx, jid.MustParse("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	for {
		left := ""
		for _, table := range []string{"pubsub_node", "pubsub_item", "pubsub_order", "pubsub_sub", "pubsub_of", "pubsub_affil", "pubsub_trash", "pubsub_expire"} {
			owners, err := s.Data().Table(table).Owners(ctx, storage.Page{})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range owners {
				rows, err := s.Data().Table(table).Range(ctx, o, "", "", 0, false)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if strings.Contains(o+r.Key, "alice") || table == "pubsub_trash" || table == "pubsub_item" {
						left += fmt.Sprintf(" %s/%s/%q", table, o, r.Key)
					}
				}
			}
		}
		if left == "" {
			break
		}
		select {
		case <-deadline:
			t.Fatal("left:" + left)
		default:
			// The rest goes behind live units: a request that is answered gives it room.
			ok(t, bob.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/></pubsub>"))
		}
	}
	if n := bob.Request("get", "alice@example.org", "<pubsub xmlns='"+ns.PubSub+"'><items node='u:n'/></pubsub>"); n.Attr("type") != stanza.TypeError {
		t.Errorf("read: %s", n)
	}
}

// TestRow29Bounds: nodes, items and payloads, subscriptions, what is read and changed at once, and what waits are bounded.
func TestRow29Bounds(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{PubSub: pubsub.Config{Nodes: 5, Items: 10, PayloadBytes: 100, Subscriptions: 3}}})
	mallory := s.Login(t, "mallory@example.org/m")
	refused := func(what string, n *xmlstream.Node, want string) {
		t.Helper()
		if n.Attr("type") != stanza.TypeError || !strings.Contains(n.String(), want) {
			t.Errorf("%s: %s", what, n)
		}
	}
	create := func(to, name string) *xmlstream.Node {
		return mallory.Request("set", to, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+name+"'/></pubsub>")
	}
	for i := range 5 {
		ok(t, create(host, fmt.Sprint(i)))
		ok(t, create("", fmt.Sprint(i)))
	}
	refused("a node more", create(host, "more"), "max-nodes-exceeded")
	refused("a node more of the account", create("", "more"), "max-nodes-exceeded")
	refused("one by a publication", mallory.Request("set", "", publishing("more", "1")), "max-nodes-exceeded")
	refused("a long name", create(host, strings.Repeat("x", 1025)), "not-acceptable")
	refused("a long id", mallory.Request("set", host, publishing("0", strings.Repeat("x", 1025))), "not-acceptable")
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	refused("many items at once", mallory.Request("set", host, publishing("0", ids...)), "max-items-exceeded")
	refused("a large payload", mallory.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><publish node='0'><item><x xmlns='u:x'>"+
		strings.Repeat("x", 101)+"</x></item></publish></pubsub>"), "payload-too-big")
	refused("a larger bound", mallory.Request("set", host, "<pubsub xmlns='"+ns.PubSubOwner+"'><configure node='0'><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='pubsub#max_items'><value>11</value></field></x></configure></pubsub>"), "not-acceptable")
	refused("more items at once than the node keeps", mallory.Request("set", host, publishing("0", ids[:11]...)), "max-items-exceeded")
	for i := range 10 {
		ok(t, mallory.Request("set", host, publishing("0", ids[i*10:i*10+10]...)))
	}
	res := ok(t, mallory.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='0'/></pubsub>"))
	if n := strings.Count(res.String(), "<item "); n != 10 {
		t.Errorf("%d items are kept", n)
	}
	subscribe := func(i int) *xmlstream.Node {
		return mallory.Request("set", host, fmt.Sprintf("<pubsub xmlns='%s'><subscribe node='0' jid='mallory@example.org/%d'/></pubsub>", ns.PubSub, i))
	}
	for i := range 3 {
		ok(t, subscribe(i))
	}
	refused("a subscription more", subscribe(3), "too-many-subscriptions")
	var b strings.Builder
	for i := range 101 {
		fmt.Fprintf(&b, "<affiliation jid='p%d@example.org' affiliation='member'/>", i)
	}
	refused("many affiliations at once", mallory.Request("set", host, "<pubsub xmlns='"+ns.PubSubOwner+"'><affiliations node='0'>"+b.String()+
		"</affiliations></pubsub>"), "policy-violation")
}

// TestListedByOthers: being in the lists of many nodes hides neither whose nodes one has, nor what has to go with the account.
func TestListedByOthers(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{PubSub: pubsub.Config{Nodes: 5, Subscriptions: 3}}})
	create := func(c *xmpptest.Client, name string) *xmlstream.Node {
		return c.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+name+"'/></pubsub>")
	}
	for _, friend := range []string{"bob", "carol"} {
		c := s.Login(t, friend+"@example.org/x")
		for i := range 5 {
			name := fmt.Sprintf("a-%s-%d", friend, i)
			ok(t, create(c, name))
			ok(t, c.Request("set", host, "<pubsub xmlns='"+ns.PubSubOwner+"'><affiliations node='"+name+"'>"+
				"<affiliation jid='mallory@example.org' affiliation='member'/></affiliations></pubsub>"))
		}
	}
	mallory := s.Login(t, "mallory@example.org/m")
	for i := range 5 {
		ok(t, create(mallory, fmt.Sprintf("z-%d", i)))
	}
	if n := create(mallory, "z-more"); !strings.Contains(n.String(), "max-nodes-exceeded") {
		t.Errorf("a node more: %s", n)
	}
	mallory.Close()
	who := jid.MustParse("mallory@example.org")
	if err := s.Accounts().Delete(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Data().Table("pubsub_of").Range(t.Context(), host+"/"+who.String(), "", "", 0, false)
	if err != nil || len(rows) > 0 {
		t.Errorf("%d rows are left for who gets the address next: %v", len(rows), err)
	}
}
