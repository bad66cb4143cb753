package upload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	// sliceFiles is how many files one unit removes.
	sliceFiles = 50
	// orphanAge is how old a body without a reference must be: what is younger may be on its way.
	orphanAge = time.Hour
	// orphansEvery is how often the store is walked for them.
	orphansEvery = 24 * time.Hour
)

// sweepSoon wakes the sweeper.
func (m *Module) sweepSoon() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run removes what has expired, at the start and every SweepEvery.
func (m *Module) run(ctx context.Context) {
	timer := m.d.Clock.AfterFunc(m.o.SweepEvery, m.sweepSoon)
	defer timer.Stop()
	m.sweepSoon()
	var walked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		now := m.d.Clock.Now()
		if err := m.sweep(ctx); err != nil && ctx.Err() == nil {
			m.d.Log.Warn("expired files could not be removed", "error", err)
		}
		if walked.IsZero() || now.Sub(walked) >= orphansEvery {
			walked = now
			if n, err := m.sweepOrphans(ctx); err != nil && ctx.Err() == nil {
				m.d.Log.Warn("bodies without files could not be removed", "error", err)
			} else if n > 0 {
				m.d.Log.Info("bodies without files were removed", "count", n)
			}
		}
		m.quota.forget(now)
		timer.Reset(m.o.SweepEvery)
	}
}

// sweep removes what has expired and what deleted accounts have left.
func (m *Module) sweep(ctx context.Context) error {
	_, err := m.removeAll(ctx, func(ctx context.Context) ([]storage.Row, error) {
		return m.tables.expiry.Range(ctx, expiryOwner, "", sortable(m.d.Clock.Now().UnixMilli()+1, ""), sliceFiles, false)
	}, expiryTable, expiryOwner)
	return errors.Join(err, m.sweepGone(ctx))
}

// accountDeleted leaves a mark in the unit that deletes an account; its files go later.
func (m *Module) accountDeleted(_ context.Context, c *event.AccountChange) error {
	c.Unit.Add(storage.PutRow{Table: goneTable, Owner: goneOwner, Key: c.JID.Bare().String(),
		Value: strconv.AppendInt(nil, m.d.Clock.Now().UnixMilli(), 10)})
	return nil
}

// sweepGone removes the files of deleted accounts that were put before the deletion.
func (m *Module) sweepGone(ctx context.Context) error {
	rows, err := m.tables.gone.Range(ctx, goneOwner, "", "", 0, false)
	if err != nil {
		return fmt.Errorf("upload: read deleted accounts: %w", err)
	}
	for _, row := range rows {
		at, err := strconv.ParseInt(string(row.Value), 10, 64)
		if err != nil {
			return fmt.Errorf("upload: read deleted accounts: %w", err)
		}
		if _, err := m.removeOf(ctx, row.Key, at+1); err != nil {
			return err
		}
		u := journal.NewUnit(lane())
		u.Add(storage.CompareAndPut{Table: goneTable, Owner: goneOwner, Key: row.Key, Old: row.Value})
		if err := m.submit(u); err != nil && !errors.Is(err, journal.ErrConflict) {
			return fmt.Errorf("upload: forget deleted account: %w", err)
		}
	}
	return nil
}

// submit commits a unit and returns its outcome.
func (m *Module) submit(u *journal.Unit) error {
	done := make(chan error, 1)
	u.After(m.quota.steps, func(err error) { done <- err })
	m.d.Journal.Submit(u)
	return <-done
}

// removeOf removes all files of an owner that were put before a time (milliseconds).
func (m *Module) removeOf(ctx context.Context, owner string, before int64) (int, error) {
	return m.removeAll(ctx, func(ctx context.Context) ([]storage.Row, error) {
		return m.tables.user.Range(ctx, rowsOf(owner), "", sortable(before, ""), sliceFiles, false)
	}, userTable, rowsOf(owner))
}

// removeAll removes the files of the rows that next finds, slice by slice, until it finds none. Each slice waits for its commit, so that this work is never
// more than one slice ahead of live units. Rows of an index whose files are gone are removed, too.
func (m *Module) removeAll(ctx context.Context, next func(context.Context) ([]storage.Row, error), index, indexOwner string) (removed int, err error) {
	for ctx.Err() == nil {
		rows, err := next(ctx)
		if err != nil {
			return removed, fmt.Errorf("upload: read files: %w", err)
		}
		if len(rows) == 0 {
			return removed, nil
		}
		n, stale, err := m.removeRows(ctx, rows)
		removed += n
		if err != nil {
			return removed, err
		}
		if len(stale) == 0 {
			continue
		}
		u := journal.NewUnit(lane())
		for _, key := range stale {
			u.Add(storage.DeleteRow{Table: index, Owner: indexOwner, Key: key})
		}
		if err := m.submit(u); err != nil {
			return removed, fmt.Errorf("upload: remove rows: %w", err)
		}
	}
	return removed, ctx.Err()
}

// removeRows removes the files that rows of an index name; stale are the keys of those that are not there.
func (m *Module) removeRows(ctx context.Context, rows []storage.Row) (removed int, stale []string, err error) {
	select {
	case m.remove <- struct{}{}:
		defer func() { <-m.remove }()
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	byOwner := map[string][]*file{}
	for _, r := range rows {
		f, err := m.tables.get(ctx, idOf(r.Key))
		switch {
		case notFound(err):
			stale = append(stale, r.Key)
		case err != nil:
			return removed, stale, err
		default:
			byOwner[f.User] = append(byOwner[f.User], f)
		}
	}
	for owner, files := range byOwner {
		if err := m.removeFiles(ctx, owner, files); err != nil {
			return removed, stale, err
		}
		removed += len(files)
	}
	return removed, stale, nil
}

// removeFiles removes files of one owner, rows first: what is left after a crash is a body without a file, which the walk finds. The caller has the
// place in m.remove.
func (m *Module) removeFiles(ctx context.Context, owner string, files []*file) error {
	u := journal.NewUnit(lane())
	for _, f := range files {
		f.delete(u)
	}
	done := make(chan error, 1)
	if err := m.quota.sub(ctx, u, owner, files, m.d.Clock.Now(), func(err error) { done <- err }); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return fmt.Errorf("upload: remove files: %w", err)
	}
	for _, f := range files {
		if _, err := m.drop(ctx, f.Hash); err != nil {
			return err
		}
	}
	return nil
}

// sweepOrphans walks the store and deletes the bodies that are old and no file's.
func (m *Module) sweepOrphans(ctx context.Context) (removed int, err error) {
	limit := m.d.Clock.Now().Add(-orphanAge)
	err = m.o.Store.Walk(ctx, "", func(key string, _ int64, written time.Time) error {
		if written.After(limit) {
			return nil
		}
		gone, err := m.drop(ctx, key)
		if gone {
			removed++
		}
		return err
	})
	return removed, err
}
