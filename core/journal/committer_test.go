package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row is an op of a test.
type row struct {
	name string
	size int
}

func (row) JournalOp()    {}
func (r row) OpSize() int { return r.size }

// store is a backend that records the groups and fails as it is told.
type store struct {
	mu     sync.Mutex
	groups [][]string
	gate   chan struct{}              // if set, each commit takes one value first
	fail   func(names []string) error // the whole group
	reject map[string]error           // single units
}

func (s *store) Commit(ctx context.Context, units []*Unit) []error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(units))
	var names []string
	for i, u := range units {
		name := u.Ops()[0].(row).name
		names = append(names, name)
		errs[i] = s.reject[name]
	}
	if s.fail != nil {
		if err := s.fail(names); err != nil {
			return all(len(units), err)
		}
	}
	s.groups = append(s.groups, names)
	return errs
}

func (s *store) committed() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.groups)
}

// direct runs steps where they are posted and records them.
type direct struct {
	mu   sync.Mutex
	seen []string
}

func (d *direct) Post(fn func()) { fn() }

func (d *direct) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, s)
}

func (d *direct) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.seen)
}

func (d *direct) unit(lane, name string, size int) *Unit {
	u := NewUnit(AccountLane(lane))
	if size >= 0 {
		u.Add(row{name, size})
	}
	u.After(d, func(err error) {
		if err != nil {
			name = fmt.Sprintf("%s: %v", name, err)
		}
		d.note(name)
	})
	return u
}

const noRows = -1

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func stop(t *testing.T, c *Committer) {
	t.Helper()
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestOrderAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &store{}, &direct{}
		c := New(Options{Backend: s, MaxGroup: 3, MaxGroupBytes: 100})
		for _, u := range []*Unit{
			d.unit("a", "a1", 1), d.unit("b", "b1", 1), d.unit("a", "a2-chat-state", noRows), d.unit("a", "a3", 1), d.unit("b", "b2", 90),
			d.unit("a", "a4", 20), d.unit("a", "a5-huge", 500), d.unit("b", "b3-chat-state", noRows), d.unit("c", "c1", 1),
		} {
			c.Submit(u)
		}
		c.Start()
		synctest.Wait()
		equal(t, "groups", s.committed(), [][]string{{"a1", "b1", "a3"}, {"b2"}, {"a4"}, {"a5-huge"}, {"c1"}})
		equal(t, "steps", d.list(), []string{"a1", "b1", "a2-chat-state", "a3", "b2", "a4", "a5-huge", "b3-chat-state", "c1"})
		stop(t, c)
	})
}

func TestUnitWithoutRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &store{gate: make(chan struct{})}, &direct{}
		c := New(Options{Backend: s})
		c.Start()
		c.Submit(d.unit("a", "a-idle", noRows))
		equal(t, "idle lane", d.list(), []string{"a-idle"})
		c.Submit(d.unit("a", "a-row", 1))
		synctest.Wait() // it is being committed
		c.Submit(d.unit("a", "a-behind", noRows))
		c.Submit(d.unit("b", "b-idle", noRows))
		equal(t, "another lane", d.list(), []string{"a-idle", "b-idle"})
		s.gate <- struct{}{}
		synctest.Wait()
		equal(t, "behind the row", d.list(), []string{"a-idle", "b-idle", "a-row", "a-behind"})
		equal(t, "passed", c.Snapshot().Passed, 2)
		equal(t, "waiting", c.Snapshot().Waiting, 0)
		stop(t, c)
	})
}

func TestFailures(t *testing.T) {
	whole := fmt.Errorf("disk full: %w", ErrUnavailable)
	for name, tc := range map[string]struct {
		fail   func(names []string) error
		reject map[string]error
		steps  []string
		groups [][]string
	}{
		"one unit": {
			reject: map[string]error{"2": ErrConflict},
			steps:  []string{"1", "2: journal: conflict", "3"},
			groups: [][]string{{"1", "2", "3"}},
		},
		"group once, then each succeeds": {
			fail: func(names []string) error {
				if len(names) > 1 {
					return whole
				}
				return nil
			},
			steps:  []string{"1", "2", "3"},
			groups: [][]string{{"1"}, {"2"}, {"3"}},
		},
		"one unit is the cause": {
			fail: func(names []string) error {
				if slices.Contains(names, "2") {
					return whole
				}
				return nil
			},
			steps:  []string{"1", "2: " + whole.Error(), "3"},
			groups: [][]string{{"1"}, {"3"}},
		},
		"everything": {
			fail:  func([]string) error { return whole },
			steps: []string{"1: " + whole.Error(), "2: " + whole.Error(), "3: " + whole.Error()},
		},
		"panic": {
			fail: func([]string) error { panic("boom") },
			steps: []string{
				"1: journal: commit: backend panicked: boom", "2: journal: commit: backend panicked: boom", "3: journal: commit: backend panicked: boom",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := &store{fail: tc.fail, reject: tc.reject}, &direct{}
				c := New(Options{Backend: s})
				for _, n := range []string{"1", "2", "3"} {
					c.Submit(d.unit("a", n, 1))
				}
				c.Start()
				synctest.Wait()
				equal(t, "steps", d.list(), tc.steps)
				equal(t, "groups", s.committed(), tc.groups)

				s.mu.Lock()
				s.fail = nil
				s.mu.Unlock()
				c.Submit(d.unit("a", "later", 1))
				synctest.Wait()
				equal(t, "goes on", d.list()[3:], []string{"later"})
				stop(t, c)
			})
		})
	}
}

type shortStore struct{}

func (shortStore) Commit(context.Context, []*Unit) []error { return nil }

func TestBackendWithTooFewOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &direct{}
		c := New(Options{Backend: shortStore{}})
		c.Start()
		c.Submit(d.unit("a", "1", 1))
		synctest.Wait()
		equal(t, "steps", d.list(), []string{"1: journal: commit: backend gave 0 outcomes for 1 units"})
		stop(t, c)
	})
}

func TestAdmit(t *testing.T) {
	for name, o := range map[string]Options{
		"by units": {MaxWaiting: 2},
		"by bytes": {MaxWaitingBytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := &store{gate: make(chan struct{})}, &direct{}
				o.Backend, o.MaxGroup = s, 1
				c := New(o)
				c.Start()
				c.Submit(d.unit("a", "1", 10))
				if err := c.Admit(t.Context()); err != nil {
					t.Fatal("below the bound:", err)
				}
				c.Submit(d.unit("a", "2", 10))

				ended, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := c.Admit(ended); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("at the bound: %v", err)
				}
				admitted := make(chan error, 1)
				go func() { admitted <- c.Admit(t.Context()) }()
				synctest.Wait()
				select {
				case err := <-admitted:
					t.Fatalf("admitted while full: %v", err)
				default:
				}
				s.gate <- struct{}{}
				if err := <-admitted; err != nil {
					t.Error("room again:", err)
				}

				c.Submit(d.unit("a", "3", 10))
				go func() { admitted <- c.Admit(t.Context()) }()
				synctest.Wait()
				close(s.gate)
				stop(t, c)
				if err := <-admitted; err != nil && !errors.Is(err, ErrStopped) {
					t.Error("stopped:", err)
				}
				if err := c.Admit(t.Context()); !errors.Is(err, ErrStopped) {
					t.Error("after Stop:", err)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	t.Run("drains", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, d := &store{}, &direct{}
			c := New(Options{Backend: s, MaxGroup: 1})
			c.Start()
			for i := range 5 {
				c.Submit(d.unit("a", fmt.Sprint(i), 1))
			}
			stop(t, c)
			equal(t, "steps", d.list(), []string{"0", "1", "2", "3", "4"})
			c.Submit(d.unit("a", "late", 1))
			c.Submit(d.unit("a", "late and empty", noRows))
			equal(t, "late", d.list()[5:], []string{"late: journal: stopped", "late and empty: journal: stopped"})
			stop(t, c)
		})
	})
	t.Run("never started", func(t *testing.T) {
		d := &direct{}
		c := New(Options{Backend: &store{}})
		c.Submit(d.unit("a", "1", 1))
		stop(t, c)
		equal(t, "steps", d.list(), []string{"1: journal: stopped"})
	})
	t.Run("hanging backend", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, d := &store{gate: make(chan struct{})}, &direct{}
			c := New(Options{Backend: s, MaxGroup: 1})
			c.Start()
			c.Submit(d.unit("a", "1", 1))
			c.Submit(d.unit("a", "2", 1))
			c.Submit(d.unit("a", "3", noRows))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := c.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Stop: %v", err)
			}
			synctest.Wait()
			equal(t, "steps", d.list(), []string{"1", "2: journal: stopped", "3: journal: stopped"})
		})
	})
}

// TestManySubmitters has the order of each lane kept while many goroutines submit.
func TestManySubmitters(t *testing.T) {
	const lanes, each = 16, 300
	s := &store{}
	c := New(Options{Backend: s, MaxWaiting: 64})
	c.Start()
	var wg sync.WaitGroup
	got := make([][]int, lanes)
	for l := range lanes {
		q := NewQueue(nil)
		wg.Add(1)
		finished := make(chan struct{})
		go func() {
			defer wg.Done()
			for i := range each {
				if err := c.Admit(context.Background()); err != nil {
					t.Error(err)
				}
				u := NewUnit(AccountLane(fmt.Sprint(l)))
				if i%3 != 0 {
					u.Add(row{name: fmt.Sprint(l, i)})
				}
				u.After(q, func(error) {
					if got[l] = append(got[l], i); i == each-1 {
						close(finished)
					}
				})
				c.Submit(u)
			}
			<-finished
		}()
	}
	wg.Wait()
	stop(t, c)
	for l := range got {
		if len(got[l]) != each || !slices.IsSorted(got[l]) {
			t.Errorf("lane %d: %v", l, got[l])
		}
	}
	if n := len(c.lanes); n != 0 {
		t.Errorf("%d lanes left", n)
	}
}
