package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func faultParts() []part {
	return []part{
		{"acks late", acksLate},
		{"acks doubled", acksDoubled},
		{"acks out of order", acksOutOfOrder},
		{"acks that fail", acksFail},
		{"acks lost", acksLost},
		{"crash at each step", crashAtEachStep},
		{"crash under load", crashUnderLoad},
		{"operations again", operationsAgain},
		{"operations again after a crash", operationsAfterCrash},
		{"both windows full", windowsFull},
		{"outage", outage},
		{"drain", drain},
		{"resume", resume},
	}
}

// held keeps tickets until they are released.
type held struct {
	mu      sync.Mutex
	tickets []*sdk.Ticket
	arrived chan struct{}
}

func newHeld() *held { return &held{arrived: make(chan struct{}, 100_000)} }

func (h *held) settle(_ int, _ sdk.Batch, t *sdk.Ticket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tickets = append(h.tickets, t)
	h.arrived <- struct{}{}
}

func (h *held) take() []*sdk.Ticket {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.tickets
	h.tickets = nil
	return out
}

// settleWith sets how acknowledgements are given from now on.
func (r *rig) settleWith(f func(int, sdk.Batch, *sdk.Ticket)) {
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	r.host.Settle = f
}

// acksLate: nothing moves past what is not confirmed, and all of it comes in the end.
func acksLate(t *testing.T, r *rig) {
	h := newHeld()
	r.settleWith(h.settle)
	r.net.Say(t, r.room, "late 1")
	<-h.arrived
	for i := 2; i <= 40; i++ {
		r.net.Say(t, r.room, fmt.Sprintf("late %d", i))
	}
	if n := len(r.texts(r.room)); n != 0 {
		t.Fatalf("%d are durable, none was confirmed", n)
	}
	r.settleWith(nil)
	for _, ticket := range h.take() {
		ticket.Settle(sdk.Receipt{}, nil)
	}
	r.arrived(t, r.room, numbered("late", 1, 40))
}

func acksDoubled(t *testing.T, r *rig) {
	r.settleWith(func(_ int, _ sdk.Batch, ticket *sdk.Ticket) {
		ticket.Settle(sdk.Receipt{}, nil)
		ticket.Settle(sdk.Receipt{}, errors.New("a second answer counts for nothing"))
	})
	want := numbered("doubled", 1, 30)
	for _, text := range want {
		r.net.Say(t, r.room, text)
	}
	r.arrived(t, r.room, want)
}

// acksOutOfOrder settles what has gathered from the last to the first.
func acksOutOfOrder(t *testing.T, r *rig) {
	h := newHeld()
	r.settleWith(h.settle)
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-h.arrived:
				list := h.take()
				slices.Reverse(list)
				for _, ticket := range list {
					ticket.Settle(sdk.Receipt{}, nil)
				}
			case <-stop:
				return
			}
		}
	})
	defer work.Wait()
	defer close(stop)
	want := numbered("order", 1, 60)
	for _, text := range want {
		r.net.Say(t, r.room, text)
	}
	// Two batches may become durable in the wrong order here; each message comes once.
	r.host.Await(t, "all of them", func() bool { return len(r.texts(r.room)) >= len(want) })
	got := r.texts(r.room)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

// acksFail: what the server could not store comes again, in order, and nothing
// overtakes it.
func acksFail(t *testing.T, r *rig) {
	failures := 0
	var mu sync.Mutex
	r.settleWith(func(n int, _ sdk.Batch, ticket *sdk.Ticket) {
		mu.Lock()
		defer mu.Unlock()
		if failures < 5 && n%2 == 1 {
			failures++
			ticket.Settle(sdk.Receipt{}, &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the disk is full"})
			return
		}
		ticket.Settle(sdk.Receipt{}, nil)
	})
	want := numbered("failing", 1, 40)
	for i, text := range want {
		r.net.Say(t, r.room, text)
		if i%8 == 0 { // small batches as well
			r.host.Await(t, text, func() bool { return slices.Contains(r.texts(r.room), text) })
		}
	}
	r.arrived(t, r.room, want)
	mu.Lock()
	defer mu.Unlock()
	if failures == 0 {
		t.Fatal("nothing failed")
	}
}

// acksLost: the server has it, the bridge never learns, and crashes: it comes
// again and is known.
func acksLost(t *testing.T, r *rig) {
	r.net.Say(t, r.room, "lost 1")
	r.arrived(t, r.room, numbered("lost", 1, 1))
	before := r.host.Cursors()
	h := newHeld()
	r.settleWith(h.settle)
	r.net.Say(t, r.room, "lost 2")
	<-h.arrived
	r.crash()
	r.settleWith(nil)
	for _, ticket := range h.take() { // committed, too late for the bridge
		ticket.Settle(sdk.Receipt{}, nil)
	}
	// The cursor went with it; a server that restarts from a backup has the old one.
	r.host.mu.Lock()
	r.host.cursors = before
	r.host.mu.Unlock()
	r.again(t)
	r.net.Say(t, r.room, "lost 3")
	r.arrived(t, r.room, numbered("lost", 1, 3))
	if r.host.Repeated() == 0 {
		t.Fatal("nothing was delivered again, though it was not confirmed")
	}
}

// crashAtEachStep kills the bridge at each place of a delivery: before the batch is
// stored, when it is stored and not confirmed, when it is confirmed.
func crashAtEachStep(t *testing.T, r *rig) {
	said := 0
	var want []string
	say := func() {
		said++
		want = append(want, fmt.Sprintf("step %d", said))
		r.net.Say(t, r.room, want[len(want)-1])
	}
	for step, settle := range map[string]func(*sdk.Ticket){
		"not stored":              func(*sdk.Ticket) {},
		"refused":                 func(ticket *sdk.Ticket) { ticket.Settle(sdk.Receipt{}, sdk.ErrSessionLost) },
		"stored, not confirmed":   func(*sdk.Ticket) {},
		"stored and confirmed":    func(ticket *sdk.Ticket) { ticket.Settle(sdk.Receipt{}, nil) },
		"confirmed, then nothing": func(ticket *sdk.Ticket) { ticket.Settle(sdk.Receipt{}, nil) },
	} {
		h := newHeld()
		r.settleWith(h.settle)
		say()
		<-h.arrived
		tickets := h.take()
		for _, ticket := range tickets {
			settle(ticket)
		}
		if step == "confirmed, then nothing" {
			r.settleWith(nil)
			r.host.Await(t, step, func() bool { return len(r.texts(r.room)) == said })
		}
		r.crash()
		if step == "stored, not confirmed" {
			for _, ticket := range tickets {
				ticket.Settle(sdk.Receipt{}, nil)
			}
		}
		r.settleWith(nil)
		say() // while nobody listens
		r.again(t)
		r.arrived(t, r.room, want)
	}
}

// crashUnderLoad kills the bridge several times while both directions are busy.
func crashUnderLoad(t *testing.T, r *rig) {
	const rounds, each = 4, 40
	var want []string
	var open []*sdk.SendMessage
	for round := range rounds {
		ops := make([]*sdk.SendMessage, each)
		for i := range ops {
			ops[i] = r.message(fmt.Sprintf("load %d", round*each+i+1))
		}
		results := r.submitAll(t.Context(), ops)
		for i := range each {
			want = append(want, fmt.Sprintf("busy %d", round*each+i+1))
			r.net.Say(t, r.room, want[len(want)-1])
		}
		r.host.Await(t, "some of them", func() bool { return len(r.texts(r.room)) > round*each+each/4 })
		r.crash()
		open = open[:0]
		for i, result := range results {
			if err := <-result; err != nil {
				ops[i].Attempt++
				ops[i].Doubt = true
				open = append(open, ops[i])
			}
		}
		r.again(t)
		for _, op := range open { // the server's pump: in order, one after the other
			r.do(t, op)
		}
	}
	r.arrived(t, r.room, want)
	if got := r.said(t, r.room); !slices.Equal(got, numbered("load", 1, rounds*each)) {
		t.Fatalf("people saw %d: %q", len(got), got)
	}
}

// operationsAgain repeats operations whose outcome the server did not learn.
func operationsAgain(t *testing.T, r *rig) {
	op := r.message("only once")
	first := r.do(t, op)
	for range 3 {
		op.Attempt++
		op.Doubt = true
		again := r.do(t, op)
		if len(again.Parts) != 1 || again.Parts[0].Remote != first.Parts[0].Remote {
			t.Fatalf("%+v, before it was %+v", again, first)
		}
	}
	if got := r.said(t, r.room); !slices.Equal(got, []string{"only once"}) {
		t.Fatal(got)
	}
}

func operationsAfterCrash(t *testing.T, r *rig) {
	op := r.message("once over a crash")
	first := r.do(t, op)
	r.crash()
	r.again(t)
	op.Attempt, op.Doubt = 2, true
	if again := r.do(t, op); again.Parts[0].Remote != first.Parts[0].Remote {
		t.Fatalf("%+v, before it was %+v", again, first)
	}
	// One that was never carried out is carried out, doubt or not.
	op = r.message("in doubt, but new")
	op.Attempt, op.Doubt = 2, true
	r.do(t, op)
	// The rest of a long one: what Progress reported is not sent again.
	if limit := r.caps().Text.MaxLength; limit > 0 {
		body := ""
		for len(body) < limit*3/2 {
			body += "wordy "
		}
		long := r.message(body)
		all := r.do(t, long)
		long.Attempt, long.Doubt, long.Prior = 2, true, all.Parts[:1]
		if again := r.do(t, long); len(again.Parts) != len(all.Parts) {
			t.Fatalf("%d parts, before it were %d", len(again.Parts), len(all.Parts))
		}
	}
	seen := map[sdk.RemoteMessageID]int{}
	texts := map[string]int{}
	for _, s := range r.net.Seen(t, r.room) {
		seen[s.ID]++
		texts[s.Text]++
	}
	if texts["once over a crash"] != 1 || texts["in doubt, but new"] != 1 {
		t.Fatal(texts)
	}
}

// windowsFull: nothing of what comes in is confirmed and more operations than fit
// are under way; both go on as soon as either side can.
func windowsFull(t *testing.T, r *rig) {
	h := newHeld()
	r.settleWith(h.settle)
	const count = 1500
	for i := 1; i <= count; i++ {
		r.net.Say(t, r.two, fmt.Sprintf("full %d", i))
	}
	<-h.arrived
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit())
	defer cancel()
	ops := make([]*sdk.SendMessage, 600)
	for i := range ops {
		ops[i] = r.message(fmt.Sprintf("out %d", i+1))
	}
	// Operations are answered though no event is confirmed.
	for i, result := range r.submitAll(ctx, ops) {
		if err := <-result; err != nil {
			t.Fatal(i, err)
		}
	}
	r.settleWith(nil)
	for _, ticket := range h.take() {
		ticket.Settle(sdk.Receipt{}, nil)
	}
	r.arrived(t, r.two, numbered("full", 1, count))
	if got := r.said(t, r.room); !slices.Equal(got, numbered("out", 1, len(ops))) {
		t.Fatalf("people saw %d", len(got))
	}
}

// outage: while the network cannot be reached operations fail for the moment, what
// people said comes when it is back.
func outage(t *testing.T, r *rig) {
	r.net.Say(t, r.room, "outage 1")
	r.arrived(t, r.room, numbered("outage", 1, 1))
	r.net.Reach(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	op := r.message("into the dark")
	if _, err := sdk.Handle(ctx, r.remote(), op); err == nil || wrong(err) {
		t.Fatal("not a temporary failure: ", err)
	}
	r.net.Say(t, r.room, "outage 2")
	r.net.Reach(true)
	r.net.Say(t, r.room, "outage 3")
	r.arrived(t, r.room, numbered("outage", 1, 3))
	op.Attempt++
	r.do(t, op)
	if got := r.said(t, r.room); !slices.Equal(got, []string{"into the dark"}) {
		t.Fatal(got)
	}
}

// quiet is how long a bridge is watched that has to do nothing: a good one always
// passes, a bad one nearly never.
const quiet = 300 * time.Millisecond

// drain: after it nothing more is taken from the network; it comes at the next start.
func drain(t *testing.T, r *rig) {
	r.net.Say(t, r.room, "drain 1")
	r.arrived(t, r.room, numbered("drain", 1, 1))
	if err := r.remote().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := r.host.Delivered()
	r.net.Say(t, r.room, "drain 2")
	if r.host.within(quiet, func() bool { return r.host.Delivered() != before }) {
		t.Fatal("events after the drain")
	}
	r.crash()
	r.again(t)
	r.arrived(t, r.room, numbered("drain", 1, 2))
}

// resume: the cursors are handed back, and only what is new comes.
func resume(t *testing.T, r *rig) {
	var want []string
	for round := range 3 {
		for i := range 10 {
			want = append(want, fmt.Sprintf("resume %d", round*10+i+1))
			r.net.Say(t, r.room, want[len(want)-1])
		}
		r.arrived(t, r.room, want)
		r.crash()
		repeated := r.host.Repeated()
		r.again(t)
		r.net.Say(t, r.two, fmt.Sprintf("marker %d", round))
		r.arrived(t, r.two, numbered("marker", 0, round))
		if n := r.host.Repeated() - repeated; n > 10 {
			t.Fatalf("%d events came again after everything was confirmed", n)
		}
	}
}
