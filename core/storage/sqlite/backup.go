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

// unfinished begins the names of directories in which a backup is made; one that is there when the store is opened was left by a crash.
const unfinished = ".unfinished-backup-"

// sweepUnfinished removes what a backup or a restoration that was broken off has left. The directory is locked: none is under way.
func (s *Store) sweepUnfinished() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return // opening says what is wrong with it
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unfinished) && !strings.HasPrefix(e.Name(), dbName+restoring) {
			continue
		}
		path := filepath.Join(s.dir, e.Name())
		if err := os.RemoveAll(path); err != nil {
			s.log.Warn("a backup that was broken off cannot be removed", "file", path, "error", err)
			continue
		}
		s.log.Info("removed a backup that was broken off", "file", path)
	}
}

// Backup implements storage.Store. The copy is first made beside the database (VACUUM INTO: one consistent state, compact, commits go on), so
// the directory needs room for it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, unfinished)
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
