package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"modernc.org/sqlite"
)

// settings hold for every connection. synchronous=FULL makes a commit wait for the WAL's sync; checkpoints have their own goroutine.
const settings = "?_txlock=immediate&_dqs=0&_error_rc=1" +
	"&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(0)" +
	"&_pragma=temp_store(MEMORY)&_pragma=trusted_schema(0)"

// connector opens checked connections; goose uses it through database/sql, the rest of the package without.
type connector struct{ driver.Connector }

func newConnector(path string, cacheKiB int) (*connector, error) {
	// An absolute path in a file: URI, so that no character of a directory's name can be taken for a parameter.
	u := url.URL{Scheme: "file", Path: path}
	c, err := sqlite.NewConnector(u.String() + settings + fmt.Sprintf("&_pragma=cache_size(%d)", -cacheKiB))
	if err != nil {
		return nil, err
	}
	return &connector{c}, nil
}

// expected is what is read back on each connection.
var expected = []struct {
	pragma string
	value  driver.Value
}{
	{"synchronous", int64(2)}, // FULL
	{"journal_mode", "wal"},
	{"wal_autocheckpoint", int64(0)},
}

// Connect opens a connection and refuses it unless it is durable.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range expected {
		got, err := pragma(dc, e.pragma)
		if err == nil && got != e.value {
			err = fmt.Errorf("sqlite: PRAGMA %s is %v and must be %v: refusing to run without durable commits", e.pragma, got, e.value)
		}
		if err != nil {
			_ = dc.Close()
			return nil, err
		}
	}
	return dc, nil
}

func pragma(dc driver.Conn, name string) (driver.Value, error) {
	c := conn{dc: dc}
	defer c.closeStatements()
	var v driver.Value
	err := c.query(context.Background(), "PRAGMA "+name, func(row []driver.Value) error {
		v = row[0]
		return nil
	})
	return v, err
}

// conn is a connection with its prepared statements. It is used by one goroutine at a time.
type conn struct {
	dc    driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
	row   []driver.Value
}

func (c *connector) open(ctx context.Context) (*conn, error) {
	dc, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{dc: dc}, nil
}

func (c *conn) closeStatements() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	c.stmts = nil
}

func (c *conn) close() error {
	c.closeStatements()
	return c.dc.Close()
}

// prepare returns the statement of a query text, compiled at its first use. Texts are constants, so their number is bounded.
func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.dc.Prepare(stable(query))
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, strings.Join(strings.Fields(query), " "))
	}
	if c.stmts == nil {
		c.stmts = map[string]driver.Stmt{}
	}
	c.stmts[query] = s
	return s, nil
}

// stable hides a bound limit from the planner. SQLite plans "LIMIT ?" by the value and compiles the statement anew whenever another one is bound
// (sqlite3ExprIsInteger, as SQLITE_DBCONFIG_ENABLE_QPSG is off); to it an expression is just unknown.
func stable(query string) string { return strings.ReplaceAll(query, "LIMIT ?", "LIMIT 0 + ?") }

func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	r, err := c.result(query, args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// insert runs an INSERT and returns the rowid.
func (c *conn) insert(query string, args ...any) (int64, error) {
	r, err := c.result(query, args)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func (c *conn) result(query string, args []any) (driver.Result, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	clear(c.args)
	return r, err
}

// query calls each for every row. The values are each's own, the slice is not. A ctx that can end costs a goroutine, so only queries that
// can be long are given one.
func (c *conn) query(ctx context.Context, query string, each func(row []driver.Value) error, args ...any) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.bind(args))
	clear(c.args)
	if err != nil {
		return err
	}
	n := len(rows.Columns())
	row := c.row
	if cap(row) < n {
		row = make([]driver.Value, n)
	}
	c.row = nil // a query within each has its own
	row = row[:n]
	for err == nil {
		if err = rows.Next(row); err == nil {
			err = each(row)
		}
	}
	clear(row)
	c.row = row
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return first(err, rows.Close())
}

// one returns the first column of the first row, and whether there was a row.
func (c *conn) one(query string, args ...any) (v driver.Value, ok bool, err error) {
	err = c.query(context.Background(), query, func(row []driver.Value) error {
		v, ok = row[0], true
		return nil
	}, args...)
	return v, ok, err
}
