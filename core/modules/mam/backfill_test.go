package mam_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// bridge is a module that brings messages of the past into rooms, as a gateway does.
type bridge struct {
	rooms interface {
		EnsureRoom(ctx context.Context, spec event.RoomSpec) error
		Inject(ctx context.Context, msg event.InjectedMessage) (storage.MessageID, error)
	}
}

func (*bridge) Info() module.Info { return module.Info{Name: "bridge-of-test"} }

func (b *bridge) Register(r *module.Registrar) error {
	r.Need(&b.rooms)
	return nil
}

// say brings one message into the room and waits until it is there.
func (b *bridge) say(t *testing.T, room jid.JID, text string, at time.Time) {
	t.Helper()
	done := make(chan error, 1)
	_, err := b.rooms.Inject(t.Context(), event.InjectedMessage{Room: room, At: at, Live: at.IsZero(),
		Payload: []*xmlstream.Node{xmlstream.NewNode(ns.Client, "body").SetText(text)},
		Done:    func(_ storage.MessageID, err error) { done <- err }})
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reader is a client that reads archives.
type reader struct {
	*xmpptest.Client
	n int
}

// page asks for a page and returns its texts, the id of its last message, and whether there is more.
func (r *reader) page(t *testing.T, archive jid.JID, set string) (texts []string, last string, more bool) {
	t.Helper()
	r.n++
	id := fmt.Sprintf("page%d", r.n)
	r.Write(fmt.Sprintf("<iq type='set' id='%s' to='%s'><query xmlns='%s'><set xmlns='%s'>%s</set></query></iq>", id, archive, ns.MAM, ns.RSM, set))
	for {
		n := r.Next()
		if res := n.Child(ns.MAM, "result"); res != nil {
			body := res.Child(ns.Forward, "forwarded").Child(ns.Client, "message").Child(ns.Client, "body")
			texts = append(texts, body.TextContent())
			continue
		}
		if n.Attr("id") != id {
			continue // what is said meanwhile
		}
		fin := n.Child(ns.MAM, "fin")
		if fin == nil {
			t.Fatalf("the answer is %s", n)
		}
		if l := fin.Child(ns.RSM, "set").Child(ns.RSM, "last"); l != nil {
			last = l.TextContent()
		}
		return texts, last, fin.Attr("complete") != "true"
	}
}

// all reads from an id on to the end, by pages.
func (r *reader) all(t *testing.T, archive jid.JID, after string, size int) (texts []string, last string) {
	t.Helper()
	for {
		set := fmt.Sprintf("<max>%d</max>", size)
		if after != "" {
			set += "<after>" + after + "</after>"
		}
		page, end, more := r.page(t, archive, set)
		texts = append(texts, page...)
		if end != "" {
			after = end
		}
		if !more {
			return texts, after
		}
	}
}

// Backfilled messages sort into their own time: who catches up with after= the newest that she knows gets none of them, and nobody gets one
// twice; who reads all gets all in the order of their times.
func TestBackfill(t *testing.T) {
	b := &bridge{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{b} }})
	room := jid.MustParse("hall@rooms.example.org")
	if err := b.rooms.EnsureRoom(t.Context(), event.RoomSpec{Room: room, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	r := &reader{Client: s.Login(t, "alice@example.org/x")}
	for i := range 5 {
		b.say(t, room, fmt.Sprintf("now%d", i), time.Time{})
	}
	texts, newest := r.all(t, room, "", 2)
	if got, want := strings.Join(texts, " "), "now0 now1 now2 now3 now4"; got != want {
		t.Fatalf("read %q, want %q", got, want)
	}
	past := time.Now().Add(-time.Hour)
	for i := 9; i >= 0; i-- { // the newest of the past first, as bridges read
		b.say(t, room, fmt.Sprintf("past%d", i), past.Add(time.Duration(i)*time.Second))
	}
	b.say(t, room, "now5", time.Time{})
	if texts, _ = r.all(t, room, newest, 2); strings.Join(texts, " ") != "now5" {
		t.Errorf("who catches up gets %q", texts)
	}
	texts, _ = r.all(t, room, "", 4)
	want := "past0 past1 past2 past3 past4 past5 past6 past7 past8 past9 now0 now1 now2 now3 now4 now5"
	if got := strings.Join(texts, " "); got != want {
		t.Errorf("who reads all gets %q, want %q", got, want)
	}
}

// Messages that come in while somebody pages are at the end, once.
func TestPagingWhileMessagesCome(t *testing.T) {
	b := &bridge{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{b} }})
	room := jid.MustParse("hall@rooms.example.org")
	if err := b.rooms.EnsureRoom(t.Context(), event.RoomSpec{Room: room, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	r := &reader{Client: s.Login(t, "alice@example.org/x")}
	said := 0
	say := func(n int) {
		for range n {
			b.say(t, room, fmt.Sprint(said), time.Time{})
			said++
		}
	}
	say(7)
	var texts []string
	after, more := "", true
	for more {
		set := "<max>3</max>"
		if after != "" {
			set += "<after>" + after + "</after>"
		}
		var page []string
		page, after, more = r.page(t, room, set)
		texts = append(texts, page...)
		if said < 20 {
			say(2)
		}
	}
	for i, text := range texts {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %q: %q", i, text, texts)
		}
	}
	if len(texts) < said-2 { // those that came behind the last page
		t.Errorf("%d messages of %d", len(texts), said)
	}
}

// A page is bounded in bytes, from the end at which it begins; paging goes on where it was cut.
func TestPageBytes(t *testing.T) {
	b := &bridge{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{b} }})
	room := jid.MustParse("hall@rooms.example.org")
	if err := b.rooms.EnsureRoom(t.Context(), event.RoomSpec{Room: room, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		b.say(t, room, fmt.Sprintf("%d%s", i, strings.Repeat("x", 100<<10)), time.Time{})
	}
	r := &reader{Client: s.Login(t, "alice@example.org/x")}
	texts, _ := r.all(t, room, "", 100)
	if len(texts) != 9 {
		t.Fatalf("%d messages", len(texts))
	}
	for i, text := range texts {
		if text[0] != byte('0'+i) {
			t.Errorf("message %d is %c", i, text[0])
		}
	}
	page, _, more := r.page(t, room, "<before/>")
	if len(page) != 2 || page[0][0] != '7' || page[1][0] != '8' || !more {
		t.Errorf("the last page has %d messages from %c on, more %v", len(page), page[0][0], more)
	}
}
