package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Backup implements storage.Store. The copy is first made beside the database (VACUUM INTO: one consistent state, compact, commits go on), so
// the directory needs room for it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "backup-")
	if err != nil {
		return explain("backup", s.dir, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, dbName)
	err = s.readers.read(ctx, func(c *conn) error {
		return c.query(ctx, `VACUUM INTO ?`, func([]driver.Value) error { return nil }, path)
	})
	if err != nil {
		return explain("backup", s.dir, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sqlite: backup: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, readerWithContext{ctx, f}); err != nil {
		return fmt.Errorf("sqlite: backup: %w", err)
	}
	return nil
}

// readerWithContext ends with its context, between two reads.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Check reads the whole database and returns an error that wraps ErrCorrupt and names the first damages.
func (s *Store) Check(ctx context.Context) error {
	var found []string
	err := s.readers.read(ctx, func(c *conn) error {
		return c.query(ctx, `PRAGMA integrity_check(10)`, func(row []driver.Value) error {
			if line := text(row[0]); line != "ok" {
				found = append(found, line)
			}
			return nil
		})
	})
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%w: %s", ErrCorrupt, strings.Join(found, "; "))
	}
	return s.readError("check", err)
}
