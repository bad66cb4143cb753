// Package migrations owns every version of the schema of every backend: numbered, forward-only steps, embedded in the program.
//
// What it is not: it opens no database and knows no path; a backend hands it a connection before it uses it. A step that has been released
// is never changed; a change is a new step, and each backend's tests open the databases of the versions before (testdata).
//
// It starts no goroutines. The steps are SQL files in one folder per dialect, run by goose, one transaction each.
//
//	err := migrations.Up(ctx, migrations.SQLite, db, log)
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// Dialect names the folder of steps of one kind of database.
type Dialect string

// SQLite is the dialect of core/storage/sqlite.
const SQLite Dialect = "sqlite"

// ErrTooNew: the database has steps that this program does not know.
var ErrTooNew = errors.New("migrations: the database was written by a newer version")

//go:embed sqlite/*.sql
var steps embed.FS

// provider returns goose over the dialect's folder.
func provider(d Dialect, db *sql.DB, log *slog.Logger) (*goose.Provider, error) {
	dir, err := fs.Sub(steps, string(d))
	if err != nil {
		return nil, fmt.Errorf("migrations: %s: %w", d, err)
	}
	dialects := map[Dialect]goose.Dialect{SQLite: goose.DialectSQLite3}
	p, err := goose.NewProvider(dialects[d], db, dir,
		goose.WithTableName("schema_version"), goose.WithDisableGlobalRegistry(true), goose.WithSlog(log))
	if err != nil {
		return nil, fmt.Errorf("migrations: %s: %w", d, err)
	}
	return p, nil
}

// Up brings the database to the newest version. It fails with ErrTooNew, and changes nothing, if the database is ahead of the program.
func Up(ctx context.Context, d Dialect, db *sql.DB, log *slog.Logger) error {
	p, err := provider(d, db, log)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrations: read version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w: schema %d, known up to %d", ErrTooNew, have, want)
	}
	if have == want {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// Latest is the newest version of a dialect's schema.
func Latest(d Dialect) (int64, error) {
	entries, err := fs.ReadDir(steps, string(d))
	if err != nil || len(entries) == 0 {
		return 0, fmt.Errorf("migrations: %s: no steps: %w", d, err)
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}
