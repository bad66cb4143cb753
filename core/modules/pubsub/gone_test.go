package pubsub_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func affiliating(node, who, what string) string {
	return "<pubsub xmlns='" + ns.PubSubOwner + "'><affiliations node='" + node + "'><affiliation jid='" + who + "' affiliation='" + what + "'/></affiliations></pubsub>"
}

// until asks again and again until an answer is as it should be; each question gives what goes behind live requests room.
func until(t *testing.T, what string, ask func() string, good func(string) bool) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for {
		s := ask()
		if good(s) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: %s", what, s)
		}
	}
}

// TestNodesOfDeletedAccount: a node on a host goes with its only owner, and its subscribers are told; one with another owner stays; and nothing of the
// account is left on the services of others.
func TestNodesOfDeletedAccount(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	const gone = "alice@example.org"
	alice, bob := s.Login(t, gone+"/a"), s.Login(t, "bob@example.org/b")
	bob.Online()
	for _, n := range []string{"hers", "ours"} {
		ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+n+"'/></pubsub>"))
		ok(t, bob.Request("set", host, subscribing(n, "bob@example.org", "")))
		ok(t, alice.Request("set", host, subscribing(n, gone, option("expire", "presence"))))
	}
	ok(t, alice.Request("set", host, affiliating("ours", "bob@example.org", "owner")))
	if n := bob.Next().String(); !strings.Contains(n, "affiliation='owner'") {
		t.Fatalf("told: %s", n)
	}
	ok(t, bob.Request("set", "", "<pubsub xmlns='"+ns.PubSub+"'><create node='u:bobs'/></pubsub>"))
	ok(t, bob.Request("set", "", affiliating("u:bobs", gone, "member")))
	ok(t, alice.Request("set", "bob@example.org", subscribing("u:bobs", gone, "")))
	for at, n := range map[string]string{host: "moved", gone: "u:moved"} {
		ok(t, alice.Request("set", at, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+n+"'/></pubsub>"))
		ok(t, alice.Request("set", at, "<pubsub xmlns='"+ns.PubSubOwner+"'><delete node='"+n+"'><redirect uri='xmpp:alice@example.net?;node=n'/></delete></pubsub>"))
	}
	alice.Close()
	if err := s.Accounts().Delete(t.Context(), jid.MustParse(gone)); err != nil {
		t.Fatal(err)
	}
	if n := bob.Next().String(); !strings.Contains(n, "<delete node='hers'/>") {
		t.Errorf("told of the end: %s", n)
	}
	disco := func(node string) string {
		return bob.Request("get", host, "<query xmlns='"+ns.DiscoInfo+"' node='"+node+"'/>").String()
	}
	until(t, "the node that was hers", func() string { return disco("hers") }, func(s string) bool { return strings.Contains(s, "item-not-found") })
	until(t, "the node with another owner", func() string { return disco("ours") }, func(s string) bool {
		return !strings.Contains(s, "<value>"+gone+"</value></field><field var='pubsub#owner'") && strings.Contains(s, "num_subscribers' type='text-single'><value>1</value>")
	})
	until(t, "what is left", func() string { return leftOf(t, s, gone) }, func(s string) bool { disco("ours"); return s == "" })
	ok(t, bob.Request("set", "", publishing("u:bobs", "1")))
}

// leftOf lists the rows that an account is in, without the word of who has made a node.
func leftOf(t *testing.T, s *xmpptest.Server, account string) string {
	t.Helper()
	left := ""
	for _, table := range []string{"pubsub_node", "pubsub_sub", "pubsub_of", "pubsub_affil", "pubsub_trash", "pubsub_lease", "pubsub_gone", "pubsub_moved"} {
		owners, err := s.Data().Table(table).Owners(t.Context(), storage.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range owners {
			rows, err := s.Data().Table(table).Range(t.Context(), o, "", "", 0, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if strings.Contains(o+r.Key, account) || table == "pubsub_moved" || table == "pubsub_trash" {
					left += " " + table + "/" + o + "/" + r.Key
				}
			}
		}
	}
	return left
}

// TestGoneOverRestart: what was left to do when the server was killed is done at the next start.
func TestGoneOverRestart(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	bob := s.Login(t, "bob@example.org/b")
	for _, n := range []string{"owned", "orphan"} {
		ok(t, bob.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+n+"'/></pubsub>"))
	}
	ids := map[string]string{}
	rows, err := s.Data().Table("pubsub_of").Range(t.Context(), host+"/bob@example.org", "", "", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		ids[strings.TrimPrefix(r.Key, "a\n")], _, _ = strings.Cut(string(r.Value), "\n")
	}
	lost := func(node, id string) storage.PutRow {
		return storage.PutRow{Table: "pubsub_gone", Owner: "gone", Key: host + "\n" + node + "\nalice@example.org", Value: []byte(id + "\n0\ntrue")}
	}
	commit(t, s, lost("owned", ids["owned"]), lost("orphan", ids["orphan"]), lost("another", "1"),
		storage.DeleteRow{Table: "pubsub_affil", Owner: host + "/" + ids["orphan"], Key: "bob@example.org"})
	s.Restart(t)
	bob = s.Login(t, "bob@example.org/b")
	items := func() string { return bob.Request("get", host, "<query xmlns='"+ns.DiscoItems+"'/>").String() }
	until(t, "nodes", items, func(s string) bool { return strings.Contains(s, "'owned'") && !strings.Contains(s, "'orphan'") })
	until(t, "what is left", func() string { return leftOf(t, s, "alice@example.org") }, func(s string) bool { items(); return s == "" })
}

// TestBounces: XEP-0060 §12.4: who is not there any more is subscribed to nothing; who cannot be reached at the moment is.
func TestBounces(t *testing.T) {
	far := &elsewhere{got: make(chan *stanza.Stanza, 100)}
	s := xmpptest.Start(t, xmpptest.Options{Remote: far})
	far.mu.Lock()
	far.submit = s.Journal().Submit
	far.mu.Unlock()
	send := func(st *stanza.Stanza, from string) {
		s.Router().Send(context.Background(), st.With(jid.MustParse(from), jid.MustParse(host)))
	}
	alice := s.Login(t, "alice@example.org/a")
	for _, n := range []string{"1", "2"} {
		ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+n+"'/></pubsub>"))
		for _, who := range []string{"gone@far.example", "away@far.example"} {
			f, err := xmlstream.ParseFragment([]byte(subscribing(n, who, "")))
			if err != nil {
				t.Fatal(err)
			}
			iq := stanza.NewIQ(stanza.TypeSet, "", f.Nodes()...)
			iq.ID = "s"
			send(iq, who)
			if st := far.next(t, stanza.IQ); st.Type != stanza.TypeResult {
				t.Fatalf("refused: %s", st)
			}
		}
	}
	bounce := func(who string, c stanza.Condition) {
		st := stanza.NewMessage(stanza.TypeError, stanza.NewError(c, "").Node())
		send(st, who)
	}
	bounce("away@far.example", stanza.ServiceUnavailable)
	bounce("away@far.example", stanza.RemoteServerTimeout)
	bounce("gone@far.example", stanza.ItemNotFound)
	for _, n := range []string{"1", "2"} {
		until(t, "subscriptions", func() string {
			return ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSubOwner+"'><subscriptions node='"+n+"'/></pubsub>")).String()
		}, func(s string) bool {
			return strings.Contains(s, "away@far.example") && !strings.Contains(s, "gone@far.example")
		})
	}
}
