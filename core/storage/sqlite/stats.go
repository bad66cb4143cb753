package sqlite

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
)

// stats count what the store did since it was opened.
type stats struct {
	commits, units, failed, careful atomic.Int64
	commitNanos                     atomic.Int64
	checkpoints, checkpointNanos    atomic.Int64
	held, heldNanos                 atomic.Int64
}

// figures of the database itself; each is cheap: a page of an index or a header.
var figures = []struct{ name, query string }{
	{"pages", `PRAGMA page_count`},
	{"free_pages", `PRAGMA freelist_count`},
	{"accounts", `SELECT count(*) FROM account`},
	{"rooms", `SELECT count(*) FROM room`},
	{"sessions", `SELECT count(*) FROM session`},
	{"loose_bodies", `SELECT count(*) FROM body WHERE uses = 2`},
}

// Stats implements storage.Store.
func (s *Store) Stats(ctx context.Context) (map[string]float64, error) {
	seconds := func(n *atomic.Int64) float64 { return float64(n.Load()) / 1e9 }
	m := map[string]float64{
		"commits": float64(s.stats.commits.Load()), "commit_units": float64(s.stats.units.Load()), "commits_failed": float64(s.stats.failed.Load()),
		"commits_careful": float64(s.stats.careful.Load()), "commit_seconds": seconds(&s.stats.commitNanos),
		"checkpoints": float64(s.stats.checkpoints.Load()), "checkpoint_seconds": seconds(&s.stats.checkpointNanos),
		"checkpoints_held": float64(s.stats.held.Load()), "checkpoint_held_seconds": seconds(&s.stats.heldNanos),
	}
	for name, suffix := range map[string]string{"db_bytes": "", "wal_bytes": "-wal"} {
		if fi, err := os.Stat(s.path + suffix); err == nil {
			m[name] = float64(fi.Size())
		}
	}
	err := s.readers.read(ctx, func(c *conn) error {
		for _, f := range figures {
			v, _, err := c.one(f.query)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			m[f.name] = float64(integer(v))
		}
		return nil
	})
	return m, s.readError("stats", err)
}
