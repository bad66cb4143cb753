package upload

import (
	"context"
	"fmt"
	"sync"
)

// claims keeps a body from being deleted between the moment in which an upload of the same bytes finds it there and the commit of its reference.
type claims struct {
	mu       sync.Mutex
	held     map[string]int
	deleting map[string]chan struct{} // closed when the deletion is over
}

func (c *claims) init() { c.held, c.deleting = map[string]int{}, map[string]chan struct{}{} }

// take holds a hash; it waits while its body is being deleted.
func (c *claims) take(ctx context.Context, hash string) error {
	for {
		c.mu.Lock()
		busy := c.deleting[hash]
		if busy == nil {
			c.held[hash]++
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// release lets go of a hash.
func (c *claims) release(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[hash]--; c.held[hash] == 0 {
		delete(c.held, hash)
	}
}

// begin starts the deletion of a body; false: somebody holds it or deletes it already.
func (c *claims) begin(hash string) (end func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[hash] > 0 || c.deleting[hash] != nil {
		return nil, false
	}
	busy := make(chan struct{})
	c.deleting[hash] = busy
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.deleting, hash)
		close(busy)
	}, true
}

// drop deletes a body that nobody holds and no file has.
func (m *Module) drop(ctx context.Context, hash string) (dropped bool, err error) {
	end, ok := m.claims.begin(hash)
	if !ok {
		return false, nil
	}
	defer end()
	if used, err := m.tables.referenced(ctx, hash); err != nil || used {
		return false, err
	}
	if err := m.o.Store.Delete(ctx, hash); err != nil {
		return false, fmt.Errorf("upload: %w", err)
	}
	return true, nil
}
