package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/migrations"
)

const dbName = "viaduct.db"

// applicationID marks a file as ours (sqlite.org/pragma.html#pragma_application_id): "VIAD".
const applicationID = 0x56494144

// Options of a store. Dir is required; zero values take the defaults.
type Options struct {
	Dir        string           // the data directory; made with mode 0700 if it does not exist
	Log        *slog.Logger     // nil: discarded
	Readers    int              // reading connections; the number of processors
	CacheKiB   int              // page cache of the writing connection; 64 MiB. A reading one has a quarter of it
	WALSoft    int64            // bytes of WAL that start a checkpoint; 8 MiB
	WALLimit   int64            // bytes of WAL over which a commit waits for the checkpoint's end; 64 MiB
	Clock      func() time.Time // nil: time.Now
	beforeSync func()           // a test's look at a group just before its COMMIT
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("sqlite: no data directory given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Readers <= 0 {
		o.Readers = max(2, runtime.NumCPU())
	}
	if o.CacheKiB <= 0 {
		o.CacheKiB = 64 << 10
	}
	if o.WALSoft <= 0 {
		o.WALSoft = 8 << 20
	}
	if o.WALLimit <= 0 {
		o.WALLimit = 64 << 20
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return nil
}

// Store is an open database; it implements storage.Store.
type Store struct {
	o        Options
	dir      string
	path     string
	log      *slog.Logger
	lockFile *os.File

	w       *writer
	readers *pool
	check   *checkpointer
	retries *retries
	stats   stats

	closing sync.Once
	closed  error
}

var _ storage.Store = (*Store)(nil)

// Open opens the database of a data directory, making it if there is none and bringing its schema to the newest version.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("sqlite: data directory: %w", err)
	}
	s := &Store{o: o, dir: dir, path: filepath.Join(dir, dbName), log: o.Log}
	if err := s.open(ctx); err != nil {
		_ = s.release()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return explain("make the data directory", s.dir, err)
	}
	if s.lockFile, err = lock(s.dir); err != nil {
		return err
	}
	s.sweepUnfinished()
	// SQLite gives the WAL the mode of the database file.
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return explain("open the database", s.dir, err)
	}
	if err := f.Close(); err != nil {
		return explain("open the database", s.dir, err)
	}
	if err := syncDir(s.dir); err != nil {
		return explain("open the database", s.dir, err)
	}
	if err := s.migrate(ctx); err != nil {
		return explain("open the database", s.dir, err)
	}
	if err := s.connect(ctx); err != nil {
		return explain("open the database", s.dir, err)
	}
	return nil
}

// migrate checks that the file is ours and runs the steps that it lacks.
func (s *Store) migrate(ctx context.Context) error {
	c, err := newConnector(s.path, s.o.CacheKiB)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	db.SetMaxOpenConns(1)
	var id, tables int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case id == applicationID:
	case id == 0 && tables == 0:
		if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d", applicationID)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is a database of another program; move it away", s.path)
	}
	err = migrations.Up(ctx, migrations.SQLite, db, s.log)
	if errors.Is(err, migrations.ErrTooNew) {
		return fmt.Errorf("%w: %s: install that version, or restore a backup of this one (%w)", storage.ErrTooNew, s.path, err)
	}
	return err
}

func (s *Store) connect(ctx context.Context) error {
	wc, err := newConnector(s.path, s.o.CacheKiB)
	if err != nil {
		return err
	}
	rc, err := newConnector(s.path, s.o.CacheKiB/4)
	if err != nil {
		return err
	}
	c, err := wc.open(ctx)
	if err != nil {
		return err
	}
	retries := newRetries()
	if s.w, err = newWriter(c, retries, s.o.Clock); err != nil {
		return first(err, c.close())
	}
	s.readers = newPool(rc, s.o.Readers)
	if s.check, err = startCheckpointer(ctx, s, rc); err != nil {
		return err
	}
	s.retries = retries
	s.retries.load(s.readers, s.o.Clock())
	return nil
}

// Close ends the goroutines, copies the WAL into the database and closes the files.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.release() })
	return s.closed
}

// release closes what has been opened, in the reverse order.
func (s *Store) release() error {
	var errs []error
	if s.retries != nil {
		s.retries.stop()
	}
	if s.check != nil {
		errs = append(errs, s.check.stop())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	if s.lockFile != nil {
		errs = append(errs, s.lockFile.Close())
	}
	return explain("close", s.dir, first(errs...))
}
