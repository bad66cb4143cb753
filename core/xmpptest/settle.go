package xmpptest

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// manyLanes is how many addresses reach every queue of the router, with near certainty.
const manyLanes = 512

// direct runs a step where it is posted from.
type direct struct{}

func (direct) Post(fn func()) { fn() }

// commit writes rows past the server's modules and waits.
func (s *Server) commit(ctx context.Context, ops ...journal.Op) error {
	u := journal.NewUnit(journal.Lane{})
	u.Add(ops...)
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	s.Journal().Submit(u)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain waits until everything is committed that was submitted before, and every delivery has run that was posted before.
func (s *Server) drain(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.commit(ctx, storage.PutRow{Table: "xmpptest", Owner: "drain", Key: "drain", Value: []byte{1}}); err != nil {
		t.Fatal("drain:", err)
	}
	done := make(chan struct{}, manyLanes)
	for i := range manyLanes {
		j, err := jid.New("drain"+strconv.Itoa(i), s.Domain(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Router().Lane(j).Post(func() { done <- struct{}{} })
	}
	for range manyLanes {
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("drain: deliveries do not end")
		}
	}
}

// pick waits for the first element that fits and takes it out; the others stay in their order.
func (c *Conn) pick(fits func(*xmlstream.Node) bool) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		c.mu.Lock()
		for i, n := range c.in {
			if fits(n) {
				c.in = append(c.in[:i:i], c.in[i+1:]...)
				c.mu.Unlock()
				return nil
			}
		}
		err, wake := c.err, c.wake
		c.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-wake:
		case <-timer.C:
			return fmt.Errorf("it did not come in %s", patience)
		}
	}
}
