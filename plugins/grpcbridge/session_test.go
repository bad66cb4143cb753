package grpcbridge

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestEventsArriveInOrderWithTheirCursors(t *testing.T) {
	r := newRig(t, rigOptions{events: 256})
	var tickets []*sdk.Ticket
	var want []string
	for i := range 1000 {
		id := fmt.Sprint("e", i)
		want = append(want, id)
		b := sdk.Batch{Events: []sdk.Event{message(id)}, Cursors: []sdk.CursorMark{{Cursor: sdk.Cursor(id)}}}
		ticket, err := r.remote.DeliverAsync(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	for _, ticket := range tickets {
		if receipt, err := ticket.Wait(t.Context()); err != nil || len(receipt.Problems) > 0 {
			t.Fatal(receipt, err)
		}
	}
	if got := r.host.ids(); !slices.Equal(got, want) {
		t.Fatalf("%d events, out of order or lost", len(got))
	}
	if got := r.host.cursors[999]; got.Cursor != "e999" {
		t.Fatalf("cursor %+v", got)
	}
	if got := r.host.events[7]; !reflect.DeepEqual(got, message("e7")) {
		t.Fatalf("%+v", got)
	}
}

func TestCursorAloneIsDelivered(t *testing.T) {
	r := newRig(t, rigOptions{})
	if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Cursors: []sdk.CursorMark{{Cursor: "c"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message("a")}}); err != nil {
		t.Fatal(err)
	}
	if len(r.host.cursors) != 1 || len(r.host.events) != 1 {
		t.Fatal(r.host.cursors, r.host.events)
	}
}

func TestAcksMayComeInAnyOrder(t *testing.T) {
	host := newFakeHost()
	taken := make(chan *sdk.Ticket, 3)
	host.settle = func(_ sdk.Batch, t *sdk.Ticket) { taken <- t }
	r := newRig(t, rigOptions{host: host})
	var mine []*sdk.Ticket
	for i := range 3 {
		ticket, err := r.remote.DeliverAsync(t.Context(), sdk.Batch{Events: []sdk.Event{message(fmt.Sprint(i)), message(fmt.Sprint(i, "b"))}})
		if err != nil {
			t.Fatal(err)
		}
		mine = append(mine, ticket)
	}
	theirs := []*sdk.Ticket{<-taken, <-taken, <-taken}
	for _, i := range []int{2, 0, 1} {
		theirs[i].Settle(sdk.Receipt{Problems: []sdk.EventProblem{{Index: 1, Outcome: sdk.OutcomeRejected, Text: fmt.Sprint(i)}}}, nil)
		receipt, err := mine[i].Wait(t.Context())
		want := []sdk.EventProblem{{Index: 1, Outcome: sdk.OutcomeRejected, Text: fmt.Sprint(i)}}
		if err != nil || !slices.Equal(receipt.Problems, want) {
			t.Fatalf("%d: %+v, %v", i, receipt, err)
		}
	}
}

// What the gateway has not made durable must not be acknowledged, and nothing
// that was sent before the bridge knew of it may get through.
func TestNothingOvertakesAFailure(t *testing.T) {
	host := newFakeHost()
	var open []*sdk.Ticket
	host.settle = func(_ sdk.Batch, tk *sdk.Ticket) { open = append(open, tk) }
	s := newHostSession(t.Context(), testCodec(t), host, discard(), 0)
	next := uint64(1)
	hand := func(epoch uint64) {
		t.Helper()
		m, err := s.codec.event(message(fmt.Sprint("e", next)))
		if err != nil {
			t.Fatal(err)
		}
		s.hand(&pb.Batch{First: next, Epoch: epoch, Events: []*pb.Event{m}})
		next++
	}
	failures := func() (numbers []uint64, epoch uint64) {
		f, _ := s.frame()
		for _, x := range f.GetFailures() {
			numbers, epoch = append(numbers, x.GetFirst()), max(epoch, x.GetEpoch())
		}
		return numbers, epoch
	}
	hand(0)
	hand(0)
	hand(0)
	open[1].Settle(sdk.Receipt{}, sdk.RetryAfter(time.Second, errors.New("disk full")))
	open[2].Settle(sdk.Receipt{}, sdk.RetryAfter(time.Second, errors.New("disk full"))) // the gateway fails what follows, too
	open[0].Settle(sdk.Receipt{}, nil)
	hand(0) // sent ahead: never reaches the gateway
	hand(0)
	if got, epoch := failures(); !slices.Equal(got, []uint64{2, 3, 4, 5}) || epoch != 1 {
		t.Fatalf("failures %v, epoch %d", got, epoch)
	}
	hand(0) // sent ahead as well, and still no new epoch
	hand(1) // again, now that it is known
	if got, epoch := failures(); !slices.Equal(got, []uint64{6}) || epoch != 1 {
		t.Fatalf("failures %v, epoch %d", got, epoch)
	}
	open[3].Settle(sdk.Receipt{}, nil)
	if got := host.ids(); !slices.Equal(got, []string{"e1", "e2", "e3", "e7"}) {
		t.Fatal(got)
	}
}

// The bridge learns of the failure, delivers again in order, and all is well.
func TestDeliveringAgain(t *testing.T) {
	host := newFakeHost()
	failed := false
	host.refuse = func(b sdk.Batch) error {
		if !failed && b.Events[0].Head().ID == "b5" {
			failed = true
			return sdk.RetryAfter(0, errors.New("disk full"))
		}
		return nil
	}
	r := newRig(t, rigOptions{host: host})
	var tickets []*sdk.Ticket
	var want []string
	for i := range 50 { // sent ahead, without a look at the answers
		want = append(want, fmt.Sprint("b", i))
		ticket, err := r.remote.DeliverAsync(t.Context(), sdk.Batch{Events: []sdk.Event{message(want[i])}})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	first := -1
	for i, ticket := range tickets {
		if _, err := ticket.Wait(t.Context()); err != nil && first < 0 {
			first = i
		}
	}
	if first != 5 {
		t.Fatalf("the first failure is %d", first)
	}
	for i := first; i < 50; i++ {
		if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message(want[i])}}); err != nil {
			t.Fatal(err)
		}
	}
	// By the time it knew, some later ones may have got through: the last of each is in order.
	got := r.host.ids()
	if got[4] != "b4" || !slices.Equal(got[len(got)-45:], want[5:]) {
		t.Fatal(got)
	}
}

func TestOperationsAndTheirResults(t *testing.T) {
	bridge := newFakeBridge()
	bridge.send = func(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
		switch op.ID {
		case "later":
			return sdk.Delivered{}, sdk.RetryAfter(3*time.Second, errors.New("secret detail"))
		case "never":
			return sdk.Delivered{}, sdk.Refuse(sdk.CodeForbidden, "not here")
		case "panic":
			panic("oops")
		case "deadline":
			if _, ok := ctx.Deadline(); !ok {
				return sdk.Delivered{}, errors.New("no deadline")
			}
		}
		return sdk.Delivered{Parts: []sdk.Part{{ID: "", Remote: "m1"}, {ID: "1", Remote: "m2", Time: time.UnixMicro(5).UTC()}}}, nil
	}
	r := newRig(t, rigOptions{bridge: bridge})
	for _, tc := range []struct {
		id   string
		want *sdk.Error
	}{
		{"fine", nil},
		{"deadline", nil},
		{"later", &sdk.Error{Code: sdk.CodeRateLimited, Temporary: true, RetryAfter: 3 * time.Second}},
		{"never", &sdk.Error{Code: sdk.CodeForbidden, Text: "not here"}},
		{"panic", &sdk.Error{Text: "the bridge failed"}},
	} {
		d, err := sdk.Handle(t.Context(), r.client, sendOp(tc.id, "r1"))
		if tc.want == nil {
			if err != nil || len(d.Parts) != 2 || d.Parts[1].Remote != "m2" || !d.Parts[1].Time.Equal(time.UnixMicro(5)) {
				t.Errorf("%s: %+v, %v", tc.id, d, err)
			}
			continue
		}
		if got := sdk.AsError(err); got == nil || *got != *tc.want {
			t.Errorf("%s: %#v", tc.id, err)
		}
	}
}

func TestEveryOperationReachesItsRole(t *testing.T) {
	r := newRig(t, rigOptions{})
	h := sdk.OpHeader{ID: "o", Portal: sdk.PortalKey{Room: "r"}, Prior: []sdk.Part{{Remote: "x"}}, Doubt: true, Attempt: 2}
	for _, op := range []sdk.Op{
		&sdk.EditMessage{OpHeader: h}, &sdk.RetractMessage{OpHeader: h, Moderated: true}, &sdk.SetReactions{OpHeader: h, Emoji: []sdk.Emoji{{Text: "👍"}}},
		&sdk.SetTopic{OpHeader: h, Topic: "t"}, &sdk.EditRoom{OpHeader: h}, &sdk.JoinGhost{OpHeader: h}, &sdk.LeaveGhost{OpHeader: h, Reason: "r"},
		&sdk.ChangeProfile{OpHeader: h, Gone: true}, &sdk.InviteUser{OpHeader: h, User: "u"}, &sdk.Moderate{OpHeader: h, Action: sdk.ModerateBan},
	} {
		if _, err := sdk.Handle(t.Context(), r.client, op); err != nil {
			t.Errorf("%T: %v", op, err)
			continue
		}
		if got := r.bridge.last(); !reflect.DeepEqual(got, op) {
			t.Errorf("%T:\n got  %+v\n want %+v", op, got, op)
		}
	}
	if _, err := sdk.Handle(t.Context(), r.client, &sdk.UnknownOp{OpHeader: h}); codeOf(err) != sdk.CodeUnsupported {
		t.Errorf("unknown operation: %v", err)
	}
}

func TestOnePortalDoesNotStallAnother(t *testing.T) {
	bridge := newFakeBridge()
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	bridge.send = func(_ context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
		if op.Portal.Room == "slow" {
			<-release
		}
		mu.Lock()
		order = append(order, string(op.ID))
		mu.Unlock()
		return sdk.Delivered{}, nil
	}
	r := newRig(t, rigOptions{bridge: bridge})
	results := make(chan string, 6)
	for i := range 3 {
		id := fmt.Sprint("s", i)
		if err := r.client.Submit(t.Context(), sendOp(id, "slow"), func(sdk.Delivered, error) { results <- id }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if _, err := sdk.Handle(t.Context(), r.client, sendOp(fmt.Sprint("f", i), "fast")); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for range 3 {
		<-results
	}
	if want := []string{"f0", "f1", "f2", "s0", "s1", "s2"}; !slices.Equal(order, want) {
		t.Fatal(order)
	}
}

// Both windows are full, nobody reads results or acks by choice, and yet the
// moment one side settles, everything moves.
func TestBothWindowsFullAndProgressIsMade(t *testing.T) {
	bridge, host := newFakeBridge(), newFakeHost()
	const ops, batches = 16, 256
	release := make(chan struct{})
	var once sync.Once
	taken := make(chan struct{}, batches*4)
	var open []*sdk.Ticket
	var mu sync.Mutex
	host.settle = func(_ sdk.Batch, tk *sdk.Ticket) {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-release:
			tk.Settle(sdk.Receipt{}, nil)
		default:
			open = append(open, tk)
		}
		taken <- struct{}{}
	}
	running := make(chan struct{}, ops*4)
	r := (*rig)(nil)
	// Every operation hands over an event of its own before it returns, and the
	// host takes none: operations wait for acks.
	ready := make(chan struct{})
	bridge.send = func(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
		<-ready
		running <- struct{}{}
		_, err := r.remote.Deliver(ctx, sdk.Batch{Events: []sdk.Event{message("from " + string(op.ID))}})
		return sdk.DeliveredAs("x", time.Time{}), err
	}
	r = newRig(t, rigOptions{bridge: bridge, host: host, events: batches, ops: ops})
	close(ready)
	results := make(chan error, ops*3)
	submitted := make(chan struct{})
	go func() { // three windows of operations: Submit blocks after the first
		defer close(submitted)
		for i := range ops * 3 {
			err := r.client.Submit(t.Context(), sendOp(fmt.Sprint(i), fmt.Sprint("room", i)), func(_ sdk.Delivered, err error) { results <- err })
			if err != nil {
				results <- err
			}
		}
	}()
	for range ops {
		<-running
	}
	delivered := make(chan error, batches*2)
	for i := range batches * 2 { // two windows of events beside those
		go func() {
			_, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message(fmt.Sprint("e", i))}})
			delivered <- err
		}()
	}
	for range batches { // the window of events is full
		<-taken
	}
	// Signals and calls go on beside the full lanes.
	r.remote.Signal(&sdk.Typing{Who: sdk.Party{User: "u"}, Active: true})
	<-host.signals
	if _, err := r.remote.LookupPerson(t.Context(), sdk.PersonQuery{Address: "a@example.org"}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	once.Do(func() { close(release) })
	for _, tk := range open {
		tk.Settle(sdk.Receipt{}, nil)
	}
	mu.Unlock()
	for range ops * 3 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	for range batches * 2 {
		if err := <-delivered; err != nil {
			t.Fatal(err)
		}
	}
	<-submitted
}

func TestLostConnection(t *testing.T) {
	host := newFakeHost()
	taken := make(chan *sdk.Ticket, 1)
	host.settle = func(_ sdk.Batch, tk *sdk.Ticket) { taken <- tk }
	bridge := newFakeBridge()
	sending := make(chan struct{})
	bridge.send = func(ctx context.Context, _ *sdk.SendMessage) (sdk.Delivered, error) {
		close(sending)
		<-ctx.Done()
		return sdk.Delivered{}, context.Cause(ctx)
	}
	r := newRig(t, rigOptions{bridge: bridge, host: host})
	ticket, err := r.remote.DeliverAsync(t.Context(), sdk.Batch{Events: []sdk.Event{message("a")}})
	if err != nil {
		t.Fatal(err)
	}
	tk := <-taken
	result := make(chan error, 1)
	if err := r.client.Submit(t.Context(), sendOp("o", "r"), func(_ sdk.Delivered, err error) { result <- err }); err != nil {
		t.Fatal(err)
	}
	<-sending
	r.grpc.Stop()
	if _, err := ticket.Wait(t.Context()); !errors.Is(err, sdk.ErrSessionLost) {
		t.Errorf("delivery: %v", err)
	}
	if err := <-result; !errors.Is(err, sdk.ErrSessionLost) {
		t.Errorf("operation: %v", err)
	}
	<-r.client.Done()
	<-r.server.lost()
	tk.Settle(sdk.Receipt{}, nil) // too late, harmless
	for what, err := range map[string]error{
		"deliver": second(r.remote.Deliver(t.Context(), sdk.Batch{})),
		"state":   second(r.remote.State().Get(t.Context(), "k")),
		"submit":  r.client.Submit(t.Context(), sendOp("p", "r"), func(sdk.Delivered, error) { t.Error("called") }),
		"resolve": second(r.client.Resolve(t.Context(), sdk.ResolveRequest{Text: "x"})),
	} {
		if !errors.Is(err, sdk.ErrSessionLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestBatchBounds(t *testing.T) {
	r := newRig(t, rigOptions{})
	many := make([]sdk.Event, sdk.MaxBatch+1)
	for i := range many {
		many[i] = message("x")
	}
	big := message("big")
	big.Content.SpoilerText = strings.Repeat("x", sdk.MaxEventBytes)
	for name, b := range map[string]sdk.Batch{"too many": {Events: many}, "too big": {Events: []sdk.Event{big}}} {
		if _, err := r.remote.Deliver(t.Context(), b); codeOf(err) != sdk.CodeTooBig {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: []sdk.Event{&sdk.UnknownEvent{}}}); codeOf(err) != sdk.CodeInvalid {
		t.Errorf("unknown event: %v", err)
	}
	if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: many[:sdk.MaxBatch]}); err != nil {
		t.Errorf("the largest batch: %v", err)
	}
	op := sendOp("o", "r")
	op.Content.SpoilerText = strings.Repeat("x", maxBatchBytes)
	if _, err := sdk.Handle(t.Context(), r.client, op); codeOf(err) != sdk.CodeTooLong {
		t.Errorf("operation: %v", err)
	}
}

func TestSubmitGivesUpWithItsContext(t *testing.T) {
	bridge := newFakeBridge()
	block := make(chan struct{})
	bridge.send = func(context.Context, *sdk.SendMessage) (sdk.Delivered, error) {
		<-block
		return sdk.Delivered{}, nil
	}
	r := newRig(t, rigOptions{bridge: bridge, ops: 1})
	first := make(chan error, 1)
	if err := r.client.Submit(t.Context(), sendOp("1", "r"), func(_ sdk.Delivered, err error) { first <- err }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.client.Submit(ctx, sendOp("2", "r"), nil); codeOf(err) != sdk.CodeUnavailable {
		t.Fatal(err)
	}
	close(block)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if _, err := sdk.Handle(t.Context(), r.client, sendOp("3", "r")); err != nil {
		t.Fatal(err)
	}
}

// An operation whose time is over when it arrives is answered; the session goes on.
func TestOperationsThatComeTooLate(t *testing.T) {
	r := newRig(t, rigOptions{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	answers := make(chan error, 100)
	sent := 0
	for i := range cap(answers) { // whether one leaves at all is by chance
		if err := r.client.Submit(ctx, sendOp(fmt.Sprint("late", i), "r"), func(_ sdk.Delivered, err error) { answers <- err }); err == nil {
			sent++
		}
	}
	for range sent {
		if err := <-answers; err == nil || errors.Is(err, sdk.ErrSessionLost) || !sdk.AsError(err).Temporary {
			t.Fatal(err)
		}
	}
	if _, err := sdk.Handle(t.Context(), r.client, sendOp("in time", "r")); err != nil {
		t.Fatal(err)
	}
}
