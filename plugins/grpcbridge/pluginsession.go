package grpcbridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Bounds of frames. maxMessage is what gRPC itself refuses to read.
const (
	maxMessage     = 8 << 20
	maxBatchBytes  = 2 << 20
	frameBytes     = 512 << 10 // a writer starts a new frame above this
	resultsAtATime = 1024
)

// pluginSession is the plugin's end of the durable lane.
//
// Queues: batches are bounded by the host's window (Deliver waits), results by
// our own window of operations (the host waits).
type pluginSession struct {
	codec *codec
	local *sdk.Local
	log   *slog.Logger

	ctx    context.Context // ends when the session is lost
	cancel context.CancelCauseFunc
	events *window
	bell   bell

	mu      sync.Mutex
	closed  bool
	batches []*pb.Batch     // to be sent
	waiting []*waitingBatch // sent or to be sent, not settled, in order of their numbers
	results []*pb.OpResult  // to be sent
	epoch   uint64          // of the last failure; see Batch.epoch
	opsLast uint64          // the last operation received
	opsDone uint64          // how many are resolved
	opsEdge uint64          // the limit the host was told
}

type waitingBatch struct {
	first, last uint64
	ticket      *sdk.Ticket
	receipt     sdk.Receipt
	settled     bool
}

func newPluginSession(c *codec, local *sdk.Local, log *slog.Logger) *pluginSession {
	s := &pluginSession{codec: c, local: local, log: log, bell: newBell()}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.events = newWindow(s.ctx.Done())
	return s
}

// run serves the stream until it breaks.
func (s *pluginSession) run(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
	writer := make(chan error, 1)
	go func() { writer <- pump(s.ctx, s.bell, s.frame, stream.Send) }()
	s.bell.ring() // the first window
	err := s.read(stream)
	s.lose(err)
	<-writer
	return err
}

func (s *pluginSession) read(stream grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
	for {
		f, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := s.receive(f); err != nil {
			s.log.Error("the host broke the protocol", "error", err)
			return err
		}
	}
}

// lose ends the session: nothing that was not acknowledged ever will be.
func (s *pluginSession) lose(err error) {
	if err == nil {
		err = sdk.ErrSessionLost
	}
	s.cancel(err)
	s.local.Abandon()
	s.mu.Lock()
	s.closed = true
	waiting := s.waiting
	s.waiting, s.batches = nil, nil
	s.mu.Unlock()
	for _, w := range waiting {
		w.ticket.Settle(sdk.Receipt{}, sdk.ErrSessionLost)
	}
}

func (s *pluginSession) receive(f *pb.HostFrame) error {
	s.problems(f.GetProblems())
	for _, r := range f.GetAcks() {
		if err := s.settle(r.GetFirst(), r.GetLast(), nil); err != nil {
			return err
		}
	}
	for _, fail := range f.GetFailures() {
		if err := s.fail(fail); err != nil {
			return err
		}
	}
	if to := f.GetAcceptEventsTo(); to > 0 {
		s.events.grow(to)
	}
	for _, op := range f.GetOps() {
		if err := s.operation(op); err != nil {
			return err
		}
	}
	return nil
}

// problems notes the events that were not taken, until their batch is settled.
func (s *pluginSession) problems(list []*pb.EventProblem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		for _, w := range s.waiting {
			if p.GetNumber() >= w.first && p.GetNumber() <= w.last {
				w.receipt.Problems = append(w.receipt.Problems, sdk.EventProblem{
					Index: int(p.GetNumber() - w.first), Outcome: sdk.Outcome(p.GetOutcome()), Text: p.GetText(),
				})
			}
		}
	}
}

func (s *pluginSession) fail(f *pb.BatchFailure) error {
	s.mu.Lock()
	s.epoch = max(s.epoch, f.GetEpoch())
	last := f.GetFirst()
	for _, w := range s.waiting {
		if w.first == f.GetFirst() {
			last = w.last
		}
	}
	s.mu.Unlock()
	return s.settle(f.GetFirst(), last, fromPBError(f.GetError()))
}

// settle closes the tickets of whole batches within first..last.
func (s *pluginSession) settle(first, last uint64, err error) error {
	if first == 0 || last < first || last > s.events.given() {
		return protocolError(fmt.Sprintf("acknowledged %d to %d of %d", first, last, s.events.given()))
	}
	var done []*waitingBatch
	s.mu.Lock()
	for _, w := range s.waiting {
		if w.first >= first && w.last <= last && !w.settled {
			w.settled = true
			done = append(done, w)
		}
	}
	for len(s.waiting) > 0 && s.waiting[0].settled {
		s.waiting = s.waiting[1:]
	}
	s.mu.Unlock()
	for _, w := range done {
		w.ticket.Settle(w.receipt, err)
	}
	return nil
}

// operation starts one operation. It never blocks: the host may only have sent
// as many as the window has room for.
func (s *pluginSession) operation(m *pb.NumberedOp) error {
	s.mu.Lock()
	s.opsLast++
	expected, edge := s.opsLast, s.opsEdge
	s.mu.Unlock()
	if m.GetNumber() != expected || m.GetNumber() > edge {
		return protocolError(fmt.Sprintf("operation %d where %d was expected and %d allowed", m.GetNumber(), expected, edge))
	}
	op, err := s.codec.toOp(m.GetOp())
	if err != nil {
		s.result(m.GetNumber(), sdk.Delivered{}, &sdk.Error{Code: sdk.CodeInvalid, Text: err.Error()})
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, cmpOr(micros(m.GetTimeout()), defaultTimeout))
	err = s.local.Submit(ctx, op, func(d sdk.Delivered, err error) {
		cancel()
		s.result(m.GetNumber(), d, err)
	})
	if err != nil {
		cancel()
		if s.ctx.Err() != nil {
			return err
		}
		// It came too late to be begun: that is its own trouble, not the session's.
		s.result(m.GetNumber(), sdk.Delivered{}, err)
	}
	return nil
}

func cmpOr(d, or time.Duration) time.Duration {
	if d <= 0 {
		return or
	}
	return d
}

func (s *pluginSession) result(number uint64, d sdk.Delivered, err error) {
	r := &pb.OpResult{Number: number, Error: toPBError(err)}
	if err == nil {
		r.Delivered = encode[pb.Delivered](s.codec, d)
	}
	s.mu.Lock()
	s.results = append(s.results, r)
	s.opsDone++
	s.mu.Unlock()
	s.bell.ring()
}

// frame gathers what is to be sent.
func (s *pluginSession) frame() (*pb.PluginFrame, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &pb.PluginFrame{}
	if edge := s.opsDone + uint64(s.local.Window()); edge > s.opsEdge {
		s.opsEdge = edge
		f.AcceptOpsTo = edge
	}
	n := min(len(s.results), resultsAtATime)
	f.Results, s.results = s.results[:n:n], s.results[n:]
	size := 0
	for len(s.batches) > 0 && size < frameBytes {
		size += proto.Size(s.batches[0])
		f.Batches = append(f.Batches, s.batches[0])
		s.batches = s.batches[1:]
	}
	return f, f.AcceptOpsTo > 0 || n > 0 || len(f.Batches) > 0
}

// deliver numbers and queues a batch.
func (s *pluginSession) deliver(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	m, err := s.batch(b)
	if err != nil {
		return nil, err
	}
	count := uint64(max(len(b.Events), 1))
	first, done, err := s.events.reserve(ctx, count)
	if err != nil {
		return nil, err
	}
	defer done()
	m.First = first
	w := &waitingBatch{first: first, last: first + count - 1, ticket: sdk.NewTicket()}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, sdk.ErrSessionLost
	}
	m.Epoch = s.epoch
	s.waiting = append(s.waiting, w)
	s.batches = append(s.batches, m)
	s.mu.Unlock()
	s.bell.ring()
	return w.ticket, nil
}

func (s *pluginSession) batch(b sdk.Batch) (*pb.Batch, error) {
	if len(b.Events) > sdk.MaxBatch {
		return nil, sdk.Refuse(sdk.CodeTooBig, "a batch of %d events, more than %d", len(b.Events), sdk.MaxBatch)
	}
	m := &pb.Batch{}
	size := 0
	for i, e := range b.Events {
		ev, err := s.codec.event(e)
		if err != nil {
			return nil, &sdk.Error{Code: sdk.CodeInvalid, Err: fmt.Errorf("event %d: %w", i, err)}
		}
		n := proto.Size(ev)
		if n > sdk.MaxEventBytes {
			return nil, sdk.Refuse(sdk.CodeTooBig, "event %d has %d bytes, more than %d", i, n, sdk.MaxEventBytes)
		}
		size += n
		m.Events = append(m.Events, ev)
	}
	for _, c := range b.Cursors {
		m.Cursors = append(m.Cursors, encode[pb.CursorMark](s.codec, c))
	}
	if size > maxBatchBytes {
		return nil, sdk.Refuse(sdk.CodeTooBig, "a batch of %d bytes, more than %d", size, maxBatchBytes)
	}
	return m, nil
}
