package journal

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// job is a Work in the queue, with the outcome of its last slice.
type job struct {
	work Work
	last error
}

// pauseAfterFailure keeps a work whose slice could not be written from trying again and again on a full disk.
const pauseAfterFailure = time.Second

// Background implements Submitter. Works take turns, slice by slice; those that are not at their end when the committer stops are dropped and
// must be given again after the next start. A slice keeps no order with the live units of its lane.
func (c *Committer) Background(w Work) {
	c.mu.Lock()
	if !c.closed {
		c.works = append(c.works, &job{work: w})
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// work prepares the slices, one ahead of the committing goroutine.
func (c *Committer) work() {
	defer close(c.worked)
	for {
		j := c.nextJob()
		if j == nil {
			select {
			case <-c.more:
				continue
			case <-c.stop:
				return
			}
		}
		u, err := c.next(j)
		if u == nil || err != nil {
			c.drop(err)
			continue
		}
		var ok bool
		if ok, j.last = c.hand(u); !ok {
			return
		}
		c.rotate()
		if errors.Is(j.last, ErrUnavailable) && !c.pause() {
			return
		}
	}
}

// nextJob returns the job whose turn it is, or nil.
func (c *Committer) nextJob() *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.works) == 0 {
		return nil
	}
	return c.works[0]
}

// next asks for a slice; a work that panics has ended.
func (c *Committer) next(j *job) (u *Unit, err error) {
	defer func() {
		if v := recover(); v != nil {
			u, err = nil, fmt.Errorf("journal: background work panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return j.work.Next(c.ctx, c.o.SliceBudget, j.last)
}

// hand gives a slice to the committing goroutine and waits for its outcome; ok is false if the committer stopped meanwhile.
func (c *Committer) hand(u *Unit) (ok bool, outcome error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		u.finish(ErrStopped)
		return false, nil
	}
	u.seal()
	c.slice = u
	c.wake.Signal()
	c.mu.Unlock()
	select {
	case outcome = <-c.sliceOK:
		return true, outcome
	case <-c.stop:
	}
	c.mu.Lock()
	taken := c.slice != u
	c.slice = nil
	c.mu.Unlock()
	if taken { // its commit is under way
		<-c.sliceOK
	} else {
		u.finish(ErrStopped)
	}
	return false, nil
}

// pause waits a moment; false if the committer stopped meanwhile.
func (c *Committer) pause() bool {
	t := time.NewTimer(pauseAfterFailure)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.stop:
		return false
	}
}

// rotate puts the job that had its turn behind the others.
func (c *Committer) rotate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.works); n > 1 {
		j := c.works[0]
		copy(c.works, c.works[1:])
		c.works[n-1] = j
	}
}

// drop removes the job whose turn it was; err is why it ended early.
func (c *Committer) drop(err error) {
	c.mu.Lock()
	c.works[0] = nil
	c.works = c.works[1:]
	if err != nil {
		c.stats.workErrors++
	}
	c.mu.Unlock()
	if err != nil && c.ctx.Err() == nil {
		c.o.Log.Error("journal: background work ended", "error", err)
	}
}

// commitSlice commits a background slice in a transaction of its own, so that no live unit waits for its rows within a group.
func (c *Committer) commitSlice(u *Unit) {
	start := c.o.Clock()
	var err error
	if !u.Empty() {
		c.one[0] = u
		err = c.commit(c.one[:])[0]
		c.one[0] = nil
		c.health(err)
	}
	now := c.o.Clock()
	u.finish(err)
	c.mu.Lock()
	c.lastSlice = now
	c.stats.slices++
	if now.Sub(start) > 2*c.o.SliceBudget {
		c.stats.overruns++
	}
	c.mu.Unlock()
	c.sliceOK <- err
}
