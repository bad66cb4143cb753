package journal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// work yields slices by name and records what it is told.
type work struct {
	d      *direct
	slices []string
	told   []error
	end    error
}

func (w *work) Next(_ context.Context, budget time.Duration, err error) (*Unit, error) {
	if budget <= 0 || budget > 5*time.Millisecond {
		return nil, fmt.Errorf("budget %v", budget)
	}
	w.told = append(w.told, err)
	if len(w.slices) == 0 {
		return nil, w.end
	}
	name := w.slices[0]
	w.slices = w.slices[1:]
	if name == "panic" {
		panic(name)
	}
	return w.d.unit("background", name, 1), nil
}

func TestBackgroundTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &store{reject: map[string]error{"b1": ErrConflict}}, &direct{}
		c := New(Options{Backend: s})
		a, b := &work{d: d, slices: []string{"a1", "a2", "a3"}}, &work{d: d, slices: []string{"b1", "b2"}, end: errors.New("unreadable")}
		p := &work{d: d, slices: []string{"p1", "panic"}}
		for _, w := range []Work{a, b, p} {
			c.Background(w)
		}
		c.Start()
		synctest.Wait()
		equal(t, "groups", s.committed(), [][]string{{"a1"}, {"b1"}, {"p1"}, {"a2"}, {"b2"}, {"a3"}})
		equal(t, "told a", a.told, []error{nil, nil, nil, nil})
		equal(t, "told b", b.told, []error{nil, ErrConflict, nil})
		snap := c.Snapshot()
		equal(t, "works, slices, errors", []any{snap.Works, snap.Slices, snap.WorkErrors}, []any{0, 6, 2})
		c.Background(&work{d: d, slices: []string{"later"}})
		synctest.Wait()
		equal(t, "later", len(s.committed()), 7)
		stop(t, c)
		c.Background(&work{d: d, slices: []string{"too late"}})
		equal(t, "after Stop", c.Snapshot().Works, 0)
	})
}

// TestBackgroundBehindLive has slices wait for live units, but not for ever.
func TestBackgroundBehindLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := &store{gate: make(chan struct{})}, &direct{}
		c := New(Options{Backend: s, MaxGroup: 1, SliceEvery: 100 * time.Millisecond})
		for i := range 6 {
			c.Submit(d.unit("a", fmt.Sprint("live", i), 1))
		}
		c.Background(&work{d: d, slices: []string{"slice1", "slice2"}})
		c.Start()
		for range 8 { // each transaction takes 30 ms
			time.Sleep(30 * time.Millisecond)
			s.gate <- struct{}{}
			synctest.Wait()
		}
		equal(t, "groups", s.committed(),
			[][]string{{"live0"}, {"live1"}, {"live2"}, {"live3"}, {"slice1"}, {"live4"}, {"live5"}, {"slice2"}})
		stop(t, c)
	})
}

func TestBackgroundPausesWhenTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		s, d := &store{}, &direct{}
		s.fail = func([]string) error {
			if tries.Add(1) <= 2 {
				return fmt.Errorf("disk full: %w", ErrUnavailable)
			}
			return nil
		}
		w := &work{d: d, slices: []string{"1", "2", "3"}}
		c := New(Options{Backend: s})
		c.Background(w)
		start := time.Now()
		c.Start()
		synctest.Wait()
		equal(t, "tries before the pause", tries.Load(), 1)
		time.Sleep(3 * pauseAfterFailure)
		synctest.Wait()
		equal(t, "tries", tries.Load(), 3)
		if !errors.Is(w.told[1], ErrUnavailable) || !errors.Is(w.told[2], ErrUnavailable) || w.told[3] != nil {
			t.Errorf("told %v", w.told)
		}
		equal(t, "time", time.Since(start), 3*pauseAfterFailure)
		stop(t, c)
	})
}

func TestStopDuringBackground(t *testing.T) {
	for name, hang := range map[string]bool{"while its slice commits": true, "while it pauses": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := &store{}, &direct{}
				if hang {
					s.gate = make(chan struct{})
				} else {
					s.fail = func([]string) error { return ErrUnavailable }
				}
				w := &work{d: d, slices: []string{"1", "2"}}
				c := New(Options{Backend: s})
				c.Background(w)
				c.Start()
				synctest.Wait()
				if hang {
					go func() { s.gate <- struct{}{} }()
				}
				stop(t, c)
				equal(t, "slices left", w.slices, []string{"2"})
			})
		})
	}
}
