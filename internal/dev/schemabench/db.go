package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"modernc.org/sqlite"
)

// db is one database with its writing connection, used without database/sql as the backend does.
type db struct {
	path  string
	conn  driver.Conn
	stmts map[string]driver.StmtExecContext
	args  []driver.NamedValue
	seen  map[[16]byte]int64 // of the dedupe variant that looks in memory

	stop func()
}

func connect(path string, page int) (driver.Conn, error) {
	c, err := sqlite.NewConnector(path)
	if err != nil {
		return nil, err
	}
	conn, err := c.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	for _, p := range []string{
		"page_size=" + strconv.Itoa(page), "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0", "cache_size=-65536",
		"busy_timeout=10000", "temp_store=MEMORY",
	} {
		if err := run(conn, "PRAGMA "+p); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

func run(conn driver.Conn, query string) error {
	_, err := conn.(driver.ExecerContext).ExecContext(context.Background(), query, nil)
	return err
}

func create(dir, name string, page int, schema []string) (*db, error) {
	path := filepath.Join(dir, name+".db")
	conn, err := connect(path, page)
	if err != nil {
		return nil, err
	}
	for _, s := range schema {
		if err := run(conn, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	return &db{path: path, conn: conn, stmts: map[string]driver.StmtExecContext{}}, nil
}

// exec runs a cached statement and returns the number of rows that it changed.
func (d *db) exec(query string, args ...driver.Value) int64 {
	s := d.stmts[query]
	if s == nil {
		st, err := d.conn.Prepare(query)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", query, err))
		}
		s = st.(driver.StmtExecContext)
		d.stmts[query] = s
	}
	d.args = d.args[:0]
	for i, a := range args {
		d.args = append(d.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	r, err := s.ExecContext(context.Background(), d.args)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", query, err))
	}
	n, _ := r.RowsAffected()
	return n
}

// checkpointer copies the WAL into the database from a connection of its own, when soft bytes have gathered; over limit bytes it makes the
// writer wait for the rest. kick asks for a look.
func (d *db) checkpointer(page int, soft, limit int64, writer *sync.Mutex) (kick func(), err error) {
	conn, err := connect(d.path, page)
	if err != nil {
		return nil, err
	}
	work, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close()
		for range work {
			frames, copied := checkpoint(conn, "NOOP")
			if (frames-copied)*int64(page) < soft {
				continue
			}
			if frames, _ = checkpoint(conn, "PASSIVE"); frames*int64(page) > limit {
				writer.Lock() // the rest is short; the next transaction then starts the WAL from its beginning
				checkpoint(conn, "PASSIVE")
				writer.Unlock()
			}
		}
	}()
	d.stop = func() { close(work); <-done }
	return func() {
		select {
		case work <- struct{}{}:
		default:
		}
	}, nil
}

// checkpoint returns the frames in the WAL and how many of them are in the database.
func checkpoint(conn driver.Conn, mode string) (frames, copied int64) {
	rows, err := conn.(driver.QueryerContext).QueryContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")", nil)
	if err != nil {
		panic(err)
	}
	defer rows.Close()
	row := make([]driver.Value, 3)
	if err := rows.Next(row); err != nil {
		panic(err)
	}
	return row[1].(int64), row[2].(int64)
}

func (d *db) size() (total int64) {
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(d.path + suffix); err == nil {
			total += fi.Size()
		}
	}
	return total
}

func (d *db) remove() {
	_ = d.conn.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(d.path + suffix)
	}
}
