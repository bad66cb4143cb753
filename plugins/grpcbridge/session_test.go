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

	"google.golang.org/grpc"

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
// after a failure may get through before the bridge knows of it.
func TestNothingOvertakesAFailure(t *testing.T) {
	host := newFakeHost()
	fail := true
	host.refuse = func(b sdk.Batch) error {
		if fail && b.Events[0].Head().ID == "b1" {
			fail = false
			return sdk.RetryAfter(time.Second, errors.New("disk full"))
		}
		return nil
	}
	r := newRig(t, rigOptions{host: host})
	// All three are on their way before the first answer is read: the session's
	// queue is filled while its reader cannot run.
	session := r.server.session
	var tickets []*sdk.Ticket
	session.mu.Lock()
	epoch := session.epoch
	session.mu.Unlock()
	for i := range 3 {
		ticket, err := session.deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message(fmt.Sprint("b", i))}})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	if _, err := tickets[0].Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tickets[1].Wait(t.Context()); codeOf(err) != sdk.CodeRateLimited {
		t.Fatal(err)
	}
	_, err := tickets[2].Wait(t.Context())
	session.mu.Lock()
	knew := session.epoch != epoch && err == nil
	session.mu.Unlock()
	if err == nil && !knew {
		t.Fatal("a batch overtook a failed one")
	}
	for i := 1; i < 3; i++ {
		if _, err := r.remote.Deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message(fmt.Sprint("b", i))}}); err != nil {
			t.Fatal(err)
		}
	}
	got := r.host.ids()
	if got[0] != "b0" || got[len(got)-2] != "b1" || got[len(got)-1] != "b2" {
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

// rawPlugin is a plugin of another author: its session is what the test makes it.
type rawPlugin struct {
	pb.UnimplementedBridgeServer
	session func(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error
}

func (p *rawPlugin) Hello(context.Context, *pb.HelloRequest) (*pb.HelloReply, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	return &pb.HelloReply{Info: encode[pb.Info](c, fakeInfo())}, nil
}

func (p *rawPlugin) Start(context.Context, *pb.Resume) (*pb.Status, error) { return &pb.Status{}, nil }

func (p *rawPlugin) Session(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
	return p.session(stream)
}

func (p *rawPlugin) Signals(stream grpc.BidiStreamingServer[pb.SignalFrame, pb.SignalFrame]) error {
	<-stream.Context().Done()
	return nil
}

func (p *rawPlugin) Calls(stream grpc.BidiStreamingServer[pb.CallReply, pb.Call]) error {
	<-stream.Context().Done()
	return nil
}

func startRaw(t *testing.T, host sdk.Host, session func(grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error) *Client {
	t.Helper()
	conn, _ := serveInProcess(t, &rawPlugin{session: session})
	c, err := NewClient(t.Context(), conn, ClientOptions{SocketDir: socketDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Start(t.Context(), host, sdk.Resume{}); err != nil && !errors.Is(err, sdk.ErrSessionLost) {
		t.Fatal(err) // the session of a plugin that cheats may be over by now
	}
	return c
}

func TestAPluginThatBreaksTheProtocolLosesItsSession(t *testing.T) {
	event := func() *pb.Event {
		return &pb.Event{Head: &pb.EventHeader{Id: "x"}, Kind: &pb.Event_Message{Message: &pb.Message{}}}
	}
	flood := &pb.PluginFrame{}
	for i := range uint64(2000) { // more than the window of 1024
		flood.Batches = append(flood.Batches, &pb.Batch{First: i + 1, Events: []*pb.Event{event()}})
	}
	for name, frame := range map[string]*pb.PluginFrame{
		"a hole in the numbers":   {Batches: []*pb.Batch{{First: 2, Events: []*pb.Event{event()}}}},
		"a number twice":          {Batches: []*pb.Batch{{First: 1}, {First: 1}}},
		"a flood over the window": flood,
		"a result nobody asked":   {Results: []*pb.OpResult{{Number: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			host := newFakeHost()
			host.settle = func(sdk.Batch, *sdk.Ticket) {} // nothing is ever settled
			c := startRaw(t, host, func(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
				if _, err := stream.Recv(); err != nil { // the first window
					return err
				}
				_ = stream.Send(frame)
				<-stream.Context().Done()
				return nil
			})
			<-c.Done()
			if codeOf(c.Err()) != sdk.CodeProtocol {
				t.Fatal(c.Err())
			}
		})
	}
}

func TestEventsOfANewerPlugin(t *testing.T) {
	acks := make(chan *pb.HostFrame, 10)
	host := newFakeHost()
	host.settle = func(b sdk.Batch, tk *sdk.Ticket) {
		var r sdk.Receipt
		for i, e := range b.Events {
			if _, ok := e.(*sdk.UnknownEvent); ok {
				r.Problems = append(r.Problems, sdk.EventProblem{Index: i, Outcome: sdk.OutcomeUnsupported})
			}
		}
		tk.Settle(r, nil)
	}
	startRaw(t, host, func(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
		first, err := stream.Recv()
		if err != nil || first.GetAcceptEventsTo() < sdk.MaxBatch {
			return fmt.Errorf("first frame %v, %w", first, err)
		}
		err = stream.Send(&pb.PluginFrame{Batches: []*pb.Batch{{First: 1, Events: []*pb.Event{
			{Head: &pb.EventHeader{Id: "bad\x01"}, Kind: &pb.Event_Message{Message: &pb.Message{}}},
			{Head: &pb.EventHeader{Id: "new"}},
			{Head: &pb.EventHeader{Id: "good"}, Kind: &pb.Event_Message{Message: &pb.Message{}}},
		}}}})
		if err != nil {
			return err
		}
		for {
			f, err := stream.Recv()
			if err != nil {
				return err
			}
			acks <- f
		}
	})
	f := <-acks
	if len(f.GetAcks()) != 1 || f.GetAcks()[0].GetFirst() != 1 || f.GetAcks()[0].GetLast() != 3 {
		t.Fatalf("acks %v", f.GetAcks())
	}
	got := map[uint64]pb.Outcome{}
	for _, p := range f.GetProblems() {
		got[p.GetNumber()] = p.GetOutcome()
	}
	if want := map[uint64]pb.Outcome{1: pb.Outcome_OUTCOME_REJECTED, 2: pb.Outcome_OUTCOME_UNSUPPORTED}; !reflect.DeepEqual(got, want) {
		t.Fatalf("problems %v", got)
	}
	if ids := host.ids(); !slices.Equal(ids, []string{"new", "good"}) {
		t.Fatal(ids)
	}
}

func TestAHostThatBreaksTheProtocol(t *testing.T) {
	op := &pb.Op{Head: &pb.OpHeader{Id: "o"}, Kind: &pb.Op_Send{Send: &pb.SendMessage{}}}
	for name, frame := range map[string]*pb.HostFrame{
		"an ack for what was never sent": {Acks: []*pb.NumberRange{{First: 1, Last: 1 << 60}}},
		"an ack backwards":               {Acks: []*pb.NumberRange{{First: 2, Last: 1}}},
		"a hole in the operations":       {Ops: []*pb.NumberedOp{{Number: 2, Op: op}}},
		"operations over the window":     {Ops: []*pb.NumberedOp{{Number: 1, Op: op}, {Number: 2, Op: op}, {Number: 3, Op: op}}},
	} {
		t.Run(name, func(t *testing.T) {
			bridge := newFakeBridge()
			bridge.send = func(ctx context.Context, _ *sdk.SendMessage) (sdk.Delivered, error) {
				<-ctx.Done()
				return sdk.Delivered{}, ctx.Err()
			}
			r := newRig(t, rigOptions{idle: true, ops: 2, bridge: bridge})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := pb.NewBridgeClient(r.conn).Session(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(frame); err != nil {
				t.Fatal(err)
			}
			<-r.server.lost()
			if codeOf(context.Cause(r.server.session.ctx)) != sdk.CodeProtocol {
				t.Fatal(context.Cause(r.server.session.ctx))
			}
		})
	}
}

func TestStreamsOpenOnce(t *testing.T) {
	r := newRig(t, rigOptions{})
	stream, err := pb.NewBridgeClient(r.conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Fatal(err)
	}
	if err := r.client.Start(t.Context(), r.host, sdk.Resume{}); err == nil {
		t.Fatal("started twice")
	}
}
