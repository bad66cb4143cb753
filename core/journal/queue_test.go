package journal

import (
	"fmt"
	"sync"
	"testing"
)

func TestQueueRunsInOrder(t *testing.T) {
	var got []string
	var panics []any
	q := NewQueue(func(v any) { panics = append(panics, v) })
	var done sync.WaitGroup
	done.Add(1)
	q.Post(func() { got = append(got, "fn") })
	q.PostStep(func(err error) { got = append(got, fmt.Sprint("step ", err)) }, ErrConflict)
	q.Post(func() { panic("boom") })
	q.Post(func() {
		q.Post(func() { got = append(got, "posted from within"); done.Done() })
		got = append(got, "last")
	})
	done.Wait()
	equal(t, "order", got, []string{"fn", "step journal: conflict", "last", "posted from within"})
	equal(t, "panics", panics, []any{"boom"})
}

func TestQueueWithoutPanicHandlerGoesOn(t *testing.T) {
	q := NewQueue(nil)
	done := make(chan struct{})
	q.Post(func() { panic("boom") })
	q.Post(func() { close(done) })
	<-done
}
