package pubsub_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
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

// elsewhere is another server: it keeps what it gets.
type elsewhere struct {
	mu     sync.Mutex
	submit func(*journal.Unit)
	got    chan *stanza.Stanza
}

func (e *elsewhere) Deliver(_ context.Context, u *journal.Unit, st *stanza.Stanza) bool {
	e.mu.Lock()
	submit := e.submit
	e.mu.Unlock()
	e.got <- st
	submit(u)
	return true
}

// next waits for a stanza of a kind and passes over others.
func (e *elsewhere) next(t *testing.T, k stanza.Kind) *stanza.Stanza {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case st := <-e.got:
			if st.Kind == k {
				return st
			}
		case <-limit:
			t.Fatalf("no %s came", k)
		}
	}
}

func commit(t *testing.T, s *xmpptest.Server, ops ...journal.Op) {
	t.Helper()
	u := journal.NewUnit(journal.Lane{})
	u.Add(ops...)
	done := make(chan error, 1)
	u.After(journal.NewQueue(nil), func(err error) { done <- err })
	s.Journal().Submit(u)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestContactElsewhere: XEP-0163 §4.3 with another server: its person is asked what her client can do, is shown the last item and what is
// published, as long as she is there and a contact.
func TestContactElsewhere(t *testing.T) {
	far := &elsewhere{got: make(chan *stanza.Stanza, 100)}
	s := xmpptest.Start(t, xmpptest.Options{Remote: far})
	far.mu.Lock()
	far.submit = s.Journal().Submit
	far.mu.Unlock()
	send := func(st *stanza.Stanza, from, to string) {
		s.Router().Send(context.Background(), st.With(jid.MustParse(from), jid.MustParse(to)))
	}
	const account, romeo = "alice@example.org", "romeo@far.example/orchard"
	s.AddUser(t, jid.MustParse(account))
	commit(t, s, storage.PutRosterItem{Owner: account, Item: storage.RosterItem{Contact: "romeo@far.example", Subscription: "from", Listed: true, Version: 1}})
	alice := s.Login(t, account+"/a")
	publish := func(id string) {
		ok(t, alice.Request("set", "", publishing("http://jabber.org/protocol/tune", id)))
		// A request has to wait until the one before has told its subscribers.
		ok(t, alice.Request("get", "", "<pubsub xmlns='"+ns.PubSub+"'><items node='http://jabber.org/protocol/tune'/></pubsub>"))
	}
	publish("t1")

	// the hash of a client that wants tunes; see the scenarios
	const ver = "veM1l2a/eCqo95jvomst+1rXZlc="
	caps := xmlstream.NewNode(ns.Caps, "c", "hash", "sha-1", "node", "http://client.example", "ver", ver)
	presence := stanza.NewPresence("", caps)
	send(presence, romeo, account)
	q := far.next(t, stanza.IQ)
	if query, _ := q.Query(); q.To.String() != romeo || q.From.String() != "example.org" || query.Attr("node") != "http://client.example#"+ver {
		t.Fatalf("asked: %s", q)
	}
	answer := xmlstream.NewNode(ns.DiscoInfo, "query").Add(xmlstream.NewNode(ns.DiscoInfo, "identity", "category", "client", "type", "pc", "name", "Test"),
		xmlstream.NewNode(ns.DiscoInfo, "feature", "var", ns.DiscoInfo), xmlstream.NewNode(ns.DiscoInfo, "feature", "var", "http://jabber.org/protocol/tune+notify"))
	s.Router().Send(context.Background(), q.Result(answer))
	if m := far.next(t, stanza.Message); m.To.String() != romeo || m.From.String() != account || !strings.Contains(m.String(), "id='t1'") {
		t.Errorf("the last item: %s", m)
	}
	publish("t2")
	if m := far.next(t, stanza.Message); !strings.Contains(m.String(), "id='t2'") {
		t.Errorf("notification: %s", m)
	}
	// a stranger of the same server, with the same client: nothing
	send(presence, "tybalt@far.example/x", account)
	// she is gone, and back: the last item once more, and nothing in between
	send(stanza.NewPresence(stanza.TypeUnavailable), romeo, account)
	publish("t3")
	send(presence, romeo, account)
	if m := far.next(t, stanza.Message); m.To.String() != romeo || !strings.Contains(m.String(), "id='t3'") || !strings.Contains(m.String(), ns.Delay) {
		t.Errorf("the last item once more: %s", m)
	}
}

// clock is a time that moves when the test says so.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) AfterFunc(d time.Duration, f func()) module.Timer { return time.AfterFunc(d, f) }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// TestExpiry: XEP-0060 §16.4.4, item_expire: an item that has expired is not shown, and goes with the next sweep.
func TestExpiry(t *testing.T) {
	c := &clock{}
	s := xmpptest.Start(t, xmpptest.Options{Clock: c})
	alice := s.Login(t, "alice@example.org/a")
	ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='pubsub#item_expire'><value>60</value></field></x></configure></pubsub>"))
	ok(t, alice.Request("set", host, publishing("n", "1", "2")))
	items := func() string {
		return ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/></pubsub>")).String()
	}
	if got := items(); !strings.Contains(got, "id='1'") || !strings.Contains(got, "id='2'") {
		t.Fatalf("items: %s", got)
	}
	c.advance(61 * time.Second)
	if got := items(); strings.Contains(got, "<item ") {
		t.Errorf("expired items are shown: %s", got)
	}
	n := alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'><item id='1'/></items></pubsub>")
	if n.Attr("type") != stanza.TypeError {
		t.Errorf("an expired item is given: %s", n)
	}
	ok(t, alice.Request("set", host, publishing("n", "3")))
	if got := items(); !strings.Contains(got, "id='3'") || strings.Contains(got, "id='1'") {
		t.Errorf("items: %s", got)
	}
	rows := func() int {
		owners, err := s.Data().Table("pubsub_item").Owners(t.Context(), storage.Page{})
		if err != nil {
			t.Fatal(err)
		}
		all := 0
		for _, o := range owners {
			r, err := s.Data().Table("pubsub_item").Range(t.Context(), o, "", "", 0, false)
			if err != nil {
				t.Fatal(err)
			}
			all += len(r)
		}
		return all
	}
	if n := rows(); n != 1 {
		t.Errorf("%d rows are left after the publication", n)
	}
	c.advance(61 * time.Second)
	s.Restart(t) // the sweep runs at the start
	alice = s.Login(t, "alice@example.org/a")
	limit := time.Now().Add(20 * time.Second)
	for rows() > 0 && time.Now().Before(limit) {
		alice.Request("get", "", "<ping xmlns='"+ns.Ping+"'/>")
	}
	if n := rows(); n != 0 {
		t.Errorf("%d rows are left after the sweep", n)
	}
}

// counting counts what is read of the store.
type counting struct {
	storage.Store
	mu   sync.Mutex
	rows int
}

type countingTable struct {
	storage.Table
	s *counting
}

func (s *counting) Table(name string) storage.Table { return countingTable{s.Store.Table(name), s} }

func (s *counting) count(n int) {
	s.mu.Lock()
	s.rows += n
	s.mu.Unlock()
}

func (s *counting) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.rows
	s.rows = 0
	return n
}

func (t countingTable) Get(ctx context.Context, owner, key string) ([]byte, error) {
	t.s.count(1)
	return t.Table.Get(ctx, owner, key)
}

func (t countingTable) Range(ctx context.Context, owner, from, to string, limit int, reverse bool) ([]storage.Row, error) {
	rows, err := t.Table.Range(ctx, owner, from, to, limit, reverse)
	t.s.count(len(rows) + 1)
	return rows, err
}

// TestPageCost: what a request reads does not grow with the node: a node of 20,000 items costs what one of 20 does, at its end as at its beginning.
func TestPageCost(t *testing.T) {
	var store *counting
	s := xmpptest.Start(t, xmpptest.Options{Store: func(st storage.Store) storage.Store { store = &counting{Store: st}; return store },
		Modules: modules.Options{PubSub: pubsub.Config{Items: 100000}}})
	alice := s.Login(t, "alice@example.org/a")
	cost := map[string]map[string]int{}
	for _, node := range []struct {
		name string
		size int
	}{{"small", 20}, {"large", 20000}} {
		name, size := node.name, node.size
		ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='"+name+"'/><configure><x xmlns='jabber:x:data' type='submit'>"+
			"<field var='pubsub#max_items'><value>max</value></field></x></configure></pubsub>"))
		for from := 0; from < size; from += 100 {
			ids := make([]string, 0, 100)
			for i := from; i < min(from+100, size); i++ {
				ids = append(ids, "i"+strconv.Itoa(i))
			}
			ok(t, alice.Request("set", host, publishing(name, ids...)))
		}
		settle := func() { // a request has to wait until the one before has told its subscribers
			ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='"+name+"' max_items='1'/></pubsub>"))
		}
		ask := func(what, payload string) {
			settle()
			store.take()
			ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='"+name+"'/>"+payload+"</pubsub>"))
			if cost[what] == nil {
				cost[what] = map[string]int{}
			}
			cost[what][name] = store.take()
		}
		rsm := func(s string) string { return "<set xmlns='" + ns.RSM + "'><max>10</max>" + s + "</set>" }
		ask("first page", rsm(""))
		ask("last page", rsm("<before/>"))
		ask("behind an old item", rsm("<after>i15</after>"))
		store.take()
		ok(t, alice.Request("set", host, publishing(name, "new")))
		settle()
		cost["publish"] = merge(cost["publish"], name, store.take())
		ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><retract node='"+name+"'><item id='new'/></retract></pubsub>"))
		settle()
		cost["retract"] = merge(cost["retract"], name, store.take())
	}
	for what, c := range cost {
		if c["small"] == 0 || c["large"] != c["small"] {
			t.Errorf("%s: %d rows of a small node, %d of a large one", what, c["small"], c["large"])
		}
	}
}

func merge(m map[string]int, k string, v int) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	m[k] = v
	return m
}
