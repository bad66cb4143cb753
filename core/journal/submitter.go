package journal

import (
	"context"
	"time"
)

// Submitter is what handlers and edges see of the committer.
type Submitter interface {
	// Submit hands over a unit. It never blocks and never fails: the outcome goes to the unit's after-commit steps. A unit without rows
	// whose lane has nothing under way is finished at once.
	Submit(u *Unit)
	// Admit blocks while the committer has more waiting than its bounds allow, or until ctx ends. Only the edges call it, before they
	// read more from a socket or give a plugin credit; handlers never do.
	Admit(ctx context.Context) error
	// Background queues work that goes through the committer in slices, behind live units (retention, erase, import, backfill).
	Background(w Work)
}

// Work is a long piece of durable work, cut into slices.
type Work interface {
	// Next returns the next slice, a unit that takes about as long as budget to commit (at most 5 ms), or nil at the end. It is called
	// again only after the last slice was committed; err is that slice's outcome (nil at the first call).
	Next(ctx context.Context, budget time.Duration, err error) (*Unit, error)
}

// Backend commits groups of units; the storage backends implement it.
type Backend interface {
	// Commit writes all units in one durable transaction, in order, and returns one outcome for each: nil, or why nothing of that unit was
	// written (ErrConflict, ErrStale, *DuplicateError, or the store's error). When it returns, the committed units are on stable storage.
	Commit(ctx context.Context, units []*Unit) []error
}
