package roster

import (
	"context"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// change is what an update has done to one item.
type change struct {
	a        *account
	owner    jid.JID
	now, was storage.RosterItem
	removed  bool
}

// update is one call of Update.
type update struct {
	m        *Module
	u        *journal.Unit
	accounts map[string]*account
	changes  []change
}

// Update changes rosters. It locks those of the owners, calls fn, which reads items with get and replaces them with put, adds the rows and,
// behind the after-commit steps that fn has added to u, the roster pushes, and hands u to submit before it unlocks. An item that says
// nothing any more (see storage.RosterItem) is removed. With an error of fn, or where a roster would grow beyond its bounds, nothing happens, u is
// not submitted, and the error is returned.
func (m *Module) Update(ctx context.Context, u *journal.Unit, owners []jid.JID,
	fn func(get func(owner, contact jid.JID) storage.RosterItem, put func(owner jid.JID, item storage.RosterItem)) error,
	submit func(*journal.Unit),
) error {
	up := &update{m: m, u: u, accounts: map[string]*account{}}
	names := make([]string, len(owners))
	for i, o := range owners {
		names[i] = o.Bare().String()
	}
	slices.Sort(names)
	names = slices.Compact(names)
	defer up.unlock()
	for _, name := range names {
		a, err := m.cache.lock(ctx, name)
		if err != nil {
			return err
		}
		up.accounts[name] = a
	}
	mark := u.Mark()
	err := fn(up.get, up.put)
	if err == nil {
		err = up.fits()
	}
	if err != nil {
		up.undo()
		u.Back(mark)
		return err
	}
	up.record()
	submit(u)
	return nil
}

func (up *update) unlock() {
	for _, a := range up.accounts {
		up.m.cache.unlock(a)
	}
}

func (up *update) get(owner, contact jid.JID) storage.RosterItem {
	return up.accounts[owner.Bare().String()].get(contact.Bare().String())
}

func (up *update) put(owner jid.JID, it storage.RosterItem) {
	a := up.accounts[owner.Bare().String()]
	was := a.get(it.Contact)
	empty := !it.Listed && it.PendingIn == nil && !it.Approved && !it.Ask && it.Subscription == "none"
	_, known := a.items[it.Contact]
	if empty && !known {
		return
	}
	it.Version = a.version + 1
	a.version++
	a.from = nil
	if empty {
		delete(a.items, it.Contact)
	} else {
		a.items[it.Contact] = it
	}
	up.changes = append(up.changes, change{a, owner.Bare(), it, was, empty})
}

// undo takes back what put has done in memory.
func (up *update) undo() {
	for _, c := range slices.Backward(up.changes) {
		c.a.version--
		c.a.from = nil
		if c.was.Version == 0 && !c.was.Listed && c.was.PendingIn == nil && !c.was.Approved {
			delete(c.a.items, c.was.Contact)
		} else {
			c.a.items[c.was.Contact] = c.was
		}
	}
}

// record adds the rows and the steps of all changes.
func (up *update) record() {
	for _, c := range up.changes {
		owner := c.owner.String()
		if c.removed {
			up.u.Add(storage.DeleteRosterItem{Owner: owner, Contact: c.now.Contact, Version: c.now.Version})
		} else {
			up.u.Add(storage.PutRosterItem{Owner: owner, Item: c.now})
		}
	}
	for _, c := range up.changes {
		up.m.cache.hold(c.a.owner) // the roster stays in memory while the unit is under way
		up.u.After(up.m.lanes.Lane(c.owner), func(err error) { up.m.committed(c, err) })
	}
}

// committed shows a change to the account's sessions. It runs in the account's lane.
func (m *Module) committed(c change, err error) {
	if err != nil {
		m.cache.failed(c.a)
		m.cache.release(c.a)
		return
	}
	m.cache.release(c.a)
	ctx := context.Background()
	if shown(c.now, c.was) {
		m.push(ctx, c.owner, c.now, !c.now.Listed)
	}
	rc := &event.RosterChange{Owner: c.owner, Item: c.now, Previous: c.was, Removed: c.was.Listed && !c.now.Listed}
	_ = m.d.Events.Roster.Changed.Committed(ctx, rc) // the point has told of a panic
}

// shown tells whether a change is one that clients see. A request that waits for a decision is none (RFC 6121 §2.1.2.5); what a client has
// set is pushed in any case.
func shown(now, was storage.RosterItem) bool {
	if !now.Listed && !was.Listed {
		return false
	}
	return now.Listed != was.Listed || now.Subscription != was.Subscription || now.Ask != was.Ask || now.Approved != was.Approved ||
		(now.PendingIn == nil) == (was.PendingIn == nil)
}

// push sends one item to every interested session (RFC 6121 §2.1.6).
func (m *Module) push(ctx context.Context, owner jid.JID, it storage.RosterItem, removed bool) {
	for _, s := range m.d.Sessions.Of(ctx, owner) {
		if s.Has(event.FlagInterested) {
			m.d.Sessions.Deliver(ctx, s.JID, pushOf(owner, s.JID, it, removed))
		}
	}
}

// pushOf is one roster push. Its id is the version: unique for the account, and nobody waits for the answer.
func pushOf(owner, to jid.JID, it storage.RosterItem, removed bool) *stanza.Stanza {
	item := itemNode(it)
	if removed {
		item = removedNode(it.Contact)
	}
	iq := stanza.NewIQ(stanza.TypeSet, "push"+formatVersion(it.Version), queryNode(it.Version).Add(item))
	iq.From, iq.To = owner, to
	return iq
}
