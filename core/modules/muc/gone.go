package muc

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// accountDeleted takes back what rooms have granted an account and keep of it, in the unit that deletes it: whoever registers the address next is
// somebody else. A ban stays. What follows for each room is that room's to decide: it is noted in the same unit (tableLeaving), so that it
// happens also if the server stops in between.
func (m *Module) accountDeleted(ctx context.Context, c *event.AccountChange) error {
	who := c.JID.Bare()
	list, err := m.leavings(ctx, c.Unit, who)
	if err != nil {
		return err
	}
	for _, l := range list {
		if err := m.erase(ctx, c.Unit, l.room.String(), who.String()); err != nil {
			return err
		}
		c.Unit.Add(l.row())
	}
	c.Unit.Add(storage.DeleteRows{Table: tableKeepers, Owner: who.String()}, storage.DeleteRows{Table: tableTraces, Owner: who.String()})
	m.goneMu.Lock()
	defer m.goneMu.Unlock()
	m.gone[who.String()] = list
	return nil
}

// leavings are the rooms with something of a person; the rows that take back her affiliations are added.
func (m *Module) leavings(ctx context.Context, u *journal.Unit, who jid.JID) ([]leaving, error) {
	var out []leaving
	known := map[string]bool{}
	add := func(at, was string) {
		if j, err := jid.Parse(at); err == nil && !known[at] {
			known[at] = true
			out = append(out, leaving{room: j, who: who, was: was})
		}
	}
	for p := (storage.Page{Limit: 1000}); ; {
		page, err := m.d.Store.Rooms().RoomsOf(ctx, who.String(), p)
		if err != nil {
			return nil, fmt.Errorf("muc: rooms of a deleted account: %w", err)
		}
		for _, f := range page {
			if af, ok := room.ParseAffiliation(f.Affiliation); !ok || af == room.Outcast {
				continue
			}
			u.Add(storage.PutAffiliation{Affiliation: storage.Affiliation{Room: f.Room, JID: who.String(), Affiliation: room.None.String()}})
			add(f.Room, f.Affiliation)
		}
		if len(page) < p.Limit {
			break
		}
		p.After = page[len(page)-1].Room
	}
	traces, err := m.tracesOf(ctx, who.String())
	if err != nil {
		return nil, err
	}
	for _, at := range traces {
		add(at, room.None.String())
	}
	return out, nil
}

// accountGone tells the rooms, all at once, and who is in them. A room whose host is not served now is told when it is (resumeLeaving).
func (m *Module) accountGone(_ context.Context, c *event.AccountChange) error {
	who := c.JID.Bare().String()
	m.goneMu.Lock()
	list := m.gone[who]
	delete(m.gone, who)
	m.goneMu.Unlock()
	told, outcomes := 0, make(chan error, len(list))
	for _, l := range list {
		if h := m.hosts[l.room.Domain()]; h != nil {
			told++
			m.tellLeaving(h, l, func(err error) { outcomes <- err })
		}
	}
	var bad error
	for range told {
		bad = errors.Join(bad, <-outcomes)
	}
	return bad
}

// tellLeaving tells one room; done is called once.
func (m *Module) tellLeaving(h *host, l leaving, done func(error)) {
	var once sync.Once
	answer := func(err error) {
		once.Do(func() {
			if err != nil {
				err = fmt.Errorf("muc: tell %s of a deleted account: %w", l.room, err)
			}
			done(err)
		})
	}
	m.post(h, l.room, func(a *actor) {
		in := &inbound{u: a.unit(), h: h, call: true, failed: answer}
		a.accept(task{class: exclusive, in: in, run: func(a *actor, in *inbound) { a.bereave(in, l, answer) }})
	})
}

// resumeLeaving tells the rooms that had not heard of a deleted account when the server stopped.
func (m *Module) resumeLeaving(ctx context.Context) error {
	for name, h := range m.hosts {
		const page = 500
		for from := ""; ; {
			rows, err := m.d.Store.Table(tableLeaving).Range(ctx, name, from, "", page, false)
			if err != nil {
				return fmt.Errorf("muc: start: %w", err)
			}
			for _, r := range rows {
				from = r.Key + "\x00"
				l, err := parseLeaving(r)
				if err != nil {
					m.d.Log.Error("who is leaving could not be read", "key", r.Key, "err", err)
					continue
				}
				m.tellLeaving(h, l, func(err error) {
					if err != nil {
						m.d.Log.Error("a room could not be told", "err", err)
					}
				})
			}
			if len(rows) < page {
				break
			}
		}
	}
	return nil
}

// bereave makes a deleted account's absence the room's: the lists and their version, what is in memory, and who owns it now.
func (a *actor) bereave(in *inbound, l leaving, done func(error)) {
	in.u.Add(storage.DeleteRow{Table: tableLeaving, Owner: a.jid.Domain(), Key: l.key()})
	if a.room == nil {
		a.commit(in.u, done)
		return
	}
	was, _ := room.ParseAffiliation(l.was)
	var changes []room.AffiliationChange
	if a.room.Affiliation(l.who) > room.None { // it was in memory
		was = a.room.Affiliation(l.who)
		changes = append(changes, room.AffiliationChange{Target: l.who.String(), Affiliation: room.None, Reason: "the account was deleted"})
	} else if was > room.None {
		a.logList(in.u, []listChange{{JID: l.who.String(), Was: was, Is: room.None}})
	}
	next := a.succession(in.u, l.who, was)
	if next.heir != "" {
		changes = append(changes, room.AffiliationChange{Target: next.heir, Affiliation: room.Owner, Reason: "the last owner's account was deleted"})
	}
	if len(changes) > 0 {
		a.saveAffiliations(in.u, changes)
	}
	a.succeed(in, next, func(err error) {
		if err == nil && a.room != nil {
			a.forgetPerson(l.who)
			a.applyLists(changes, room.Actor{Service: true}, true)()
		}
		done(err)
	})
}
