package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// What waits to be removed: rows of table "pubsub_trash", owner trashOwner. A key says what it is: the items of a generation, or the lists of a node.
const (
	trashOwner = "trash"
	trashItems = "i" + sep
	trashNode  = "n" + sep
)

// trash removes what deleted nodes have left, in slices.
type trash struct{ m *Module }

var _ journal.Work = (*trash)(nil)

// sweepTrash has what waits removed behind live units. One work at a time: it goes on until nothing is left.
func (m *Module) sweepTrash() {
	if m.sweeping.CompareAndSwap(false, true) {
		m.d.Journal.Background(&trash{m})
	}
}

// Next implements journal.Work. A slice that failed is left for the next time.
func (t *trash) Next(ctx context.Context, _ time.Duration, failed error) (*journal.Unit, error) {
	u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "pubsub"})
	err := failed
	if err == nil {
		err = t.slice(ctx, u)
	}
	if err != nil || u.Empty() {
		t.m.sweeping.Store(false)
		if err != nil {
			return nil, fmt.Errorf("pubsub: remove what is left: %w", err)
		}
		return nil, nil
	}
	return u, nil
}

func (t *trash) slice(ctx context.Context, u *journal.Unit) error {
	rows, err := t.m.t.trash.Range(ctx, trashOwner, "", "", 1, false)
	if err != nil || len(rows) == 0 {
		return err
	}
	row, done := rows[0], true // what nobody knows goes
	if owner, ok := strings.CutPrefix(row.Key, trashItems); ok {
		done, err = t.items(ctx, u, owner)
	} else if owner, ok := strings.CutPrefix(row.Key, trashNode); ok {
		done, err = t.lists(ctx, u, owner, string(row.Value))
	}
	if done {
		u.Add(storage.DeleteRow{Table: tableTrash, Owner: trashOwner, Key: row.Key})
	}
	return err
}

func (t *trash) items(ctx context.Context, u *journal.Unit, owner string) (bool, error) {
	rows, err := t.m.t.order.Range(ctx, owner, "", "", directRows, false)
	if err != nil {
		return false, err
	}
	for _, r := range rows {
		u.Add(storage.DeleteRow{Table: tableOrder, Owner: owner, Key: r.Key}, storage.DeleteRow{Table: tableItem, Owner: owner, Key: string(r.Value)})
	}
	if len(rows) < directRows {
		u.Add(storage.DeleteRows{Table: tableItem, Owner: owner}) // a transient node's last item has no place in the order
		return true, nil
	}
	return false, nil
}

// lists removes affiliations and subscriptions, and what the persons' sides say of this node.
func (t *trash) lists(ctx context.Context, u *journal.Unit, owner, what string) (bool, error) {
	service, name, _ := strings.Cut(what, sep)
	affils, err := t.m.t.affil.Range(ctx, owner, "", "", directRows, false)
	if err != nil {
		return false, err
	}
	for _, r := range affils {
		u.Add(storage.DeleteRow{Table: tableAffil, Owner: owner, Key: r.Key})
		if err := t.side(ctx, u, owner, service+"/"+r.Key, ofAffil(name)); err != nil {
			return false, err
		}
	}
	subs, err := t.m.t.sub.Range(ctx, owner, "", "", directRows, false)
	if err != nil {
		return false, err
	}
	for _, r := range subs {
		u.Add(storage.DeleteRow{Table: tableSub, Owner: owner, Key: r.Key})
		who, id, _ := strings.Cut(r.Key, sep)
		j, err := jid.Parse(who)
		if err != nil {
			continue
		}
		if err := t.side(ctx, u, owner, service+"/"+j.Bare().String(), ofSub(name, who, id)); err != nil {
			return false, err
		}
	}
	return len(affils) < directRows && len(subs) < directRows, nil
}

// side removes a person's row if it is of this node and not of one of the same name that was made since.
func (t *trash) side(ctx context.Context, u *journal.Unit, owner, person, key string) error {
	b, err := t.m.t.of.Get(ctx, person, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	hex, _, _ := strings.Cut(string(b), sep)
	if strings.HasSuffix(owner, "/"+hex) {
		u.Add(storage.CompareAndPut{Table: tableOf, Owner: person, Key: key, Old: b})
	}
	return nil
}
