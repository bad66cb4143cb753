package pubsub_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// handClock is a time that stands still until the test moves it, with its timers.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*handTimer
}

type handTimer struct {
	c  *handClock
	at time.Time
	f  func()
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) AfterFunc(d time.Duration, f func()) module.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &handTimer{c, c.now.Add(d), f}
	c.timers = append(c.timers, t)
	return t
}

func (t *handTimer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	n := len(t.c.timers)
	t.c.timers = slices.DeleteFunc(t.c.timers, func(o *handTimer) bool { return o == t })
	return len(t.c.timers) < n
}

func (t *handTimer) Reset(d time.Duration) bool {
	active := t.Stop()
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.at = t.c.now.Add(d)
	t.c.timers = append(t.c.timers, t)
	return active
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*handTimer
	c.timers = slices.DeleteFunc(c.timers, func(t *handTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		due = append(due, t)
		return true
	})
	c.mu.Unlock()
	for _, t := range due {
		go t.f()
	}
}

func subscribing(node, who, options string) string {
	s := "<pubsub xmlns='" + ns.PubSub + "'><subscribe node='" + node + "' jid='" + who + "'/>"
	if options != "" {
		s += "<options><x xmlns='jabber:x:data' type='submit'>" + options + "</x></options>"
	}
	return s + "</pubsub>"
}

func option(name, value string) string {
	return "<field var='pubsub#" + name + "'><value>" + value + "</value></field>"
}

// TestLease: XEP-0060 §12.19: a subscription ends at the time that its subscriber has said, and she is told; one whose end was put off goes on.
func TestLease(t *testing.T) {
	c := &handClock{now: time.Now()}
	s := xmpptest.Start(t, xmpptest.Options{Clock: c})
	alice, bob := s.Login(t, "alice@example.org/a"), s.Login(t, "bob@example.org/b")
	bob.Online()
	ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/></pubsub>"))
	until := func(d time.Duration) string { return option("expire", c.Now().Add(d).UTC().Format(time.RFC3339)) }
	ok(t, bob.Request("set", host, subscribing("n", "bob@example.org", until(20*time.Second))))
	ok(t, bob.Request("set", host, subscribing("n", "bob@example.org/b", until(20*time.Second))))
	ok(t, bob.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><options node='n' jid='bob@example.org/b'><x xmlns='jabber:x:data' type='submit'>"+
		until(time.Hour)+"</x></options></pubsub>"))
	ok(t, alice.Request("set", host, publishing("n", "1")))
	for range 2 {
		if n := bob.Next(); !strings.Contains(n.String(), "id='1'") {
			t.Fatalf("while they last: %s", n)
		}
	}
	c.advance(30 * time.Second)
	if n := bob.Next().String(); !strings.Contains(n, "subscription='none'") || !strings.Contains(n, "jid='bob@example.org'") {
		t.Errorf("told of the end: %s", n)
	}
	ok(t, alice.Request("set", host, publishing("n", "2")))
	if n := bob.Next(); n.Attr("to") != "bob@example.org/b" || !strings.Contains(n.String(), "id='2'") {
		t.Errorf("what goes on: %s", n)
	}
	list := ok(t, bob.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><subscriptions/></pubsub>")).String()
	if strings.Count(list, "<subscription ") != 1 || !strings.Contains(list, "jid='bob@example.org/b'") {
		t.Errorf("subscriptions: %s", list)
	}
}

// TestLeaseOverRestart: one that has ended while the server was stopped ends at its start.
func TestLeaseOverRestart(t *testing.T) {
	c := &handClock{now: time.Now()}
	s := xmpptest.Start(t, xmpptest.Options{Clock: c})
	bob := s.Login(t, "bob@example.org/b")
	ok(t, bob.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/></pubsub>"))
	ok(t, bob.Request("set", host, subscribing("n", "bob@example.org", option("expire", c.Now().Add(time.Hour).UTC().Format(time.RFC3339)))))
	bob.Close()
	s.Shutdown(t)
	c.advance(2 * time.Hour)
	s.Restart(t)
	bob = s.Login(t, "bob@example.org/b")
	limit := time.Now().Add(20 * time.Second)
	for {
		res := ok(t, bob.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><subscriptions/></pubsub>")).String()
		if !strings.Contains(res, "subid") {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("left: %s", res)
		}
	}
}

// TestPresenceElsewhere: XEP-0060 §12.5, §12.6 with another server: the host asks for a subscriber's presence, notifies her while she is there as
// she wants it, and ends what was temporary when she goes.
func TestPresenceElsewhere(t *testing.T) {
	far := &elsewhere{got: make(chan *stanza.Stanza, 100)}
	s := xmpptest.Start(t, xmpptest.Options{Remote: far})
	far.mu.Lock()
	far.submit = s.Journal().Submit
	far.mu.Unlock()
	const romeo, full = "romeo@far.example", "romeo@far.example/orchard"
	send := func(st *stanza.Stanza) {
		s.Router().Send(context.Background(), st.With(jid.MustParse(full), jid.MustParse(host)))
	}
	request := func(payload string) *stanza.Stanza {
		f, err := xmlstream.ParseFragment([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		iq := stanza.NewIQ(stanza.TypeSet, "", f.Nodes()...)
		iq.ID = "r"
		send(iq)
		return far.next(t, stanza.IQ)
	}
	alice := s.Login(t, "alice@example.org/a")
	ok(t, alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/></pubsub>"))
	if st := request(subscribing("n", romeo, option("expire", "presence")+option("show-values", "online"))); st.Type != stanza.TypeResult {
		t.Fatalf("refused: %s", st)
	}
	if st := far.next(t, stanza.Presence); st.Type != stanza.TypeSubscribe || st.To.String() != romeo || st.From.String() != host {
		t.Errorf("asked: %s", st)
	}
	publish := func(id string) {
		ok(t, alice.Request("set", host, publishing("n", id)))
		// A request has to wait until the one before has told its subscribers.
		ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/></pubsub>"))
	}
	publish("nobody knows where she is")
	away := stanza.NewPresence("", xmlstream.NewNode(ns.Client, "show").SetText("away"))
	send(away)
	publish("away")
	send(stanza.NewPresence(""))
	publish("there")
	if st := far.next(t, stanza.Message); !strings.Contains(st.String(), "id='there'") {
		t.Errorf("the first that comes is %s", st)
	}
	send(stanza.NewPresence(stanza.TypeUnavailable))
	if st := far.next(t, stanza.Message); !strings.Contains(st.String(), "subscription='none'") {
		t.Errorf("when she has gone: %s", st)
	}
	publish("gone")
	send(stanza.NewPresence(""))
	list := ok(t, alice.Request("get", host, "<pubsub xmlns='"+ns.PubSubOwner+"'><subscriptions node='n'/></pubsub>")).String()
	if strings.Contains(list, romeo) {
		t.Errorf("left: %s", list)
	}
}
