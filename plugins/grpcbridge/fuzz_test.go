package grpcbridge

import (
	"context"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Whatever a plugin sends becomes an event or an error; what was taken travels
// on unchanged.
func FuzzEvent(f *testing.F) {
	c := testCodec(f)
	for _, e := range []sdk.Event{message("e1"), &sdk.Reaction{Emoji: []sdk.Emoji{{Text: "👍"}}}, &sdk.RoomChanged{Rules: &sdk.Capabilities{}}} {
		m, err := c.event(e)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m pb.Event
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		e, err := c.toEvent(&m)
		if err != nil {
			return
		}
		if _, unknown := e.(*sdk.UnknownEvent); unknown {
			return
		}
		again, err := c.event(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proto.Marshal(again); err != nil {
			t.Fatal(err)
		}
		back, err := c.toEvent(again)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%v:\n %+v\n %+v", err, e, back)
		}
	})
}

// Whatever frames a plugin sends, the host neither panics nor blocks nor lets more
// in than it granted.
func FuzzPluginFrame(f *testing.F) {
	for _, frame := range []*pb.PluginFrame{
		{AcceptOpsTo: 5, Results: []*pb.OpResult{{Number: 1, Delivered: &pb.Delivered{Parts: []*pb.Part{{Remote: "x"}}}}}},
		{Batches: []*pb.Batch{{First: 1, Events: []*pb.Event{{}}, Cursors: []*pb.CursorMark{{Cursor: "c"}}}, {First: 2, Epoch: 1}}},
	} {
		raw, err := proto.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	c := testCodec(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var frame pb.PluginFrame
		if proto.Unmarshal(raw, &frame) != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		host := newFakeHost()
		host.settle = func(sdk.Batch, *sdk.Ticket) {}
		s := newHostSession(ctx, c, host, discard(), sdk.MaxBatch)
		s.frame() // grants the window
		s.pending[1] = func(sdk.Delivered, error) {}
		for _, b := range frame.GetBatches() {
			if s.receive(b) != nil {
				break
			}
		}
		_ = s.results(frame.GetResults())
		s.ops.grow(frame.GetAcceptOpsTo())
		for len(s.inbox) > 0 {
			s.hand(<-s.inbox)
		}
		if len(host.events) > sdk.MaxBatch {
			t.Fatalf("%d events are in", len(host.events))
		}
	})
}

// Whatever frames a host sends, the plugin neither panics nor blocks.
func FuzzHostFrame(f *testing.F) {
	for _, frame := range []*pb.HostFrame{
		{AcceptEventsTo: 300, Acks: []*pb.NumberRange{{First: 1, Last: 2}}, Problems: []*pb.EventProblem{{Number: 2}}},
		{Failures: []*pb.BatchFailure{{First: 1, Epoch: 1}}, Ops: []*pb.NumberedOp{{Number: 1, Op: &pb.Op{}, Timeout: -1}}},
	} {
		raw, err := proto.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	c := testCodec(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var frame pb.HostFrame
		if proto.Unmarshal(raw, &frame) != nil {
			return
		}
		bridge := newFakeBridge()
		local := sdk.NewLocal(bridge, sdk.LocalOptions{Window: 4})
		s := newPluginSession(c, local, discard())
		s.frame() // grants the window
		s.events.grow(4)
		var tickets []*sdk.Ticket
		for range 3 {
			ticket, err := s.deliver(t.Context(), sdk.Batch{Events: []sdk.Event{message("e")}})
			if err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, ticket)
		}
		_ = s.receive(&frame)
		s.lose(nil)
		local.Close()
		for _, ticket := range tickets { // acknowledged, failed or lost, but never left open
			<-ticket.Done()
		}
	})
}
