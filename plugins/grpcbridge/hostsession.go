package grpcbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// hostSession is the host's end of the durable lane.
//
// Queues: inbox holds at most the window of events the plugin was granted; a
// plugin that sends more has broken the protocol and loses its session. ops are
// bounded by the plugin's window (Submit waits).
type hostSession struct {
	codec  *codec
	host   sdk.Host
	log    *slog.Logger
	size   uint64 // our window of events
	ctx    context.Context
	cancel context.CancelCauseFunc
	ops    *window
	bell   bell
	inbox  chan *pb.Batch

	mu       sync.Mutex
	received uint64 // the last event number received
	released uint64 // how many numbers are settled
	edge     uint64 // the limit the plugin was told
	epoch    uint64 // counts failures; see Batch.epoch
	acks     ranges
	problems []*pb.EventProblem
	failures []*pb.BatchFailure
	queue    []*pb.NumberedOp
	pending  map[uint64]func(sdk.Delivered, error)
}

type hostStream = grpc.BidiStreamingClient[pb.HostFrame, pb.PluginFrame]

func newHostSession(ctx context.Context, c *codec, host sdk.Host, log *slog.Logger, size int) *hostSession {
	s := &hostSession{
		codec: c, host: host, log: log, size: uint64(max(size, sdk.MaxBatch)), bell: newBell(),
		pending: map[uint64]func(sdk.Delivered, error){},
	}
	s.inbox = make(chan *pb.Batch, s.size)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.ops = newWindow(s.ctx.Done())
	return s
}

// run serves the stream until it breaks, and returns why. The stream must be
// bound to s.ctx.
func (s *hostSession) run(stream hostStream) error {
	var work sync.WaitGroup
	work.Go(func() {
		if err := pump(s.ctx, s.bell, s.frame, stream.Send); err != nil {
			s.cancel(sessionLost(err))
		}
	})
	work.Go(s.deliver)
	s.bell.ring() // the first window
	err := s.read(stream)
	s.cancel(sessionLost(err))
	work.Wait()
	s.forget()
	return context.Cause(s.ctx)
}

// sessionLost keeps what the contract already has a word for.
func sessionLost(err error) error {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	return &sdk.Error{Code: sdk.CodeSessionLost, Temporary: true, Err: err}
}

// forget answers every operation still under way: its outcome is unknown.
func (s *hostSession) forget() {
	s.mu.Lock()
	pending := s.pending
	s.pending, s.queue = nil, nil
	s.mu.Unlock()
	for _, done := range pending {
		done(sdk.Delivered{}, sdk.ErrSessionLost)
	}
}

func (s *hostSession) read(stream hostStream) error {
	for {
		f, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, b := range f.GetBatches() {
			if err := s.receive(b); err != nil {
				return err
			}
		}
		if err := s.results(f.GetResults()); err != nil {
			return err
		}
		if to := f.GetAcceptOpsTo(); to > 0 {
			s.ops.grow(to)
		}
	}
}

// receive checks a batch's numbers and queues it. It never blocks: the inbox has
// room for everything that was granted.
func (s *hostSession) receive(b *pb.Batch) error {
	count := uint64(max(len(b.GetEvents()), 1))
	s.mu.Lock()
	expected, edge := s.received+1, s.edge
	s.received += count
	last := s.received
	s.mu.Unlock()
	if len(b.GetEvents()) > sdk.MaxBatch {
		return protocolError(fmt.Sprintf("a batch of %d events", len(b.GetEvents())))
	}
	if b.GetFirst() != expected || last > edge {
		return protocolError(fmt.Sprintf("events %d to %d where %d was expected and %d allowed", b.GetFirst(), last, expected, edge))
	}
	s.inbox <- b
	return nil
}

func (s *hostSession) results(list []*pb.OpResult) error {
	for _, r := range list {
		s.mu.Lock()
		done, ok := s.pending[r.GetNumber()]
		delete(s.pending, r.GetNumber())
		s.mu.Unlock()
		if !ok {
			return protocolError(fmt.Sprintf("a result for operation %d, which is not under way", r.GetNumber()))
		}
		if r.GetError() != nil {
			done(sdk.Delivered{}, fromPBError(r.GetError()))
			continue
		}
		d, err := decode[sdk.Delivered](s.codec, r.GetDelivered())
		if err != nil {
			// The network has it; only what it is called was nonsense.
			s.log.Error("malformed result", "error", err)
			d = sdk.Delivered{}
		}
		done(d, nil)
	}
	return nil
}

// deliver hands batches to the gateway, one after the other.
func (s *hostSession) deliver() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case b := <-s.inbox:
			s.hand(b)
		}
	}
}

func (s *hostSession) hand(b *pb.Batch) {
	s.mu.Lock()
	stale := b.GetEpoch() != s.epoch
	s.mu.Unlock()
	if stale {
		s.settle(b, nil, &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "an earlier batch failed"})
		return
	}
	batch, at, problems := s.decode(b)
	if len(problems) == len(b.GetEvents()) && len(batch.Cursors) == 0 && len(problems) > 0 {
		s.settle(b, problems, nil)
		return
	}
	ticket, err := s.host.DeliverAsync(s.ctx, batch)
	if err != nil {
		s.settle(b, nil, err)
		return
	}
	ticket.Then(func(r sdk.Receipt, err error) {
		for _, p := range r.Problems {
			if p.Index < 0 || p.Index >= len(at) {
				continue
			}
			problems = append(problems, &pb.EventProblem{Number: at[p.Index], Outcome: pb.Outcome(p.Outcome), Text: validUTF8(p.Text)})
		}
		s.settle(b, problems, err)
	})
}

// decode reads a batch; at gives the number of each event that is left in it.
// What is malformed is rejected by itself, the rest goes on.
func (s *hostSession) decode(b *pb.Batch) (batch sdk.Batch, at []uint64, problems []*pb.EventProblem) {
	for i, m := range b.GetEvents() {
		number := b.GetFirst() + uint64(i)
		e, err := s.codec.toEvent(m)
		if err == nil && proto.Size(m) > sdk.MaxEventBytes {
			err = fmt.Errorf("larger than %d bytes", sdk.MaxEventBytes)
		}
		if err != nil {
			s.log.Warn("malformed event", "number", number, "error", err)
			problems = append(problems, &pb.EventProblem{Number: number, Outcome: pb.Outcome_OUTCOME_REJECTED, Text: err.Error()})
			continue
		}
		batch.Events = append(batch.Events, e)
		at = append(at, number)
	}
	for _, m := range b.GetCursors() {
		c, err := decode[sdk.CursorMark](s.codec, m)
		if err != nil {
			s.log.Warn("malformed cursor", "error", err)
			continue
		}
		batch.Cursors = append(batch.Cursors, c)
	}
	return batch, at, problems
}

// settle answers a batch and gives its room back. The first failure of an epoch
// begins the next: what the plugin sent before it knew is failed as well, and
// that begins nothing, or a plugin that sends ahead would never catch up.
func (s *hostSession) settle(b *pb.Batch, problems []*pb.EventProblem, err error) {
	first, count := b.GetFirst(), uint64(max(len(b.GetEvents()), 1))
	s.mu.Lock()
	s.released += count
	if err != nil {
		if b.GetEpoch() == s.epoch {
			s.epoch++
		}
		s.failures = append(s.failures, &pb.BatchFailure{First: first, Error: toPBError(err), Epoch: s.epoch})
	} else {
		s.acks.add(first, first+count-1)
		s.problems = append(s.problems, problems...)
	}
	s.mu.Unlock()
	s.bell.ring()
}

func (s *hostSession) frame() (*pb.HostFrame, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &pb.HostFrame{Problems: s.problems, Failures: s.failures}
	s.problems, s.failures = nil, nil
	for _, r := range s.acks.take() {
		f.Acks = append(f.Acks, &pb.NumberRange{First: r.first, Last: r.last})
	}
	if edge := s.released + s.size; edge > s.edge {
		s.edge = edge
		f.AcceptEventsTo = edge
	}
	size := 0
	for len(s.queue) > 0 && size < frameBytes {
		size += proto.Size(s.queue[0])
		f.Ops = append(f.Ops, s.queue[0])
		s.queue = s.queue[1:]
	}
	return f, f.AcceptEventsTo > 0 || len(f.Acks)+len(f.Problems)+len(f.Failures)+len(f.Ops) > 0
}

// submit numbers and queues an operation.
func (s *hostSession) submit(ctx context.Context, op sdk.Op, done func(sdk.Delivered, error)) error {
	m, err := s.codec.op(op)
	if err != nil {
		return err
	}
	if n := proto.Size(m); n > maxBatchBytes {
		return sdk.Refuse(sdk.CodeTooLong, "%d bytes are more than can be carried", n)
	}
	number, release, err := s.ops.reserve(ctx, 1)
	if err != nil {
		return err
	}
	defer release()
	numbered := &pb.NumberedOp{Number: number, Op: m}
	if deadline, ok := ctx.Deadline(); ok {
		numbered.Timeout = max(time.Until(deadline).Microseconds(), 1)
	}
	s.mu.Lock()
	if s.pending == nil {
		s.mu.Unlock()
		return sdk.ErrSessionLost
	}
	s.pending[number] = done
	s.queue = append(s.queue, numbered)
	s.mu.Unlock()
	s.bell.ring()
	return nil
}
