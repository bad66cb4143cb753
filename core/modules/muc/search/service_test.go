package search

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const host = "rooms.example.org"

// catalogue is many rooms in order; it counts how many rows were read.
type catalogue struct {
	storage.Rooms
	names []string
	read  int
	enter func() // called by each read
}

func newCatalogue(n int) *catalogue {
	c := &catalogue{}
	for i := range n {
		c.names = append(c.names, fmt.Sprintf("r%06d@%s", i, host))
	}
	return c
}

func (c *catalogue) row(i int) storage.RoomRow {
	c.read++
	cfg := room.DefaultConfig()
	cfg.Public, cfg.Persistent, cfg.Name = true, true, fmt.Sprint("Room ", i)
	if i%1000 == 999 {
		cfg.Description = "a needle"
	}
	return storage.RoomRow{JID: c.names[i], Service: host, Public: true, Name: cfg.Name, Config: cfg.Encode()}
}

func (c *catalogue) Get(_ context.Context, at string) (storage.RoomRow, error) {
	i := sort.SearchStrings(c.names, at)
	if i == len(c.names) || c.names[i] != at {
		return storage.RoomRow{}, storage.ErrNotFound
	}
	return c.row(i), nil
}

func (c *catalogue) List(_ context.Context, _ string, _ bool, p storage.Page) (out []storage.RoomRow, err error) {
	if c.enter != nil {
		c.enter()
	}
	for i := sort.SearchStrings(c.names, p.After+"\x00"); i < len(c.names) && len(out) < p.Limit; i++ {
		out = append(out, c.row(i))
	}
	return out, nil
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func request(t *testing.T, key, after, words string) *xmlstream.Node {
	t.Helper()
	set, q := "", "<field var='all'><value>1</value></field>"
	if after != "" {
		set = "<after>" + after + "</after>"
	}
	if words != "" {
		q = "<field var='q'><value>" + words + "</value></field>"
	}
	f, err := xmlstream.ParseFragment([]byte("<search xmlns='" + ns.ChannelSearch + "'><set xmlns='" + ns.RSM + "'><max>100</max>" + set + "</set><x xmlns='jabber:x:data' type='submit'>" +
		q + "<field var='key'><value>" + key + "</value></field></x></search>"))
	if err != nil {
		t.Fatal(err)
	}
	return f.At(0).Node()
}

// page returns the addresses of a page and its last cursor.
func page(n *xmlstream.Node) (found []string, last string) {
	for c := range n.Elements() {
		switch c.Name.Local {
		case "item":
			found = append(found, c.Attr("address"))
		case "set":
			if l := c.Child(ns.RSM, "last"); l != nil {
				last = l.TextContent()
			}
		}
	}
	return found, last
}

// A request costs a bounded amount however many rooms there are, and its cursor leads to all that is left.
func TestRequestIsBounded(t *testing.T) {
	c := newCatalogue(12_000)
	crowded := map[jid.JID]int{}
	for i := range 6_000 {
		crowded[jid.MustParse(c.names[2*i])] = 1 + i%7
	}
	for _, key := range []string{keyAddress, keySeats} {
		s := New(Options{Rooms: c, Now: (&clock{}).Now, Rate: room.Rate{Size: -1}, Seats: func(at jid.JID) int { return crowded[at] },
			Occupied: func(string) map[jid.JID]int { return crowded }})
		found, after, requests := map[string]bool{}, "", 0
		for {
			c.read = 0
			out, err := s.Answer(context.Background(), host, jid.MustParse("a@example.org/x"), true, request(t, key, after, "needle"))
			if err != nil {
				t.Fatal(err)
			}
			requests++
			if c.read > Most+slice {
				t.Fatalf("%s: a request has read %d rooms", key, c.read)
			}
			list, last := page(out)
			for _, at := range list {
				if found[at] {
					t.Errorf("%s: %s twice", key, at)
				}
				found[at] = true
			}
			if last == "" || requests > 20 {
				break
			}
			after = last
		}
		if len(found) != 12 {
			t.Errorf("%s: %d rooms in %d requests, want 12", key, len(found), requests)
		}
	}
}

func limited(t *testing.T, err error) (retry string) {
	t.Helper()
	var se *stanza.Error
	if !errors.As(err, &se) || se.Condition != stanza.ResourceConstraint || se.Type != "wait" || se.App == nil || se.App.Name.Local != "rate-limit" {
		t.Fatalf("not the error of XEP-0433 §4.2.2.4: %v", err)
	}
	return se.App.Attr("retry-after")
}

// XEP-0433 §4.2.2.4: who searches too often waits, and so do the people of a server of which too many come; the form is for everybody.
func TestRate(t *testing.T) {
	at := &clock{now: time.Unix(1000, 0)}
	s := New(Options{Rooms: newCatalogue(3), Now: at.Now, Rate: room.Rate{Size: 2, Every: 10 * time.Second}, Seats: func(jid.JID) int { return 0 },
		Occupied: func(string) map[jid.JID]int { return nil }})
	ask := func(who string, local bool) error {
		_, err := s.Answer(context.Background(), host, jid.MustParse(who), local, request(t, keyAddress, "", ""))
		return err
	}
	for i, who := range []string{"a@example.org/1", "a@example.org/2"} {
		if err := ask(who, true); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if got := limited(t, ask("a@example.org/3", true)); got != "10" {
		t.Errorf("retry after %s", got)
	}
	if err := ask("b@example.org/1", true); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	for range 3 {
		if _, err := s.Answer(context.Background(), host, jid.MustParse("a@example.org/3"), true, xmlstream.NewNode(ns.ChannelSearch, "search")); err != nil {
			t.Errorf("the form: %v", err)
		}
	}
	at.now = at.now.Add(10 * time.Second)
	if err := ask("a@example.org/1", true); err != nil {
		t.Errorf("after a while: %v", err)
	}
	for i := range 10 {
		if err := ask(fmt.Sprintf("u%d@example.net/x", i), false); err != nil {
			t.Fatalf("person %d of another server: %v", i, err)
		}
	}
	if got := limited(t, ask("u11@example.net/x", false)); got != "2" {
		t.Errorf("retry after %s", got)
	}
}

// Few searches run at once: one more is told to wait, and does not wait here.
func TestFewAtOnce(t *testing.T) {
	c := newCatalogue(1)
	inside, leave := make(chan bool), make(chan bool)
	c.enter = func() { inside <- true; <-leave }
	s := New(Options{Rooms: c, Now: (&clock{}).Now, Rate: room.Rate{Size: -1}, Seats: func(jid.JID) int { return 0 },
		Occupied: func(string) map[jid.JID]int { return nil }})
	var mu sync.Mutex
	c.enter = func() { inside <- true; <-leave; mu.Lock() } // rows are counted without a lock of their own
	release := func() { leave <- true }
	done := make(chan error)
	ask := func() error {
		_, err := s.Answer(context.Background(), host, jid.MustParse("a@example.org/x"), true, request(t, keyAddress, "", ""))
		return err
	}
	for range atOnce {
		go func() {
			err := ask()
			mu.Unlock()
			done <- err
		}()
		<-inside
	}
	limited(t, ask())
	for range atOnce {
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
