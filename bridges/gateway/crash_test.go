package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// dying is a store that stops writing after so many commits, as a machine does that loses power: what was committed stays, all else is lost.
type dying struct {
	storage.Store
	left *atomic.Int64 // negative: lives
}

var errPower = errors.New("no power")

func (d dying) Commit(ctx context.Context, units []*journal.Unit) []error {
	n := d.left.Load()
	if n > 0 {
		n = d.left.Add(-1)
	}
	if n != 0 {
		return d.Store.Commit(ctx, units)
	}
	out := make([]error, len(units))
	for i := range out {
		out[i] = fmt.Errorf("%w: %w", journal.ErrUnavailable, errPower)
	}
	return out
}

// Messages go both ways while the server dies at random points and starts again on what is on its disk. Each side sends again what was not confirmed.
// None is lost, none is there twice, order is kept.
func TestCrashes(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprint("idempotent=", idempotent), func(t *testing.T) { crashes(t, idempotent) })
	}
}

func crashes(t *testing.T, idempotent bool) {
	const messages, rounds = 60, 6
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	left := &atomic.Int64{}
	left.Store(-1)
	w := newWorld(t, worldOptions{
		store: func(s storage.Store) storage.Store { return dying{s, left} },
		net: func(n *fakeNet) {
			n.idempotent = idempotent
			n.answer = func(op sdk.Op) (sdk.Delivered, error) { // without idempotency a bridge looks before it repeats
				if op.Head().Doubt {
					n.mu.Lock()
					defer n.mu.Unlock()
					return n.byOp[op.Head().ID], nil
				}
				return sdk.Delivered{}, nil
			}
		},
	})
	alice := w.in("alice")
	out, in := 0, 0
	for round := 0; out < messages || in < messages; round++ {
		if round < rounds {
			left.Store(5 + rnd.Int64N(40))
		} else {
			left.Store(-1)
		}
		var both sync.WaitGroup
		both.Add(1)
		go func() {
			defer both.Done()
			in = deliverFrom(w, in, messages)
		}()
		out = sayFrom(alice, out, messages)
		both.Wait()
		if out == messages && in == messages {
			break
		}
		left.Store(0)
		alice.Drop()
		w.Restart(t)
		left.Store(-1)
		w.attach()
		w.net.mu.Lock()
		if c := w.net.resume.Cursors; len(c) > 0 {
			var at int
			if _, err := fmt.Sscan(string(c[0].Cursor), &at); err != nil || at > in {
				t.Errorf("the cursor is %q, %d were confirmed", c[0].Cursor, in)
			}
		}
		w.net.mu.Unlock()
		alice = w.in("alice")
	}
	w.net.await(t, "every message", func() bool { return len(w.net.texts()) >= messages })
	var want []string
	for i := range messages {
		want = append(want, fmt.Sprintf("out %d", i))
	}
	w.net.mu.Lock()
	got := w.net.texts()
	w.net.mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("the network has %d messages: %.500q", len(got), got)
	}
	checkArchive(t, w, messages)
}

// deliverFrom delivers events one by one, as a network that waits for its acknowledgement; it returns how many were confirmed.
func deliverFrom(w *world, from, to int) int {
	for i := from; i < to; i++ {
		b := sdk.Batch{Events: []sdk.Event{says("@bob:hs", fmt.Sprintf("$in%d", i), fmt.Sprintf("in %d", i))}, Cursors: []sdk.CursorMark{{Cursor: sdk.Cursor(fmt.Sprint(i))}}}
		if _, err := w.net.host.Deliver(context.Background(), b); err != nil {
			return i
		}
	}
	return to
}

// sayFrom says messages one by one and waits for each; it returns how many the room has taken.
func sayFrom(alice *person, from, to int) int {
	for i := from; i < to; i++ {
		id := fmt.Sprintf("out%d", i)
		alice.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='%s'><body>out %d</body></message>", opsRoom, id, i))
		n := alice.until("an answer", func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Attr("id") == id })
		if n.Attr("type") == "error" {
			return i
		}
	}
	return to
}

// checkArchive looks at what the room keeps.
func checkArchive(t *testing.T, w *world, messages int) {
	t.Helper()
	list, more, err := w.Data().Messages().List(context.Background(), storage.Room, opsRoom, storage.Range{Limit: 10 * messages})
	if err != nil || more {
		t.Fatal(more, err)
	}
	next := map[string]int{}
	for _, m := range list {
		st, err := stanza.Unmarshal(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(st.Body(), " ")
		if kind != "in" && kind != "out" {
			continue
		}
		if want := fmt.Sprintf("%s %d", kind, next[kind]); st.Body() != want {
			t.Errorf("the room has %q, expected %q", st.Body(), want)
		}
		next[kind]++
	}
	if next["in"] != messages || next["out"] != messages {
		t.Errorf("the room has %v", next)
	}
}
