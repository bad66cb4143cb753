package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// Sweeper finds what a store need not keep any longer: expired Dedupe keys, expired sessions (what their clients had not acknowledged goes
// to the Offline list of the account), the lists of deleted accounts and rooms, bodies that nothing refers to. On its way it notes where in long lists
// the messages of each peer are.
type Sweeper interface {
	// Garbage returns operations that remove up to limit rows, and where to go on; next is "" at the end. The operations are the backend's
	// own: they are committed in a unit and check again whether the row may go.
	Garbage(ctx context.Context, now time.Time, after string, limit int) (ops []journal.Op, next string, err error)
}

// sliceRows is about what a commit of 5 ms removes: rows in random places, each of which dirties a page.
const sliceRows = 200

// sweep is the Work behind NewSweep.
type sweep struct {
	from  Sweeper
	now   time.Time
	after string
	ended bool
}

// NewSweep returns a Work that goes through the store once and removes what expired before now. It is given to
// journal.Submitter.Background, again and again at the interval that suits the server (an hour, say).
func NewSweep(from Sweeper, now time.Time) journal.Work { return &sweep{from: from, now: now} }

// Next implements journal.Work. A slice that failed is left for the next sweep.
func (s *sweep) Next(ctx context.Context, _ time.Duration, failed error) (*journal.Unit, error) {
	if failed != nil {
		return nil, fmt.Errorf("storage: sweep: %w", failed)
	}
	for !s.ended {
		ops, next, err := s.from.Garbage(ctx, s.now, s.after, sliceRows)
		if err != nil {
			return nil, fmt.Errorf("storage: sweep: %w", err)
		}
		s.after, s.ended = next, next == ""
		if len(ops) > 0 {
			u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "sweep"})
			u.Add(ops...)
			return u, nil
		}
	}
	return nil, nil
}
