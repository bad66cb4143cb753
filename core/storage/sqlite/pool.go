package sqlite

import (
	"context"
	"errors"
	"sync"
)

// errClosed: the store was closed.
var errClosed = errors.New("sqlite: closed")

// pool lends the reading connections. They are opened when they are first needed; who finds all lent waits.
type pool struct {
	c    *connector
	free chan *conn // nil entries stand for connections that are not open yet

	mu     sync.Mutex
	closed chan struct{}
	done   bool
}

func newPool(c *connector, n int) *pool {
	p := &pool{c: c, free: make(chan *conn, n), closed: make(chan struct{})}
	for range n {
		p.free <- nil
	}
	return p
}

// read calls fn with a connection.
func (p *pool) read(ctx context.Context, fn func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case <-p.closed:
		return errClosed
	default:
	}
	select {
	case c = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return errClosed
	}
	defer func() { p.free <- c }()
	if c == nil {
		var err error
		if c, err = p.c.open(ctx); err != nil {
			return err
		}
	}
	return fn(c)
}

// snapshot is read with all of fn's queries seeing the same state.
func (p *pool) snapshot(ctx context.Context, fn func(c *conn) error) error {
	return p.read(ctx, func(c *conn) error {
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		err := fn(c)
		_, end := c.exec("COMMIT")
		return first(err, end)
	})
}

// close waits for the readers and closes their connections.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil
	}
	p.done = true
	close(p.closed)
	var errs []error
	for range cap(p.free) {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return first(errs...)
}
