package pubsub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Nodes whose items expire are listed in table "pubsub_expire", owner expireOwner, so that the sweep looks at them alone.
const (
	tableExpire = "pubsub_expire"
	expireOwner = "expire"
)

// sweepEvery is how often expired items are removed. They are not shown from the moment on when they have expired.
const sweepEvery = time.Hour

func expireKey(svc *service, name string) string { return svc.name + sep + name }

// listExpiry adds or removes a node's entry.
func (o *op) listExpiry() {
	key := expireKey(o.svc, o.name)
	if o.rec.Config.Expire > 0 {
		o.u.Add(storage.PutRow{Table: tableExpire, Owner: expireOwner, Key: key})
		return
	}
	o.u.Add(storage.DeleteRow{Table: tableExpire, Owner: expireOwner, Key: key})
}

// expired is the order before which items are no longer shown; "": none.
func (m *Module) expired(c *node.Config) string {
	if c.Expire <= 0 {
		return ""
	}
	at := m.d.Clock.Now().Add(-time.Duration(c.Expire) * time.Second)
	return orderKey(storage.MessageID(at.UnixMilli() << 20))
}

// settleTime is how long after a start sessions have come back that can be resumed.
const settleTime = time.Minute

// sweepExpired removes what has expired, node by node, and comes back in an hour, or when the next subscription ends.
func (m *Module) sweepExpired() { m.sweep(settleTime) }

func (m *Module) sweep(next time.Duration) {
	m.queue(expireOwner).Post(func() {
		if next == sweepEvery {
			m.endForgotten()
		}
		m.sweepFrom("")
		m.endLeases()
		now := m.d.Clock.Now()
		at := now.Add(next)
		if lease := m.nextLease(); !lease.IsZero() && lease.Before(at) {
			at = lease
		}
		m.timers.Lock()
		defer m.timers.Unlock()
		m.setTimer(now, at)
	})
}

// setTimer has the next sweep done at a time; timers is held.
func (m *Module) setTimer(now, at time.Time) {
	if m.stopped {
		return
	}
	if m.sweeper != nil {
		m.sweeper.Stop()
	}
	m.sweepAt = at
	m.sweeper = m.d.Clock.AfterFunc(max(at.Sub(now), time.Second), func() { m.sweep(sweepEvery) })
}

// wakeAt has a sweep done no later than at.
func (m *Module) wakeAt(at time.Time) {
	m.timers.Lock()
	defer m.timers.Unlock()
	if m.sweepAt.IsZero() || at.Before(m.sweepAt) {
		m.setTimer(m.d.Clock.Now(), at)
	}
}

func (m *Module) sweepFrom(from string) {
	for {
		rows, err := m.t.expire.Range(context.Background(), expireOwner, from, "", maxPage, false)
		if err != nil {
			m.d.Log.Error("nodes whose items expire cannot be read", "err", err)
			return
		}
		for _, r := range rows {
			svc, name, _ := strings.Cut(r.Key, sep)
			if s := m.named(svc); s != nil {
				m.service(s, name, "prune", (*op).prune)
			}
		}
		if len(rows) < maxPage {
			return
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
}

// named returns the service of a name in a list; nil: it is none.
func (m *Module) named(name string) *service {
	j, err := jid.Parse(name)
	if err != nil {
		return nil
	}
	return &service{jid: j, name: name, account: j.HasLocal()}
}

// service does something with a node that nobody has asked for, in its place among the node's changes.
func (m *Module) service(svc *service, name, what string, fn func(*op) error) {
	m.change(svc, name, what, false, fn)
}

// change is service for what may touch the edges of collections.
func (m *Module) change(svc *service, name, what string, graph bool, fn func(*op) error) {
	o := &op{m: m, ctx: context.Background(), svc: svc, from: svc.jid, name: name, verb: xmlstream.NewNode("", what),
		u: journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "pubsub"})}
	run := func(o *op) (*xmlstream.Node, error) { return nil, fn(o) }
	o.start(verb{run: run, root: !svc.account, graph: func(*op) bool { return graph }}, func(_ *xmlstream.Node, err error) {
		if err != nil {
			m.d.Log.Error("a node could not be tidied up", "what", what, "service", svc.name, "node", name, "err", err)
		}
	})
}

// prune removes expired items of one node in slices.
func (o *op) prune() (err error) {
	if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil {
		return err
	}
	if o.rec == nil || o.rec.Config.Expire <= 0 {
		o.u.Add(storage.DeleteRow{Table: tableExpire, Owner: expireOwner, Key: expireKey(o.svc, o.name)})
		return nil
	}
	rows, err := o.m.t.order.Range(o.ctx, o.svc.owner(o.rec.Gen), "", o.m.expired(&o.rec.Config), directRows, false)
	if err != nil {
		return fmt.Errorf("pubsub: read items: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	for _, r := range rows {
		o.dropItem(r.Key, string(r.Value))
		if string(r.Value) == o.rec.Last {
			o.rec.Last = ""
		}
	}
	if len(rows) == directRows {
		svc, name := o.svc, o.name
		o.after = append(o.after, func() { o.m.service(svc, name, "prune", (*op).prune) })
	}
	return o.save()
}
