package pubsub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Subscriptions that end by themselves are listed in table "pubsub_lease": those that end at a time (XEP-0060 §12.19) under leaseOwner by that
// time, those that end with the subscriber's presence (§12.5) under her bare JID.
const (
	tableLease = "pubsub_lease"
	leaseOwner = "until"
)

// leaseRow is where a subscription's end is listed; "": it has none.
func (o *op) leaseRow(s *node.Subscription) (owner, key string) {
	key = o.svc.name + sep + o.name + sep + s.JID + sep + s.ID
	switch {
	case s.Temp:
		j, err := jid.Parse(s.JID)
		if err != nil {
			return "", ""
		}
		return j.Bare().String(), key
	case s.Until > 0:
		return leaseOwner, leaseKey(s.Until) + sep + key
	}
	return "", ""
}

func leaseKey(seconds int64) string { return fmt.Sprintf("%016x", uint64(seconds)) }

// putLease adds a subscription's row, dropLease takes it away.
func (o *op) putLease(s *node.Subscription) {
	owner, key := o.leaseRow(s)
	if owner == "" {
		return
	}
	o.u.Add(storage.PutRow{Table: tableLease, Owner: owner, Key: key})
	if owner == leaseOwner {
		at := time.Unix(s.Until, 0)
		o.after = append(o.after, func() { o.m.wakeAt(at) })
	}
}

func (o *op) dropLease(s *node.Subscription) {
	if owner, key := o.leaseRow(s); owner != "" {
		o.u.Add(storage.DeleteRow{Table: tableLease, Owner: owner, Key: key})
	}
}

// endLeases ends the subscriptions whose time has come.
func (m *Module) endLeases() {
	from, now := "", leaseKey(m.d.Clock.Now().Unix())
	for {
		rows, err := m.t.lease.Range(context.Background(), leaseOwner, from, now+sepAfter, maxPage, false)
		if err != nil {
			m.d.Log.Error("subscriptions that end cannot be read", "err", err)
			return
		}
		for _, r := range rows {
			_, what, _ := strings.Cut(r.Key, sep)
			m.end(leaseOwner, r.Key, what)
		}
		if len(rows) < maxPage {
			return
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
}

// nextLease is when the next subscription ends; zero: none does.
func (m *Module) nextLease() time.Time {
	rows, err := m.t.lease.Range(context.Background(), leaseOwner, "", "", 1, false)
	if err != nil || len(rows) == 0 {
		return time.Time{}
	}
	var at int64
	if _, err := fmt.Sscanf(rows[0].Key, "%016x", &at); err != nil {
		return time.Time{}
	}
	return time.Unix(at, 0)
}

// end has one listed subscription end, in its place among the node's changes.
func (m *Module) end(owner, key, what string) {
	p := strings.Split(what, sep)
	svc := m.named(p[0])
	if len(p) != 4 || svc == nil {
		m.d.Log.Error("the end of a subscription cannot be read", "key", key)
		return
	}
	m.service(svc, p[1], "end a subscription", func(o *op) error { return o.ended(owner, key, p[2], p[3]) })
}

// ended removes a subscription that is still listed so, and its row in the list in any case.
func (o *op) ended(owner, key, who, id string) (err error) {
	o.u.Add(storage.DeleteRow{Table: tableLease, Owner: owner, Key: key})
	if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil || o.rec == nil {
		return err
	}
	rows, err := o.m.t.sub.Range(o.ctx, o.svc.owner(o.rec.ID), subKey(who, id), subKey(who, id)+"\x01", 1, false)
	if err != nil || len(rows) == 0 {
		return err
	}
	s, err := decodeSub(rows[0])
	if err != nil {
		return err
	}
	if _, listed := o.leaseRow(&s); listed != key {
		return nil // its subscriber has changed her mind
	}
	o.dropSub(&s)
	s.State = node.NoState
	o.tellSubscriber(&s)
	o.tellOwners(&s)
	return o.save()
}

// endTemporary ends the subscriptions that a session, or all sessions of an address, have had for as long as they are there (§12.5).
func (m *Module) endTemporary(ctx context.Context, who jid.JID) {
	owner := who.Bare().String()
	rows, err := m.t.lease.Range(ctx, owner, "", "", m.o.Subscriptions, false)
	if err != nil {
		m.d.Log.Error("temporary subscriptions cannot be read", "jid", who.String(), "err", err)
		return
	}
	for _, r := range rows {
		p := strings.Split(r.Key, sep)
		j, err := jid.Parse(p[min(2, len(p)-1)])
		if err != nil || who.IsFull() && j != who {
			continue
		}
		m.end(owner, r.Key, r.Key)
	}
}

// unavailable is told when a session here goes.
func (m *Module) unavailable(ctx context.Context, p *event.PresenceChange) error {
	full := p.Stanza.From
	who := full.Bare()
	for _, s := range m.d.Sessions.Of(ctx, who) {
		if s.Available && s.JID != full {
			who = full
			break
		}
	}
	m.endTemporary(context.WithoutCancel(ctx), who.Clone())
	return nil
}

// endForgotten ends the temporary subscriptions of people here of whom no session is left: the server has not seen them go.
func (m *Module) endForgotten() {
	ctx := context.Background()
	for page := (storage.Page{Limit: maxPage}); ; {
		owners, err := m.t.lease.Owners(ctx, page)
		if err != nil {
			m.d.Log.Error("temporary subscriptions cannot be read", "err", err)
			return
		}
		for _, owner := range owners {
			page.After = owner
			j, err := jid.Parse(owner)
			if owner == leaseOwner || err != nil || !m.d.Hosts.IsLocal(j.Domain()) {
				continue
			}
			if len(m.shows(ctx, nil, j)) == 0 {
				m.endTemporary(ctx, j)
			}
		}
		if len(owners) < page.Limit {
			return
		}
	}
}
