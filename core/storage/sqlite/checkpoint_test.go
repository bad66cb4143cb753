package sqlite

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// TestWALStaysBounded writes many times the limit without a pause.
func TestWALStaysBounded(t *testing.T) {
	const limit = 512 << 10
	s := open(t, Options{WALSoft: 128 << 10, WALLimit: limit})
	var largest int64
	written := 0
	for i := range 400 {
		if err := commit(s, row(fmt.Sprint(i%50), 30_000)); err != nil {
			t.Fatal(err)
		}
		written += 30_000
		if fi, err := os.Stat(s.path + "-wal"); err == nil {
			largest = max(largest, fi.Size())
		}
		if i%20 == 19 { // let the checkpointer have its turn, as a loaded machine's scheduler does sooner or later
			s.check.rounds(t)
		}
	}
	if largest > 4*limit {
		t.Errorf("the WAL grew to %d bytes, the limit is %d; %d were written", largest, limit, written)
	}
	figures, err := s.Stats(t.Context())
	must(t, err)
	if figures["checkpoints"] == 0 || figures["checkpoints_held"] == 0 {
		t.Errorf("figures %v", figures)
	}
}

// rounds waits until the checkpointer has looked at the WAL after now.
func (k *checkpointer) rounds(t *testing.T) {
	t.Helper()
	for range 2 { // the first may be taken by a round that is under way
		select {
		case k.wake <- struct{}{}:
		case <-k.done:
			t.Fatal("the checkpointer has ended")
		}
	}
}

// TestReaderHoldsWAL has a reader of an old state: the WAL grows meanwhile, nothing fails, and it is emptied afterwards.
func TestReaderHoldsWAL(t *testing.T) {
	s := open(t, Options{WALSoft: 64 << 10, WALLimit: 128 << 10})
	must(t, commit(s, row("k", 10)))
	err := s.readers.snapshot(t.Context(), func(c *conn) error {
		if _, _, err := c.one(`SELECT count(*) FROM item`); err != nil {
			return err
		}
		for i := range 50 {
			if err := commit(s, row(fmt.Sprint(i), 20_000)); err != nil {
				return err
			}
		}
		s.check.rounds(t)
		v, _, err := c.one(`SELECT count(*) FROM item`)
		if err == nil && integer(v) != 1 {
			err = fmt.Errorf("the snapshot shows %d rows", integer(v))
		}
		return err
	})
	must(t, err)
	must(t, commit(s, row("after", 200_000)))
	s.check.rounds(t)
	must(t, commit(s, row("after", 10)))
	s.check.rounds(t)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	frames, copied, err := s.check2(context.Background())
	must(t, err)
	if frames*4096 > 4*128<<10 && frames != copied {
		t.Errorf("%d frames in the WAL, %d copied", frames, copied)
	}
}

// check2 asks the writer's connection, because the checkpointer's has its own goroutine.
func (s *Store) check2(context.Context) (frames, copied int64, err error) {
	k := checkpointer{s: s, c: s.w.c}
	return k.pragma("NOOP")
}

// TestPanicInCommit has a group panic before its end: the next one must find the writer as if it had never been.
func TestPanicInCommit(t *testing.T) {
	boom := true
	s := open(t, Options{beforeSync: func() {
		if boom {
			panic("boom")
		}
	}})
	c := journal.New(journal.Options{Backend: s})
	c.Start()
	q := journal.NewQueue(nil)
	outcomes := make(chan error, 1)
	for _, name := range []string{"lost", "kept"} {
		u := journal.NewUnit(journal.Lane{})
		u.Add(row(name, 10))
		u.After(q, func(err error) { outcomes <- err })
		c.Submit(u)
		if err := <-outcomes; (err != nil) != boom {
			t.Errorf("%s: %v", name, err)
		}
		boom = false
	}
	must(t, c.Stop(t.Context()))
	rows, err := s.Table("t").Range(t.Context(), "o", "", "", 0, false)
	if err != nil || len(rows) != 1 || rows[0].Key != "kept" {
		t.Errorf("rows %v, %v", rows, err)
	}
}
