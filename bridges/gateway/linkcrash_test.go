package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Forty messages from each of four sides, while the server dies at random points, plugins with it, and starts again on what is on its disk: each side gets every
// message of the others once, in the order of each sender, and none of its own.
func TestLinkCrashes(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprint("idempotent=", idempotent), func(t *testing.T) { linkCrashes(t, idempotent) })
	}
}

func linkCrashes(t *testing.T, idempotent bool) {
	const messages, rounds = 40, 8
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	left := &atomic.Int64{}
	left.Store(-1)
	w := newLinked(t, linkOptions{
		store: func(s storage.Store) storage.Store { return dying{s, left} },
		net:   func(_ string, n *fakeNet) { n.idempotent, n.answer = idempotent, looksFirst(n) },
	})
	w.link(sides...)
	alice := w.in("alice")
	done := map[string]int{}
	for round := 0; ; round++ {
		if left.Store(-1); round < rounds {
			left.Store(5 + rnd.Int64N(60))
		}
		if round < rounds && rnd.IntN(2) == 0 { // a plugin falls over on its own
			w.detach(sides[rnd.IntN(len(sides))])
		}
		all := runSides(w, alice, done, messages)
		if all && round >= rounds {
			break
		}
		left.Store(0)
		alice.Drop()
		w.Restart(t)
		left.Store(-1)
		w.attachAll()
		alice = w.in("alice")
	}
	for _, side := range sides {
		checkSide(t, w, side, messages)
	}
	checkLinkArchive(t, w, messages)
}

// The same with two messages from each side, and the server killed after each commit that they take.
func TestLinkKilledAtEveryStep(t *testing.T) {
	for step := range int64(24) {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			const messages = 2
			left := &atomic.Int64{}
			left.Store(-1)
			w := newLinked(t, linkOptions{store: func(s storage.Store) storage.Store { return dying{s, left} },
				net: func(_ string, n *fakeNet) { n.idempotent, n.answer = step%2 == 0, looksFirst(n) }})
			w.link(sides...)
			alice := w.in("alice")
			done := map[string]int{}
			left.Store(step)
			runSides(w, alice, done, messages)
			left.Store(0)
			alice.Drop()
			w.Restart(t)
			left.Store(-1)
			w.attachAll()
			alice = w.in("alice")
			if !runSides(w, alice, done, messages) {
				t.Fatal("not all was taken", done)
			}
			for _, side := range sides {
				checkSide(t, w, side, messages)
			}
			checkLinkArchive(t, w, messages)
		})
	}
}

// looksFirst is a network that has no idempotency of its own: its bridge looks before it repeats.
func looksFirst(n *fakeNet) func(op sdk.Op) (sdk.Delivered, error) {
	return func(op sdk.Op) (sdk.Delivered, error) {
		if op.Head().Doubt {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.byOp[op.Head().ID], nil
		}
		return sdk.Delivered{}, nil
	}
}

// runSides lets all four sides speak until each is done or is not heard any more; it tells whether all are done.
func runSides(w *linked, alice *linkPerson, done map[string]int, to int) bool {
	var wg sync.WaitGroup
	var mu sync.Mutex
	at := done["xmpp"]
	for _, side := range sides {
		mu.Lock()
		from := done[side]
		mu.Unlock()
		wg.Go(func() {
			n := w.nets[side]
			for i := from; i < to; i++ {
				e := says("@bob:hs", fmt.Sprintf("$in%d", i), fmt.Sprintf("%s %d", side, i))
				n.mu.Lock()
				host := n.host
				n.mu.Unlock()
				if _, err := host.Deliver(context.Background(), sdk.Batch{Events: []sdk.Event{e}}); err != nil {
					break
				}
				mu.Lock()
				done[side] = i + 1
				mu.Unlock()
			}
		})
	}
	for ; at < to; at++ {
		id := fmt.Sprintf("x%d", at)
		alice.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='%s'><body>xmpp %d</body></message>", linkRoom, id, at))
		n := alice.until("an answer", func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Attr("id") == id })
		if n.Attr("type") == "error" {
			break
		}
	}
	wg.Wait()
	done["xmpp"] = at
	for _, side := range append([]string{"xmpp"}, sides...) {
		if done[side] < to {
			return false
		}
	}
	return true
}

// checkSide looks at what a network has recorded.
func checkSide(t *testing.T, w *linked, side string, messages int) {
	t.Helper()
	n := w.nets[side]
	n.await(t, side+"'s messages", func() bool { return len(n.texts()) >= 3*messages })
	n.mu.Lock()
	defer n.mu.Unlock()
	next := map[string]int{}
	for _, text := range n.texts() {
		from, _, _ := strings.Cut(text, " ")
		if want := fmt.Sprintf("%s %d", from, next[from]); text != want {
			t.Errorf("%s has %q, expected %q", side, text, want)
		}
		next[from]++
	}
	if next[side] != 0 || len(next) != 3 {
		t.Errorf("%s has %v", side, next)
	}
	for from, got := range next {
		if got != messages {
			t.Errorf("%s has %d messages of %s", side, got, from)
		}
	}
}

// checkLinkArchive looks at what the room keeps.
func checkLinkArchive(t *testing.T, w *linked, messages int) {
	t.Helper()
	list, more, err := w.Data().Messages().List(context.Background(), storage.Room, linkRoom.String(), storage.Range{Limit: 10 * messages})
	if err != nil || more {
		t.Fatal(more, err)
	}
	next := map[string]int{}
	for _, m := range list {
		st, err := stanza.Unmarshal(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		from, number, ok := strings.Cut(st.Body(), " ")
		if !ok || number != fmt.Sprint(next[from]) {
			continue // what the room says, or out of order, which the sum shows
		}
		next[from]++
	}
	for _, side := range append([]string{"xmpp"}, sides...) {
		if next[side] != messages {
			t.Errorf("the room has %d messages of %s in order", next[side], side)
		}
	}
}
