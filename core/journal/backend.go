package journal

import (
	"fmt"
	"runtime/debug"
	"time"
)

// commit runs one transaction and measures it. A backend that panics or breaks its contract fails the group, not the committer.
func (c *Committer) commit(units []*Unit) (errs []error) {
	start := c.o.Clock()
	defer func() {
		if v := recover(); v != nil {
			c.o.Log.Error("journal: backend panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			errs = all(len(units), fmt.Errorf("journal: commit: backend panicked: %v", v))
		}
		c.mu.Lock()
		c.stats.groups++
		c.stats.observe(c.o.Clock().Sub(start))
		c.mu.Unlock()
	}()
	errs = c.o.Backend.Commit(c.ctx, units)
	if len(errs) != len(units) {
		return all(len(units), fmt.Errorf("journal: commit: backend gave %d outcomes for %d units", len(errs), len(units)))
	}
	return errs
}

func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// buckets are the upper bounds of the histogram of commit times, in seconds.
var buckets = [...]float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1}

// counters are guarded by Committer.mu.
type counters struct {
	groups, units, failed, retried, passed, held uint64
	slices, overruns, workErrors                 uint64
	times                                        [len(buckets) + 1]uint64
	seconds                                      float64
}

func (s *counters) observe(d time.Duration) {
	sec := d.Seconds()
	s.seconds += sec
	for i, b := range buckets {
		if sec <= b {
			s.times[i]++
			return
		}
	}
	s.times[len(buckets)]++
}

// Snapshot is the committer's counters at one moment.
type Snapshot struct {
	Groups     uint64 // transactions, background slices and repetitions included
	Units      uint64 // units that were finished through the queue
	Failed     uint64 // of these, with an error
	Retried    uint64 // groups that were tried again unit by unit
	Passed     uint64 // units without rows that were finished at once
	Held       uint64 // times that Admit had to wait
	Slices     uint64 // background slices
	Overruns   uint64 // slices that took longer than twice their budget
	WorkErrors uint64 // background works that ended with an error

	Waiting      int // units under way now
	WaitingBytes int
	Works        int // background works that are not finished

	CommitSeconds Histogram
}

// Histogram counts observations in seconds by upper bounds; Counts has one more entry for what is above the last bound.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// Snapshot returns the counters.
func (c *Committer) Snapshot() Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	return Snapshot{
		Groups: s.groups, Units: s.units, Failed: s.failed, Retried: s.retried, Passed: s.passed, Held: s.held,
		Slices: s.slices, Overruns: s.overruns, WorkErrors: s.workErrors,
		Waiting: c.units, WaitingBytes: c.bytes, Works: len(c.works),
		CommitSeconds: Histogram{
			Bounds: append([]float64(nil), buckets[:]...), Counts: append([]uint64(nil), s.times[:]...), Sum: s.seconds,
		},
	}
}
