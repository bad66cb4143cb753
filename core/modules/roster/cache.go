package roster

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// cache holds the rosters in use and some of those that were.
type cache struct {
	store storage.Roster
	max   int

	mu       sync.Mutex
	accounts map[string]*account
}

// account is one roster. mu orders its changes. Where two rosters are locked, it is in the order of their owners; cache.mu may be
// taken while rosters are locked; nothing is locked under it.
type account struct {
	owner string
	users int  // who holds or waits for mu, and units under way; guarded by cache.mu
	stale bool // a commit has failed: what is here is not what is stored; guarded by cache.mu

	mu      sync.Mutex
	loaded  bool
	items   map[string]storage.RosterItem
	version int64
	from    []jid.JID // memo of subscribers; nil: to be made
}

func (c *cache) init(store storage.Roster, limit int) {
	c.store, c.max, c.accounts = store, limit, map[string]*account{}
}

// lock returns the roster of an owner, loaded and locked.
func (c *cache) lock(ctx context.Context, owner string) (*account, error) {
	a := c.hold(owner)
	a.mu.Lock()
	if err := a.load(ctx, c.store); err != nil {
		c.unlock(a)
		return nil, err
	}
	return a, nil
}

func (c *cache) unlock(a *account) {
	a.mu.Unlock()
	c.release(a)
}

// hold keeps a roster in memory until release.
func (c *cache) hold(owner string) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[owner]
	if a == nil {
		if len(c.accounts) >= c.max {
			c.evict()
		}
		owner = strings.Clone(owner) // it may be a part of a stanza
		a = &account{owner: owner}
		c.accounts[owner] = a
	}
	a.users++
	return a
}

func (c *cache) release(a *account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.users--; a.users == 0 && a.stale {
		delete(c.accounts, a.owner)
	}
}

// evict drops one of a few rosters that nobody uses; c.mu is held. All in use: the cache grows beyond its bound for as long.
func (c *cache) evict() {
	tried := 0
	for owner, a := range c.accounts {
		if a.users == 0 {
			delete(c.accounts, owner)
			return
		}
		if tried++; tried == 16 {
			return
		}
	}
}

// drop forgets a roster that was deleted in the store.
func (c *cache) drop(owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.accounts[owner]; a != nil {
		delete(c.accounts, owner)
	}
}

// failed says that a unit that changed the roster was not committed. What is in memory serves the units that are under way, and is read anew
// after them.
func (c *cache) failed(a *account) {
	c.mu.Lock()
	a.stale = true
	c.mu.Unlock()
}

func (a *account) load(ctx context.Context, store storage.Roster) error {
	if a.loaded {
		return nil
	}
	items, version, err := store.All(ctx, a.owner)
	if err != nil {
		return fmt.Errorf("roster: load: %w", err)
	}
	a.items = make(map[string]storage.RosterItem, len(items))
	for _, it := range items {
		a.items[it.Contact] = it
	}
	a.version, a.loaded = version, true
	return nil
}

func (a *account) get(contact string) storage.RosterItem {
	if it, ok := a.items[contact]; ok {
		return it
	}
	return storage.RosterItem{Contact: contact, Subscription: "none"}
}

// subscribers is the list that a presence is broadcast to; a.mu is held.
func (a *account) subscribers() []jid.JID {
	if a.from == nil {
		a.from = []jid.JID{}
		for contact, it := range a.items {
			if it.Subscription != "from" && it.Subscription != "both" {
				continue
			}
			if j, err := jid.Parse(contact); err == nil {
				a.from = append(a.from, j)
			}
		}
	}
	return a.from
}
