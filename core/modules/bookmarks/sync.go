package bookmarks

import (
	"context"
	"maps"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ownerOnly is what a node of bookmarks must be (XEP-0402 §3.3, XEP-0411 §6): a node that is open to others is not written to.
func ownerOnly() map[string]string { return map[string]string{"access_model": "whitelist"} }

// fresh is ownerOnly with what a node is made with (XEP-0402 §3.3, XEP-0048 §3.1).
func fresh(more map[string]string) map[string]string {
	o := map[string]string{"access_model": "whitelist", "persist_items": "true"}
	maps.Copy(o, more)
	return o
}

// publish publishes items. A node that a client has made otherwise, but for its owner only, is as good.
func (m *Module) publish(account jid.JID, node string, items []*xmlstream.Node, options map[string]string, done func(error)) {
	ctx := context.Background()
	m.pep.PEPPublish(ctx, account, node, items, options, func(err error) {
		if err == nil || stanza.AsError(err).Condition != stanza.Conflict {
			done(err)
			return
		}
		m.pep.PEPPublish(ctx, account, node, items, ownerOnly(), done)
	})
}

// take changes the items to match a list of XEP-0048, one list of an account after the other. done is told once all is durable; a part of it may
// be before. It runs in the module's queue.
func (m *Module) take(account jid.JID, storage *xmlstream.Node, done func(error)) {
	run := func() {
		m.takeNow(account, storage, func(err error) {
			done(err)
			m.taken(account)
		})
	}
	if waiting, busy := m.takes[account]; busy {
		m.takes[account] = append(waiting, run)
		return
	}
	m.takes[account] = nil
	run()
}

// taken goes on with the list that waits.
func (m *Module) taken(account jid.JID) {
	m.q.Post(func() {
		waiting := m.takes[account]
		if len(waiting) == 0 {
			delete(m.takes, account)
			return
		}
		m.takes[account] = waiting[1:]
		waiting[0]()
	})
}

func (m *Module) takeNow(account jid.JID, storage *xmlstream.Node, done func(error)) {
	ctx := context.Background()
	want, rest := readStorage(storage)
	items, err := m.pep.PEPItems(ctx, account, ns.Bookmarks, maxBookmarks)
	u := journal.NewUnit(journal.AccountLane(account.String()))
	if err == nil {
		err = m.putRest(ctx, u, account, rest)
	}
	if err != nil {
		done(err)
		return
	}
	d := diff(readItems(items), want)
	u.After(m.q, func(err error) {
		if err != nil {
			done(err)
			return
		}
		m.apply(account, d, func(err error) {
			if err == nil {
				m.writeList(account) // also if no item has changed: the rest may have
			}
			done(err)
		})
	})
	m.d.Journal.Submit(u)
}

// apply carries a difference out, a slice at a time. done runs in the module's queue.
func (m *Module) apply(account jid.JID, d difference, done func(error)) {
	step := func(err error) {
		m.q.Post(func() {
			if err != nil {
				done(err)
				return
			}
			m.apply(account, d, done)
		})
	}
	switch {
	case len(d.publish) > 0:
		n := min(len(d.publish), maxAtOnce)
		now := d.publish[:n]
		d.publish = d.publish[n:]
		m.publish(account, ns.Bookmarks, now, fresh(map[string]string{"max_items": "max", "send_last_published_item": "never"}), step)
	case len(d.retract) > 0:
		n := min(len(d.retract), maxAtOnce)
		now := d.retract[:n]
		d.retract = d.retract[n:]
		m.pep.PEPRetract(context.Background(), account, ns.Bookmarks, now, func(err error) {
			if err != nil && stanza.AsError(err).Condition == stanza.ItemNotFound { // another client was faster
				err = nil
			}
			step(err)
		})
	default:
		done(nil)
	}
}

// listing is the list in publish-subscribe while it is written.
type listing struct {
	again bool // the items have changed since
}

// writeList writes the list in publish-subscribe again, behind a change of the items. It runs in the module's queue; changes that come while
// it is written are written together.
func (m *Module) writeList(account jid.JID) {
	if l := m.lists[account]; l != nil {
		l.again = true
		return
	}
	ctx := context.Background()
	now, err := m.list(ctx, account)
	var old *xmlstream.Node
	if err == nil {
		old, err = m.pep.PEPItem(ctx, account, ns.BookmarksStorage, itemCurrent)
	}
	if err != nil {
		m.d.Log.Error("bookmarks could not be read", "account", account.String(), "err", err)
		return
	}
	if sayTheSame(old, now) {
		return
	}
	l := &listing{}
	m.lists[account] = l
	wrote := canonical(now)
	m.own[account] = append(m.own[account], wrote)
	item := xmlstream.NewNode(ns.PubSub, "item", "id", itemCurrent).Add(now)
	m.publish(account, ns.BookmarksStorage, []*xmlstream.Node{item}, fresh(nil), func(err error) {
		m.q.Post(func() {
			if err != nil { // its owner has opened the node, or has no room for it: then there is none
				m.isOwn(account, wrote)
				m.d.Log.Warn("the list of bookmarks could not be written", "account", account.String(), "err", err)
			}
			delete(m.lists, account)
			if l.again {
				m.writeList(account)
			}
		})
	})
}

// sayTheSame tells whether the list in publish-subscribe (nil: there is none) needs no writing.
func sayTheSame(item, now *xmlstream.Node) bool {
	if item == nil {
		return len(now.Nodes) == 0
	}
	s := item.Child(ns.BookmarksStorage, "storage")
	if s == nil {
		return false
	}
	old, oldRest := readStorage(s)
	list, rest := readStorage(now)
	d := diff(list, old)
	return len(d.publish) == 0 && len(d.retract) == 0 && xmlstream.NewFragment(oldRest...).String() == xmlstream.NewFragment(rest...).String()
}

func canonical(n *xmlstream.Node) string { return xmlstream.NewFragment(n).String() }

// isOwn tells whether this module has written a list, and forgets that it has: its watcher is told of each once.
func (m *Module) isOwn(account jid.JID, text string) bool {
	own := m.own[account]
	i := slices.Index(own, text)
	if i < 0 {
		return false
	}
	if own = slices.Delete(own, i, i+1); len(own) == 0 {
		delete(m.own, account)
	} else {
		m.own[account] = own
	}
	return true
}

// listPublished changes the items to match a list that a client has published (XEP-0402 §5.3.2). What this module has written itself says
// nothing: items may have been added since.
func (m *Module) listPublished(account jid.JID, storage *xmlstream.Node) {
	if m.isOwn(account, canonical(storage)) {
		return
	}
	m.take(account, storage, func(err error) {
		if err != nil {
			m.d.Log.Warn("bookmarks could not be brought in step", "account", account.String(), "err", err)
		}
	})
}
