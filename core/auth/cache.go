package auth

import (
	"container/list"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// cache keeps the accounts that were used last. An account that was read before a change cannot get in after it: drop starts a new generation.
type cache struct {
	mu    sync.Mutex
	size  int
	gen   uint64
	order *list.List // of *storage.Account, the last used first
	byJID map[string]*list.Element
}

func (c *cache) init(size int) {
	c.size, c.order, c.byJID = size, list.New(), map[string]*list.Element{}
}

func (c *cache) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

func (c *cache) get(key string) (*storage.Account, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byJID[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*storage.Account), true
}

func (c *cache) put(key string, acc *storage.Account, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != gen || c.byJID[key] != nil {
		return
	}
	c.byJID[key] = c.order.PushFront(acc)
	if c.order.Len() > c.size {
		last := c.order.Back()
		delete(c.byJID, last.Value.(*storage.Account).JID)
		c.order.Remove(last)
	}
}

func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	if e, ok := c.byJID[key]; ok {
		c.order.Remove(e)
		delete(c.byJID, key)
	}
}

// touch replaces an account that is in the cache by one with another time.
func (c *cache) touch(key string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byJID[key]; ok {
		next := *e.Value.(*storage.Account)
		next.LastSeen = at
		e.Value = &next
	}
}
