package archive

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// XEP-0424 §5: what is retracted is found however long ago it was said. One that makes the search panic keeps no other from its turn.
func TestSeek(t *testing.T) {
	const old = 3*among + 17
	h := newHouse(t, Retention{})
	h.m.seeker.m, h.m.d.Hosts, h.m.d.Log = h.m, houses{}, slog.New(slog.DiscardHandler)
	u := journal.NewUnit(journal.Lane{})
	for i := range old + 1 {
		body := fmt.Appendf(nil, "<message xmlns='jabber:client' from='eve@example.org/x' to='bob@example.org' id='m%d' type='chat'><body>%d</body></message>", i, i)
		u.Add(storage.PutMessage{ID: id(i), Body: body}, storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob@example.org", ID: id(i), Peer: "eve@example.org"}})
	}
	if err := h.store.Commit(t.Context(), []*journal.Unit{u})[0]; err != nil {
		t.Fatal(err)
	}
	st := message(t, "<message xmlns='jabber:client' from='eve@example.org/y' to='bob@example.org' id='r'/>")
	want := func(name string) *sought {
		return &sought{owner: "bob@example.org", peer: "eve@example.org", id: name, st: st, at: storage.MessageID(noon.Add(time.Hour).UnixMilli() << 20)}
	}
	broken := want("m5")
	broken.st = nil
	h.m.seeker.waiting = []*sought{broken, want("nothing"), want(fmt.Sprintf("m%d", old))}
	slices := 0
	for {
		u, err := h.m.seeker.Next(t.Context(), time.Millisecond, nil)
		if err != nil {
			t.Fatal(err)
		}
		if u == nil {
			break
		}
		slices++
		if err := h.store.Commit(t.Context(), []*journal.Unit{u})[0]; err != nil {
			t.Fatal(err)
		}
	}
	if slices != 1+4+4 {
		t.Errorf("%d slices", slices)
	}
	for i, gone := range map[int]bool{0: false, old: true, old - 1: false, 5: false} {
		body, err := h.store.Messages().Body(t.Context(), id(i))
		if err != nil || strings.Contains(string(body), "<retracted ") != gone {
			t.Errorf("message %d: %s, %v", i, body, err)
		}
	}
}

// What waits to be looked for is bounded, for each archive and in all.
func TestSoughtIsBounded(t *testing.T) {
	h := newHouse(t, Retention{})
	h.m.seeker.m, h.m.d.Log = h.m, slog.New(slog.DiscardHandler)
	h.m.seeker.waiting = []*sought{{owner: "first@example.org"}} // under way: nothing new is begun
	for i := range 2 * maxSought {
		h.m.seek(&sought{owner: fmt.Sprintf("u%d@example.org", i%2*i)})
	}
	each := 0
	for _, s := range h.m.seeker.waiting {
		if s.owner == "u0@example.org" {
			each++
		}
	}
	if each != maxSoughtEach || len(h.m.seeker.waiting) != maxSought {
		t.Errorf("%d wait, %d of one", len(h.m.seeker.waiting), each)
	}
}
