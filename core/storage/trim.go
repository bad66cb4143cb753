package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// Trim is a Work that removes the references of a list from its beginning on, in slices behind live units. Bodies go with the next sweep, if
// nobody else refers to them.
type Trim struct {
	of      Messages
	kind    RefKind
	owner   string
	through MessageID // 0: all
	removed func(n int)
	taken   int // of the slice under way
}

// NewTrim returns the work; removed (may be nil) is told of each slice that is committed.
func NewTrim(of Messages, kind RefKind, owner string, through MessageID, removed func(n int)) *Trim {
	if removed == nil {
		removed = func(int) {}
	}
	return &Trim{of: of, kind: kind, owner: owner, through: through, removed: removed}
}

// Next implements journal.Work.
func (t *Trim) Next(ctx context.Context, _ time.Duration, failed error) (*journal.Unit, error) {
	if failed != nil {
		return nil, fmt.Errorf("storage: trim: %w", failed)
	}
	if t.taken > 0 {
		t.removed(t.taken)
	}
	r := Range{Limit: sliceRows}
	if t.through != 0 {
		r.Before = t.through + 1
	}
	refs, _, err := t.of.Refs(ctx, t.kind, t.owner, r)
	if err != nil {
		return nil, fmt.Errorf("storage: trim: %w", err)
	}
	if t.taken = len(refs); t.taken == 0 {
		return nil, nil
	}
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "trim"})
	u.Add(DeleteRefs{Kind: t.kind, Owner: t.owner, Through: refs[len(refs)-1].ID})
	return u, nil
}
