package bookmarks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func parse(t *testing.T, xml string) *xmlstream.Node {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil || f.NumChildren() != 1 {
		t.Fatalf("%s: %v", xml, err)
	}
	return f.At(0).Node()
}

// items makes items of XEP-0402, newest first as they are read.
func items(t *testing.T, inner ...string) (out []*xmlstream.Node) {
	for _, s := range inner {
		out = append([]*xmlstream.Node{parse(t, "<item xmlns='http://jabber.org/protocol/pubsub' "+s+"</item>")}, out...)
	}
	return out
}

const conference = "<conference xmlns='urn:xmpp:bookmarks:1'"

// XEP-0402 §5.3.2: what differs is written, what is the same is not, and what an older client does not know stays.
func TestDiff(t *testing.T) {
	have := []string{
		"id='a@c.x'>" + conference + " name='A' autojoin='1'><nick>me</nick><extensions><x xmlns='u:x' y='1'/></extensions></conference>",
		"id='b@c.x'>" + conference + "/>",
		"id='not a room'>" + conference + "/>",
	}
	for _, c := range []struct{ name, list, publish, retract string }{
		{"nothing new", "<conference jid='a@c.x' name='A' autojoin='true'><nick>me</nick></conference><conference jid='b@c.x'/>", "", ""},
		{"spelt differently", "<conference jid='A@C.x/me' autojoin=' true ' name='A'><nick>me</nick></conference><conference jid='b@c.x' autojoin='0'/>", "", ""},
		{"autojoin goes", "<conference jid='a@c.x' name='A'><nick>me</nick></conference><conference jid='b@c.x'/>",
			"<item xmlns='http://jabber.org/protocol/pubsub' id='a@c.x'>" + conference + " name='A'><nick>me</nick><extensions><x xmlns='u:x' y='1'/></extensions></conference></item>", ""},
		{"extensions of the client", "<conference jid='a@c.x' name='A' autojoin='true'><nick>me</nick><extensions><z xmlns='u:z'/></extensions></conference><conference jid='b@c.x'/>",
			"<item xmlns='http://jabber.org/protocol/pubsub' id='a@c.x'>" + conference + " name='A' autojoin='true'><nick>me</nick><extensions><z xmlns='u:z'/></extensions></conference></item>", ""},
		{"one goes, one comes", "<conference jid='a@c.x' name='A' autojoin='true'><nick>me</nick></conference><conference jid='n@c.x' name='N'><password>p</password></conference>",
			"<item xmlns='http://jabber.org/protocol/pubsub' id='n@c.x'>" + conference + " name='N'><password>p</password></conference></item>", "b@c.x"},
		{"twice the same room", "<conference jid='a@c.x' name='old'/><conference jid='b@c.x'/><conference jid='a@c.x' name='A' autojoin='1'><nick>me</nick></conference>", "", ""},
		{"empty", "", "", "a@c.x b@c.x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, rest := readStorage(parse(t, "<storage xmlns='storage:bookmarks'>"+c.list+"</storage>"))
			if len(rest) != 0 {
				t.Errorf("rest: %v", rest)
			}
			d := diff(readItems(items(t, have...)), want)
			published := xmlstream.NewFragment(d.publish...).String()
			if c.publish != "" {
				c.publish = canonical(parse(t, c.publish))
			}
			if published != c.publish {
				t.Errorf("publishes %s\nwant      %s", published, c.publish)
			}
			if r := strings.Join(d.retract, " "); r != c.retract {
				t.Errorf("retracts %q, want %q", r, c.retract)
			}
		})
	}
}

// Twice as many bookmarks are twice the work: all accounts share a queue.
func TestDiffIsLinear(t *testing.T) {
	work := func(n int) float64 {
		var have, want []*bookmark
		for i := range n {
			have = append(have, &bookmark{room: fmt.Sprintf("Room%d@c.x", i)})
			want = append(want, &bookmark{room: fmt.Sprintf("room%d@c.x", n-1-i)})
		}
		return testing.AllocsPerRun(3, func() {
			if d := diff(have, want); len(d.publish)+len(d.retract) != 0 {
				t.Fatal("there is a difference")
			}
		})
	}
	if once, twice := work(200), work(400); twice > 2.5*once {
		t.Errorf("%v allocations for 200 bookmarks, %v for 400", once, twice)
	}
}

// What is no room is kept as it is, and a list made of items reads back as those.
func TestStorageRoundTrip(t *testing.T) {
	s := parse(t, "<storage xmlns='storage:bookmarks'><url name='W' url='https://w.example/'/><conference jid='a@c.x' name='A'/><conference jid='@' name='broken'/><q xmlns='u:q'/></storage>")
	list, rest := readStorage(s)
	if len(list) != 1 || len(rest) != 3 {
		t.Fatalf("%d rooms, %d others", len(list), len(rest))
	}
	again, others := readStorage(writeStorage(list, rest))
	if len(again) != 1 || !again[0].same(list[0]) || xmlstream.NewFragment(others...).String() != xmlstream.NewFragment(rest...).String() {
		t.Errorf("%v and %v", again, others)
	}
}

// Its own list is known once; another's never.
func TestOwnListIsKnownOnce(t *testing.T) {
	m := New()
	m.own[jid.MustParse("a@x")] = []string{"one", "two"}
	for i, c := range []struct {
		text string
		want bool
	}{{"two", true}, {"two", false}, {"three", false}, {"one", true}, {"one", false}} {
		if got := m.isOwn(jid.MustParse("a@x"), c.text); got != c.want {
			t.Errorf("%d: %q: %v", i, c.text, got)
		}
	}
	if len(m.own) != 0 {
		t.Error("an account is kept for nothing")
	}
}
