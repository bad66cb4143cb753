package pubsub

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Nodes on which a deleted account was something are listed in table "pubsub_gone", owner goneOwner, until their records say so too. Its rows in
// their lists go with the account itself.
const (
	tableGone = "pubsub_gone"
	goneOwner = "gone"
)

// ofWhere begins the keys of the rows that say on which accounts' services somebody here is something; their owner is her bare JID.
const ofWhere = "w" + sep

// deleted removes what an account has: its nodes, and what it was to nodes on the services here.
func (m *Module) deleted(ctx context.Context, c *event.AccountChange) error {
	account := c.JID.Bare()
	o := &op{m: m, ctx: ctx, svc: accountService(account), from: account, u: c.Unit}
	rows, err := m.t.node.Range(ctx, o.svc.name, "", "", m.o.Nodes*2, false)
	if err != nil {
		return fmt.Errorf("pubsub: read nodes: %w", err)
	}
	for _, row := range rows {
		if o.rec, err = decodeRecord(row.Key, row.Value); err != nil {
			return err
		}
		o.name = row.Key
		if err := o.remove(); err != nil {
			return err
		}
	}
	for _, h := range m.hosts {
		if err := m.forget(ctx, h.svc, account, c); err != nil {
			return err
		}
	}
	c.Unit.Add(storage.DeleteRows{Table: tableLease, Owner: account.String()}, storage.DeleteRows{Table: tableMoved, Owner: account.String()},
		storage.DeleteRows{Table: tableOf, Owner: o.svc.person(account)})
	return m.forgetAccounts(ctx, account, c)
}

// forgetAccounts does for other accounts' services what forget does for one.
func (m *Module) forgetAccounts(ctx context.Context, account jid.JID, c *event.AccountChange) error {
	from := ofWhere
	for {
		rows, err := m.t.of.Range(ctx, account.String(), from, "w"+sepAfter, maxPage, false)
		if err != nil {
			return fmt.Errorf("pubsub: read a person's services: %w", err)
		}
		for _, r := range rows {
			from = r.Key + "\x01"
			if svc := m.named(strings.TrimPrefix(r.Key, ofWhere)); svc != nil {
				if err := m.forget(ctx, svc, account, c); err != nil {
					return err
				}
			}
		}
		if len(rows) < maxPage {
			c.Unit.Add(storage.DeleteRows{Table: tableOf, Owner: account.String()})
			return nil
		}
	}
}

// loss is what a node loses with an account.
type loss struct {
	id    int64 // of the node
	subs  int
	owner bool
}

func (l loss) encode() []byte {
	return []byte(strconv.FormatInt(l.id, 16) + sep + strconv.Itoa(l.subs) + sep + strconv.FormatBool(l.owner))
}

func parseLoss(b []byte) (l loss, err error) {
	p := strings.Split(string(b), sep)
	if len(p) != 3 {
		return l, fmt.Errorf("pubsub: read what a node has lost: %q", b)
	}
	if l.id, err = strconv.ParseInt(p[0], 16, 64); err == nil {
		l.subs, err = strconv.Atoi(p[1])
	}
	l.owner = p[2] == "true"
	return l, err
}

// forget removes a person's affiliations and subscriptions on a service, and lists the nodes that have lost something.
func (m *Module) forget(ctx context.Context, svc *service, account jid.JID, c *event.AccountChange) error {
	lost := map[string]loss{}
	err := m.ofPerson(ctx, svc, account, "", "", func(row storage.Row) {
		id, what := parseOf(row.Value)
		name := nodeOf(row.Key)
		c.Unit.Add(storage.DeleteRow{Table: tableOf, Owner: svc.person(account), Key: row.Key})
		if row.Key == ofMoved(name) {
			c.Unit.Add(storage.DeleteRow{Table: tableMoved, Owner: svc.name, Key: name})
			return
		}
		l := lost[name]
		l.id = id
		if who, sub := subOf(row.Key); who != "" {
			l.subs++
			c.Unit.Add(storage.DeleteRow{Table: tableSub, Owner: svc.owner(id), Key: subKey(who, sub)})
		} else {
			l.owner = node.Affiliation(what) == node.Owner
			c.Unit.Add(storage.DeleteRow{Table: tableAffil, Owner: svc.owner(id), Key: account.String()})
		}
		lost[name] = l
	})
	if err != nil {
		return fmt.Errorf("pubsub: read a person's nodes: %w", err)
	}
	for name, l := range lost {
		if l.subs > 0 || l.owner {
			key := svc.name + sep + name + sep + account.String()
			c.Unit.Add(storage.PutRow{Table: tableGone, Owner: goneOwner, Key: key, Value: l.encode()})
		}
	}
	return nil
}

// sweepGone brings the records of nodes in step that have lost somebody.
func (m *Module) sweepGone() {
	from := ""
	for {
		rows, err := m.t.gone.Range(context.Background(), goneOwner, from, "", maxPage, false)
		if err != nil {
			m.d.Log.Error("nodes that have lost an account cannot be read", "err", err)
			return
		}
		for _, r := range rows {
			from = r.Key + "\x01"
			p := strings.Split(r.Key, sep)
			svc := m.named(p[0])
			if len(p) != 3 || svc == nil {
				m.d.Log.Error("what a node has lost cannot be read", "key", r.Key)
				continue
			}
			m.change(svc, p[1], "note a deleted account", true, func(o *op) error { return o.bereaved(r) })
		}
		if len(rows) < maxPage {
			return
		}
	}
}

// bereaved notes what a node has lost. One whose only owner it was goes: nobody could ever configure or delete it.
func (o *op) bereaved(row storage.Row) error {
	o.u.Add(storage.DeleteRow{Table: tableGone, Owner: goneOwner, Key: row.Key})
	if _, err := o.m.t.gone.Get(o.ctx, goneOwner, row.Key); err != nil {
		return nil // done by an earlier sweep
	}
	l, err := parseLoss(row.Value)
	if err != nil {
		return err
	}
	if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil || o.rec == nil || o.rec.ID != l.id {
		return err
	}
	if l.owner && !o.svc.account && o.name != "" {
		owners, err := o.m.affiliated(o.ctx, o.svc, o.rec, node.Owner)
		if err != nil {
			return err
		}
		if len(owners) == 0 {
			return o.removeAndTell(o.deletion())
		}
	}
	o.rec.Subs = max(0, o.rec.Subs-l.subs)
	return o.save()
}
