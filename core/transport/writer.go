package transport

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Source is what a Writer pulls from: the outbound ring of a session.
type Source interface {
	// Fill appends what is to be sent to dst, at most cap(dst)-len(dst) bytes,
	// and returns it. It may cut anywhere; what it gave is considered sent.
	// more says that there is something left.
	Fill(dst []byte) (out []byte, more bool)
}

// Writer writes what a Source has, with a goroutine that exists only while there
// is something. What has gathered goes out as one TLS record of up to 16 KiB.
type Writer struct {
	conn   *Conn
	source Source
	failed func(error)
	start  func() // w.run, made once
	state  atomic.Uint32
	ended  chan struct{}
}

const (
	writing uint32 = 1 << iota // the goroutine exists
	woken                      // and has to look again
	stopped                    // and none may be started any more
)

// NewWriter makes a Writer. failed, which may be nil, is called once, in the
// writing goroutine, when a write fails; the connection is broken then.
func NewWriter(c *Conn, source Source, failed func(error)) *Writer {
	w := &Writer{conn: c, source: source, failed: failed, ended: make(chan struct{})}
	w.start = w.run
	return w
}

// Wake says that the source has something. It never blocks.
func (w *Writer) Wake() {
	for {
		s := w.state.Load()
		switch {
		case s&stopped != 0 || s&woken != 0:
			return
		case s&writing != 0:
			if w.state.CompareAndSwap(s, s|woken) {
				return
			}
		case w.state.CompareAndSwap(s, s|writing):
			if !w.conn.goShort(w.start) { // the connection has ended
				w.finish()
			}
			return
		}
	}
}

// Stop writes what the source still has, unless a write fails, and ends. After
// it the writer does not touch the source any more, except when ctx ended first:
// then the write under way ends by its own deadline or with the connection.
func (w *Writer) Stop(ctx context.Context) error {
	w.Wake()
	if w.state.Or(stopped)&writing == 0 {
		return nil
	}
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("transport: stop writer: %w", context.Cause(ctx))
	}
}

func (w *Writer) run() {
	idle := false
	defer func() {
		if !idle { // stopped, failed or panicked
			w.finish()
		}
	}()
	for {
		w.state.And(^woken)
		if err := w.flush(); err != nil {
			if w.failed != nil {
				w.failed(err)
			}
			return
		}
		s := w.state.Load()
		if s&woken != 0 {
			continue
		}
		if s&stopped != 0 {
			return
		}
		// It ends only if nobody woke it meanwhile. From here on another
		// goroutine may be running.
		if idle = w.state.CompareAndSwap(s, s&^writing); idle {
			return
		}
	}
}

// finish ends the last goroutine: none is started after it.
func (w *Writer) finish() {
	w.state.Or(stopped)
	w.state.And(^writing)
	close(w.ended)
}

// flush writes until the source is empty.
func (w *Writer) flush() error {
	buf := w.conn.opts.Buffers.plain.Get().(*[plainSize]byte)
	defer w.conn.opts.Buffers.plain.Put(buf)
	for {
		out, more := w.source.Fill(buf[:0])
		if len(out) > 0 {
			if _, err := w.conn.Write(out); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}
