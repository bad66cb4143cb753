package sqlite

import (
	"context"
	"database/sql/driver"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// checkpointer copies the WAL into the database from a connection of its own, apart from the commits. It begins when WALSoft bytes have
// gathered: pages that change often are then copied once. Over WALLimit it holds the writer for the short rest, so that the next
// transaction starts the WAL from its beginning: otherwise a WAL that is always written to would never end.
type checkpointer struct {
	s    *Store
	c    *conn
	page int64
	some int64 // bytes that may have gathered since the last kick; the writer's

	wake chan struct{}
	quit chan struct{}
	done chan struct{}
	once sync.Once
	err  error // of closing
}

func startCheckpointer(ctx context.Context, s *Store, from *connector) (*checkpointer, error) {
	c, err := from.open(ctx)
	if err != nil {
		return nil, err
	}
	v, _, err := c.one("PRAGMA page_size")
	if err != nil {
		return nil, first(err, c.close())
	}
	k := &checkpointer{s: s, c: c, page: integer(v), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go k.run()
	return k, nil
}

// How many pages a commit and a unit may dirty, above what is usual: a body, two lists, a retry and a counter, and their pages above.
const (
	pagesPerCommit = 8
	pagesPerUnit   = 8
)

// wrote counts what a commit may have put into the WAL and kicks when that is a quarter of what starts a checkpoint: a look costs as many locks
// as a commit, and while little is written a commit is one message. The writer's lock is held.
func (k *checkpointer) wrote(units []*journal.Unit) {
	k.some += pagesPerCommit * k.page
	for _, u := range units {
		k.some += pagesPerUnit*k.page + int64(u.Size())
	}
	if k.some >= k.s.o.WALSoft/4 {
		k.some = 0
		k.kick()
	}
}

// kick asks for a look at the WAL; it never blocks.
func (k *checkpointer) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// stop ends the goroutine.
func (k *checkpointer) stop() error {
	k.once.Do(func() {
		close(k.quit)
		<-k.done
		k.err = k.c.close()
	})
	return k.err
}

func (k *checkpointer) run() {
	defer close(k.done)
	failing := false
	for {
		select {
		case <-k.wake:
		case <-k.quit:
			return
		}
		err := k.round()
		if err != nil && !failing {
			k.s.log.Error("sqlite: checkpoint failed; the WAL grows until it succeeds", "error", explain("checkpoint", k.s.dir, err))
		}
		failing = err != nil
	}
}

// shortPasses are made before the writer is held, so that it is held for little more than the syncs.
const shortPasses = 2

// round looks at the WAL and copies it if there is enough.
func (k *checkpointer) round() error {
	frames, copied, err := k.pragma("NOOP")
	if err != nil || (frames-copied)*k.page < k.s.o.WALSoft {
		return err
	}
	start := k.s.o.Clock()
	defer func() {
		k.s.stats.checkpoints.Add(1)
		k.s.stats.checkpointNanos.Add(int64(k.s.o.Clock().Sub(start)))
	}()
	// What is committed meanwhile is left for the next pass, which is shorter.
	for range shortPasses {
		if frames, _, err = k.pragma("PASSIVE"); err != nil || frames*k.page < k.s.o.WALLimit {
			return err
		}
	}
	k.s.w.mu.Lock()
	defer k.s.w.mu.Unlock()
	held := k.s.o.Clock()
	_, _, err = k.pragma("PASSIVE")
	k.s.stats.heldNanos.Add(int64(k.s.o.Clock().Sub(held)))
	k.s.stats.held.Add(1)
	return err
}

// pragma runs a checkpoint and returns the frames in the WAL and how many of them are in the database. A reader of an old state lets it
// copy less; the next round goes on.
func (k *checkpointer) pragma(mode string) (frames, copied int64, err error) {
	err = k.c.query(context.Background(), "PRAGMA wal_checkpoint("+mode+")", func(row []driver.Value) error {
		frames, copied = integer(row[1]), integer(row[2])
		return nil
	})
	return frames, copied, err
}
