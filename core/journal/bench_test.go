package journal

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// null commits nothing, at once.
type null struct{ errs []error }

func (n *null) Commit(_ context.Context, units []*Unit) []error {
	for len(n.errs) < len(units) {
		n.errs = append(n.errs, nil)
	}
	return n.errs[:len(units)]
}

// BenchmarkSubmitCommitPost is the way of a unit through the committer: submitted, committed by a backend that does nothing, its step run.
func BenchmarkSubmitCommitPost(b *testing.B) {
	for _, lanes := range []int{1, 64} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			c := New(Options{Backend: &null{}})
			c.Start()
			queues := make([]*Queue, lanes)
			keys := make([]Lane, lanes)
			for i := range queues {
				queues[i], keys[i] = NewQueue(nil), AccountLane(fmt.Sprintf("person%d@example.org", i))
			}
			var done sync.WaitGroup
			done.Add(b.N)
			step := func(error) { done.Done() }
			op := Op(row{name: "row", size: 250})
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if c.Admit(context.Background()) != nil {
					b.Fatal("not admitted")
				}
				u := NewUnit(keys[i%lanes])
				u.Add(op)
				u.After(queues[i%lanes], step)
				c.Submit(u)
			}
			done.Wait()
			b.StopTimer()
			if err := c.Stop(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkUnitWithoutRows is a chat state in an idle lane.
func BenchmarkUnitWithoutRows(b *testing.B) {
	c := New(Options{Backend: &null{}})
	q := NewQueue(nil)
	var done sync.WaitGroup
	done.Add(b.N)
	step := func(error) { done.Done() }
	b.ReportAllocs()
	for range b.N {
		u := NewUnit(AccountLane("person@example.org"))
		u.After(q, step)
		c.Submit(u)
	}
	done.Wait()
}
