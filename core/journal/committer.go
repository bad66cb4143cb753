package journal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Options of a Committer. Backend is required; zero values take the defaults.
type Options struct {
	Backend         Backend
	Log             *slog.Logger     // nil: discarded
	MaxGroup        int              // units in one transaction; 256
	MaxGroupBytes   int              // bytes (Unit.Size) in one transaction; 4 MiB
	MaxWaiting      int              // units under way before Admit blocks; 16,384
	MaxWaitingBytes int              // bytes under way before Admit blocks; 64 MiB
	SliceBudget     time.Duration    // what a background slice may take; 5 ms, never more
	SliceEvery      time.Duration    // while live units keep waiting, one background slice in this time; 100 ms
	Clock           func() time.Time // nil: time.Now
}

const maxSliceBudget = 5 * time.Millisecond

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxGroup, 256}, {&o.MaxGroupBytes, 4 << 20}, {&o.MaxWaiting, 16384}, {&o.MaxWaitingBytes, 64 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.SliceBudget <= 0 || o.SliceBudget > maxSliceBudget {
		o.SliceBudget = maxSliceBudget
	}
	if o.SliceEvery <= 0 {
		o.SliceEvery = 100 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

// Committer is the Submitter of one store. Units are committed strictly in the order of their submission.
//
// What waits is bounded by its edges: they call Admit before they take in more. Submit itself refuses nothing, because the work that it
// carries has been admitted already.
type Committer struct {
	o Options

	mu      sync.Mutex
	wake    *sync.Cond    // something to commit, or stopping
	waiting []*Unit       // in order; empty units keep their place among the others
	lanes   map[Lane]int  // units under way by lane
	units   int           // units under way, with the group that is being committed
	bytes   int           // their bytes
	room    chan struct{} // closed when Admit may go on; nil if nobody waits
	slice   *Unit         // the next background slice
	sliceOK chan error    // its outcome, to the background goroutine
	works   []*job
	more    chan struct{} // a Work was added
	started bool
	closed  bool // Submit refuses
	abandon bool // what waits is given up

	ctx    context.Context // of backend calls and works; ended when the committer gives up or is done
	cancel context.CancelFunc
	stop   chan struct{} // closed with closed
	done   chan struct{} // the committing goroutine has ended
	worked chan struct{} // the background goroutine has ended

	lastSlice time.Time
	stats     counters
	group     []*Unit // scratch of the committing goroutine
	rows      []*Unit
	one       [1]*Unit
	ailing    bool // the store fails; only the committing goroutine uses it
}

var _ Submitter = (*Committer)(nil)

// New returns a committer that is not yet running: what is submitted before Start waits.
func New(o Options) *Committer {
	o.fill()
	ctx, cancel := context.WithCancel(context.Background())
	c := &Committer{
		o: o, lanes: map[Lane]int{}, ctx: ctx, cancel: cancel, sliceOK: make(chan error, 1), more: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}), worked: make(chan struct{}),
	}
	c.wake = sync.NewCond(&c.mu)
	return c
}

// Start starts the goroutines.
func (c *Committer) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closed {
		return
	}
	c.started = true
	c.lastSlice = c.o.Clock()
	go c.run()
	go c.work()
}

// Stop refuses further units, commits what waits and ends the goroutines. If ctx ends first, the rest fails with ErrStopped and Stop returns
// ctx's error, at once: a transaction that hangs in a dead disk cannot be waited for.
func (c *Committer) Stop(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	started := c.started
	if first {
		close(c.stop)
		c.openGate()
	}
	if first && !started { // nothing runs that could finish them
		waiting := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		c.finish(waiting, nil, ErrStopped)
		close(c.done)
		close(c.worked)
		c.cancel()
		return nil
	}
	c.wake.Broadcast()
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.mu.Lock()
		c.abandon = true
		c.wake.Broadcast()
		c.mu.Unlock()
		c.cancel()
		return ctx.Err()
	}
	c.cancel()
	select {
	case <-c.worked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Submit implements Submitter.
func (c *Committer) Submit(u *Unit) {
	u.seal()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		u.finish(ErrStopped)
		return
	}
	if u.Empty() && c.lanes[u.Lane] == 0 {
		c.stats.passed++
		c.mu.Unlock()
		u.finish(nil)
		return
	}
	c.lanes[u.Lane]++
	c.units++
	c.bytes += u.size
	c.waiting = append(c.waiting, u)
	if len(c.waiting) == 1 {
		c.wake.Signal()
	}
	c.mu.Unlock()
}

// Admit implements Submitter.
func (c *Committer) Admit(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return ErrStopped
		}
		if !c.full() {
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.stats.held++
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Committer) full() bool { return c.units >= c.o.MaxWaiting || c.bytes >= c.o.MaxWaitingBytes }

// openGate lets everybody in Admit look again. c.mu is held.
func (c *Committer) openGate() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// run commits until the committer is stopped and nothing waits.
func (c *Committer) run() {
	defer close(c.done)
	for {
		group, slice, ok := c.take()
		if !ok {
			return
		}
		switch {
		case slice != nil:
			c.commitSlice(slice)
		case group == nil: // given up
			c.mu.Lock()
			rest := c.waiting
			c.waiting = nil
			c.mu.Unlock()
			c.finish(rest, nil, ErrStopped)
		default:
			c.commitGroup(group)
		}
	}
}

// take waits for the next group or slice. ok is false at the end; neither means that what waits is to be given up.
func (c *Committer) take() (group []*Unit, slice *Unit, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) == 0 && c.slice == nil && !c.closed {
		c.wake.Wait()
	}
	if c.slice != nil && !c.closed && (len(c.waiting) == 0 || c.o.Clock().Sub(c.lastSlice) >= c.o.SliceEvery) {
		slice, c.slice = c.slice, nil
		return nil, slice, true
	}
	if len(c.waiting) == 0 {
		return nil, nil, false
	}
	if c.abandon {
		return nil, nil, true
	}
	n, rows, size := 0, 0, 0
	for _, u := range c.waiting {
		if !u.Empty() {
			if rows == c.o.MaxGroup || rows > 0 && size+u.size > c.o.MaxGroupBytes {
				break
			}
			rows++
			size += u.size
		}
		n++
	}
	c.group = append(c.group[:0], c.waiting[:n]...)
	rest := copy(c.waiting, c.waiting[n:])
	clear(c.waiting[rest:])
	c.waiting = c.waiting[:rest]
	return c.group, nil, true
}

// commitGroup commits the units that have rows and posts the steps of all, in order.
func (c *Committer) commitGroup(group []*Unit) {
	rows := c.rows[:0]
	for _, u := range group {
		if !u.Empty() {
			rows = append(rows, u)
		}
	}
	c.rows = rows
	var errs []error
	if len(rows) > 0 {
		errs = c.commit(rows)
		c.health(errs[0])
		if len(rows) > 1 && errors.Is(errs[0], ErrUnavailable) {
			errs = c.oneByOne(rows)
		}
	}
	c.finish(group, errs, nil)
	clear(group)
	clear(rows)
}

// oneByOne tries the units of a group that failed as a whole again, each in its own transaction: one that cannot be written (too large for
// what is left of the disk) must not take the others with it.
func (c *Committer) oneByOne(rows []*Unit) []error {
	errs := make([]error, len(rows))
	for i, u := range rows {
		if c.ctx.Err() != nil {
			errs[i] = ErrStopped
			continue
		}
		c.one[0] = u
		errs[i] = c.commit(c.one[:])[0]
		c.health(errs[i])
	}
	c.one[0] = nil
	c.mu.Lock()
	c.stats.retried++
	c.mu.Unlock()
	return errs
}

// health logs when the store begins to fail and when it works again, once each.
func (c *Committer) health(err error) {
	switch failing := errors.Is(err, ErrUnavailable); {
	case failing && !c.ailing:
		c.o.Log.Error("journal: the store cannot write; what is to be durable is refused until it can", "error", err)
		c.ailing = true
	case err == nil && c.ailing:
		c.o.Log.Info("journal: the store writes again")
		c.ailing = false
	}
}

// finish posts the steps of the units, then takes them out of the account: a unit without rows that is submitted meanwhile still finds its
// lane busy and queues behind. errs are those of the units that have rows; all is the outcome of every unit if there is no errs.
func (c *Committer) finish(units []*Unit, errs []error, all error) {
	failed, row, size := 0, 0, 0
	for _, u := range units {
		err := all
		if !u.Empty() && errs != nil {
			err = errs[row]
			row++
		}
		if err != nil {
			failed++
		}
		size += u.size
		u.finish(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.units -= len(units)
	c.bytes -= size
	c.stats.units += uint64(len(units))
	c.stats.failed += uint64(failed)
	for _, u := range units {
		if n := c.lanes[u.Lane]; n > 1 {
			c.lanes[u.Lane] = n - 1
		} else {
			delete(c.lanes, u.Lane)
		}
	}
	if !c.full() {
		c.openGate()
	}
}
