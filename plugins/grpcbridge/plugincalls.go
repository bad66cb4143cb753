package grpcbridge

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// defaultTimeout bounds a call whose caller set no deadline.
const defaultTimeout = 60 * time.Second

// pluginCalls is the plugin's end of the lane for its own requests. The queue is
// short and full at worst with callers, who wait; the reader never does.
type pluginCalls struct {
	codec *codec
	lost  <-chan struct{}
	out   chan *pb.Call

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan *pb.CallReply
}

func newPluginCalls(c *codec, lost <-chan struct{}) *pluginCalls {
	return &pluginCalls{codec: c, lost: lost, out: make(chan *pb.Call, 64), waiting: map[uint64]chan *pb.CallReply{}}
}

func (p *pluginCalls) run(stream grpc.BidiStreamingServer[pb.CallReply, pb.Call]) error {
	ended := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { p.write(stream, ended) })
	defer writer.Wait()
	defer close(ended)
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		p.mu.Lock()
		ch := p.waiting[r.GetId()]
		delete(p.waiting, r.GetId())
		p.mu.Unlock()
		if ch != nil { // else its caller has given up
			ch <- r
		}
	}
}

func (p *pluginCalls) write(stream grpc.BidiStreamingServer[pb.CallReply, pb.Call], ended <-chan struct{}) {
	for {
		select {
		case c := <-p.out:
			if stream.Send(c) != nil {
				return
			}
		case <-ended:
			return
		case <-p.lost:
			return
		}
	}
}

// do sends a request and waits for its answer.
func (p *pluginCalls) do(ctx context.Context, c *pb.Call) (*pb.CallReply, error) {
	ctx, cancel := withDefaultTimeout(ctx)
	defer cancel()
	deadline, _ := ctx.Deadline()
	c.Timeout = max(time.Until(deadline).Microseconds(), 1)
	ch := make(chan *pb.CallReply, 1)
	p.mu.Lock()
	p.last++
	c.Id = p.last
	p.waiting[c.Id] = ch
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, c.Id)
		p.mu.Unlock()
	}()
	select {
	case p.out <- c:
	case <-ctx.Done():
		return nil, sdk.AsError(ctx.Err())
	case <-p.lost:
		return nil, sdk.ErrSessionLost
	}
	select {
	case r := <-ch:
		return r, fromPBError(r.GetError())
	case <-ctx.Done():
		return nil, sdk.AsError(ctx.Err())
	case <-p.lost:
		return nil, sdk.ErrSessionLost
	}
}

// withDefaultTimeout gives every call a deadline.
func withDefaultTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultTimeout)
}
