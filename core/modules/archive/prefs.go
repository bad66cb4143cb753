package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	tableName = "archive.prefs"
	rowKey    = "prefs"
	// maxListed bounds each list of addresses.
	maxListed = 1000
)

// Policy says what is kept of those who are in no list (XEP-0441 §2.1.1).
type Policy string

// The policies.
const (
	Always Policy = "always"
	Never  Policy = "never"
	Roster Policy = "roster" // of those in the contact list
)

func (p Policy) valid() bool { return p == Always || p == Never || p == Roster }

// prefs are what an account wants.
type prefs struct {
	Default Policy   `json:"default"`
	Always  []string `json:"always,omitempty"`
	Never   []string `json:"never,omitempty"`
}

// listed matches an address with a list: an entry without a resource stands for all of them (§2.3.1).
func listed(list []string, target jid.JID) bool {
	return len(list) > 0 && (slices.Contains(list, target.String()) || slices.Contains(list, target.Bare().String()))
}

// wants tells whether an account keeps what is to or from target.
func (m *Module) wants(ctx context.Context, account, target jid.JID) (bool, error) {
	p, err := m.prefs.of(ctx, account.String())
	if err != nil {
		return false, err
	}
	policy := m.o.Default
	if p != nil {
		policy = p.Default
		switch {
		case listed(p.Never, target):
			return false, nil
		case listed(p.Always, target):
			return true, nil
		}
	}
	if policy != Roster {
		return policy == Always, nil
	}
	if m.contacts == nil {
		return false, nil
	}
	item, err := m.contacts.Item(ctx, account, target.Bare())
	if err != nil {
		return false, fmt.Errorf("archive: look at contacts: %w", err)
	}
	return item.Listed, nil
}

// prefsCache keeps the preferences of the accounts in use, nil for those who have none. It is emptied when it is full.
type prefsCache struct {
	table storage.Table
	mu    sync.Mutex
	known map[string]*prefs
	turn  int // counts changes: what was read before one is not remembered after it
}

const maxKnown = 50_000

func (c *prefsCache) init(t storage.Table) { c.table, c.known = t, map[string]*prefs{} }

func (c *prefsCache) of(ctx context.Context, owner string) (*prefs, error) {
	c.mu.Lock()
	p, ok := c.known[owner]
	turn := c.turn
	c.mu.Unlock()
	if ok {
		return p, nil
	}
	b, err := c.table.Get(ctx, owner, rowKey)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("archive: read preferences: %w", err)
	default:
		p = &prefs{}
		if err := json.Unmarshal(b, p); err != nil {
			return nil, fmt.Errorf("archive: read preferences of %s: %w", owner, err)
		}
	}
	c.mu.Lock()
	if c.turn == turn {
		c.put(owner, p)
	}
	c.mu.Unlock()
	return p, nil
}

// put remembers; mu is held.
func (c *prefsCache) put(owner string, p *prefs) {
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[owner] = p
}

// set is called when the row is committed.
func (c *prefsCache) set(owner string, p *prefs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	c.put(owner, p)
}

// drop forgets an account.
func (c *prefsCache) drop(owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	delete(c.known, owner)
}

// getPrefs is XEP-0441 §2.1.
func (m *Module) getPrefs(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	p, err := m.prefs.of(ctx, req.Target().Bare().String())
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = &prefs{Default: m.o.Default}
	}
	return p.node(), nil
}

func (p *prefs) node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.MAM, "prefs", "default", string(p.Default))
	for _, l := range []struct {
		name string
		list []string
	}{{"always", p.Always}, {"never", p.Never}} {
		c := xmlstream.NewNode(ns.MAM, l.name)
		for _, j := range l.list {
			c.Add(xmlstream.NewNode(ns.MAM, "jid").SetText(j))
		}
		n.Add(c)
	}
	return n
}

func (m *Module) setPrefs(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	p, err := readPrefs(req.Query.Node())
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("archive: write preferences: %w", err)
	}
	owner := req.Target().Bare().String()
	req.Unit.Add(storage.PutRow{Table: tableName, Owner: owner, Key: rowKey, Value: b})
	req.Unit.After(direct{}, func(err error) { // before the answer is sent
		if err == nil {
			m.prefs.set(owner, p)
		}
	})
	return p.node(), nil
}

// direct runs a step where the committer posts it; only for steps that take a short lock and nothing else.
type direct struct{}

// Post implements journal.Poster.
func (direct) Post(fn func()) { fn() }

func readPrefs(n *xmlstream.Node) (*prefs, error) {
	p := &prefs{Default: Policy(n.Attr("default"))}
	if !p.Default.valid() {
		return nil, stanza.NewError(stanza.BadRequest, "default is always, never or roster")
	}
	for _, l := range []struct {
		name string
		list *[]string
	}{{"always", &p.Always}, {"never", &p.Never}} {
		c := n.Child(ns.MAM, l.name)
		if c == nil {
			continue // as an empty list
		}
		for e := range c.Children(ns.MAM, "jid") {
			j, err := jid.Parse(e.TextContent())
			if err != nil {
				return nil, &stanza.Error{Condition: stanza.JIDMalformed, Text: "an entry is no address", Cause: err}
			}
			if s := j.String(); !slices.Contains(*l.list, s) {
				*l.list = append(*l.list, s)
			}
			if len(*l.list) > maxListed {
				return nil, stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("a list has at most %d entries", maxListed))
			}
		}
	}
	return p, nil
}
