package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// list reads the rows of a query into a slice.
func list[T any](ctx context.Context, s *Store, op, query string, of func(row []driver.Value) (T, error), args ...any) (all []T, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		return c.query(context.Background(), query, func(row []driver.Value) error {
			v, err := of(row)
			if err == nil {
				all = append(all, v)
				err = ctx.Err()
			}
			return err
		}, args...)
	})
	if err != nil {
		return nil, s.readError(op, err)
	}
	return all, nil
}

// get reads the single row of a query, or ErrNotFound.
func get[T any](ctx context.Context, s *Store, op, query string, of func(row []driver.Value) (T, error), args ...any) (v T, err error) {
	all, err := list(ctx, s, op, query, of, args...)
	switch {
	case err != nil:
		return v, err
	case len(all) == 0:
		return v, storage.ErrNotFound
	}
	return all[0], nil
}
