package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/viaduct-xmpp/viaduct/core/storage/migrations"
)

// ErrExists: there is a database where one is to be restored.
var ErrExists = errors.New("sqlite: there is a database already")

// restoring ends the name of a backup that is being checked, beside the database.
const restoring = ".restoring"

// RestoreOptions of Restore.
type RestoreOptions struct {
	Dir     string    // the data directory; no store may have it open
	From    io.Reader // what Backup wrote
	Replace bool      // a database that is there is kept as viaduct.db.before-restore (the last one); otherwise ErrExists
}

// Restore makes the database of a data directory from a backup. The backup is written beside and checked whole before it takes the place of
// anything; a stop in between leaves the old database.
func Restore(ctx context.Context, o RestoreOptions) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("sqlite: restore: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explain("restore", dir, err)
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer held.Close()
	path := filepath.Join(dir, dbName)
	_, err = os.Stat(path)
	exists := err == nil
	if exists && !o.Replace {
		return fmt.Errorf("%w: %s; allow the replacement, or restore into another directory", ErrExists, path)
	}
	fresh := path + restoring
	defer removeDB(fresh)
	if err := receive(ctx, fresh, o.From); err != nil {
		return explain("restore", dir, err)
	}
	if err := checkBackup(ctx, fresh); err != nil {
		return fmt.Errorf("sqlite: restore: the backup cannot be used: %w", err)
	}
	if exists {
		if err := setAside(ctx, path); err != nil {
			return explain("restore: keep the old database", dir, err)
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return explain("restore", dir, err)
	}
	return explain("restore", dir, syncDir(dir))
}

func removeDB(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
}

// receive writes a backup to a file, durably.
func receive(ctx context.Context, path string, from io.Reader) error {
	removeDB(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, readerWithContext{ctx, from})
	if err == nil {
		err = f.Sync()
	}
	return first(err, f.Close())
}

// checkBackup reads the whole file and makes sure that it is ours and not too new.
func checkBackup(ctx context.Context, path string) error {
	from, err := newConnector(path, 16<<10)
	if err != nil {
		return err
	}
	c, err := from.open(ctx)
	if err != nil {
		return err
	}
	err = verify(c)
	// The connection is the last: closing it removes the WAL that opening made.
	return first(err, c.close())
}

func verify(c *conn) error {
	id, _, err := c.one(`PRAGMA application_id`)
	if err != nil {
		return err
	}
	if integer(id) != applicationID {
		return errors.New("it is no database of this server")
	}
	state, _, err := c.one(`PRAGMA quick_check(1)`)
	if err != nil {
		return err
	}
	if text(state) != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, text(state))
	}
	have, _, err := c.one(`SELECT max(version_id) FROM schema_version`)
	if err != nil {
		return err
	}
	known, err := migrations.Latest(migrations.SQLite)
	if err == nil && integer(have) > known {
		err = fmt.Errorf("%w: schema %d, known up to %d", migrations.ErrTooNew, integer(have), known)
	}
	return err
}

// setAside keeps a second name for the old database. Its WAL must not meet the new one: it is copied into the database, or, if the database
// is too damaged for that, kept under a name of its own.
func setAside(ctx context.Context, path string) error {
	kept := path + ".before-restore"
	removeDB(kept)
	if err := foldWAL(ctx, path); err != nil {
		if err := os.Rename(path+"-wal", kept+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(path + "-shm")
	return os.Link(path, kept)
}

func foldWAL(ctx context.Context, path string) error {
	from, err := newConnector(path, 16<<10)
	if err != nil {
		return err
	}
	c, err := from.open(ctx)
	if err != nil {
		return err
	}
	_, err = c.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	return first(err, c.close())
}
