package grpcbridge

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

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
