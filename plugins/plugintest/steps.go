package plugintest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func stepParts() []part {
	return []part{
		{"crash at each step of an operation", crashInOperation},
		{"results lost", resultsLost},
		{"operations doubled", operationsDoubled},
		{"events not taken", eventsNotTaken},
		{"signals under load", signalsUnderLoad},
	}
}

// crashInOperation kills the bridge at each place of an operation: when it was
// only just handed over, when the network cannot take it, when the network has it
// and the server has no result. Each time the server asks again, in doubt.
func crashInOperation(t *testing.T, r *rig) {
	var want []string
	for _, step := range []struct {
		name  string
		until func(text string)
	}{
		{"handed over", func(string) {}},
		{"not taken by the network", nil},
		{"taken by the network", func(text string) {
			r.watch(t, text, func() bool { return slices.Contains(r.said(t, r.room), text) })
		}},
	} {
		op := r.message(step.name)
		if step.until == nil {
			r.net.Reach(false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := r.submitAll(ctx, []*sdk.SendMessage{op})[0]
		if step.until != nil {
			step.until(step.name)
		}
		r.crash()
		err := <-result
		cancel()
		if step.until == nil {
			r.net.Reach(true)
			if err == nil {
				t.Fatal("delivered to a network that cannot be reached")
			}
		}
		r.again(t)
		op.Attempt, op.Doubt = 2, true
		r.do(t, op)
		want = append(want, step.name)
		if got := r.said(t, r.room); !slices.Equal(got, want) {
			t.Fatalf("killed when %s: people saw %q, meant was %q", step.name, got, want)
		}
	}
}

// resultsLost: the server lost results and learnt those of later operations. It
// asks again for the old ones, which now have newer ones behind them. That happens
// only where several operations of a room may be under way.
func resultsLost(t *testing.T, r *rig) {
	if !r.caps().Idempotent {
		t.Skip("one operation of a room is under way at a time")
	}
	texts := numbered("result", 1, 8)
	ops := make([]*sdk.SendMessage, len(texts))
	first := make([]sdk.Delivered, len(texts))
	for i, text := range texts {
		ops[i] = r.message(text)
		first[i] = r.do(t, ops[i])
	}
	for _, i := range []int{5, 0, 3} { // in whatever order
		ops[i].Attempt, ops[i].Doubt = 2, true
		if again := r.do(t, ops[i]); len(again.Parts) != 1 || again.Parts[0].Remote != first[i].Parts[0].Remote {
			t.Fatalf("%+v, before it was %+v", again, first[i])
		}
	}
	if got := r.said(t, r.room); !slices.Equal(got, texts) {
		t.Fatalf("people saw %q", got)
	}
}

// operationsDoubled: an operation comes a second time while the first is still
// under way.
func operationsDoubled(t *testing.T, r *rig) {
	texts := numbered("double", 1, 20)
	var ops []*sdk.SendMessage
	for _, text := range texts {
		op := r.message(text)
		again := *op
		again.Attempt, again.Doubt = 2, true
		ops = append(ops, op, &again)
	}
	for i, result := range r.submitAll(t.Context(), ops) {
		if err := <-result; err != nil {
			t.Fatal(i, err)
		}
	}
	if got := r.said(t, r.room); !slices.Equal(got, texts) {
		t.Fatalf("people saw %q", got)
	}
}

// eventsNotTaken: an older server does not know some events. They are not delivered
// again, and hold up nothing.
func eventsNotTaken(t *testing.T, r *rig) {
	unknown := func(e sdk.Event) bool {
		m, ok := e.(*sdk.Message)
		return ok && slices.Contains([]string{"taken 7", "taken 19"}, m.Content.Body.Plain())
	}
	r.settleWith(func(_ int, b sdk.Batch, ticket *sdk.Ticket) {
		var receipt sdk.Receipt
		for i, e := range b.Events {
			if unknown(e) {
				receipt.Problems = append(receipt.Problems, sdk.EventProblem{Index: i, Outcome: sdk.OutcomeUnsupported, Text: "a test"})
			}
		}
		ticket.Settle(receipt, nil)
	})
	said := numbered("taken", 1, 30)
	for _, text := range said {
		r.net.Say(t, r.room, text)
	}
	want := slices.DeleteFunc(said, func(s string) bool { return s == "taken 7" || s == "taken 19" })
	r.arrived(t, r.room, want)
	r.net.Say(t, r.room, "after")
	r.arrived(t, r.room, append(want, "after"))
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	tries := 0
	for _, e := range r.host.raw {
		if unknown(e) {
			tries++
		}
	}
	if tries != 2 {
		t.Fatalf("two events were delivered %d times", tries)
	}
}

// signalsUnderLoad floods the lossy lane from both sides while no event is
// confirmed; operations and, later, events go on as if there were no signals.
func signalsUnderLoad(t *testing.T, r *rig) {
	for range 20 { // a network may wait until its news were taken, so this is before the rest
		r.net.Cause(t, CauseTyping)
	}
	h := newHeld()
	r.settleWith(h.settle)
	sender, n := person(), 0
	flood := func() {
		for range 200 {
			n++
			who := sdk.Party{Person: sdk.PersonID(fmt.Sprintf("k7crowd%d", n%40))}
			r.remote().Signal(&sdk.Typing{Portal: sdk.PortalKey{Room: r.room}, Who: who, Sender: &sender, Active: n%2 == 0})
			r.remote().Signal(&sdk.Presence{Who: who, Sender: &sender, Show: sdk.ShowAway})
		}
	}
	said := numbered("through", 1, 100)
	for i, text := range said {
		r.net.Say(t, r.two, text)
		if i%5 == 0 {
			flood()
		}
	}
	<-h.arrived
	ops := make([]*sdk.SendMessage, 50)
	for i := range ops {
		ops[i] = r.message(fmt.Sprintf("loud %d", i+1))
	}
	results := r.submitAll(t.Context(), ops)
	for i, result := range results {
		flood()
		if err := <-result; err != nil {
			t.Fatal(i, err)
		}
	}
	r.settleWith(nil)
	for _, ticket := range h.take() {
		ticket.Settle(sdk.Receipt{}, nil)
	}
	r.arrived(t, r.two, said)
	if got := r.said(t, r.room); !slices.Equal(got, numbered("loud", 1, len(ops))) {
		t.Fatalf("people saw %q", got)
	}
}
