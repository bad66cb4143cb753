package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Dead letters: what a network has refused for good. They are kept with their text, so that they can be sent again after what was wrong was mended: table tableDead,
// owner the portal, key the message's id. Bound: maxDead for each portal, the oldest go first, and none is older than deadAge.

const (
	maxDead = 500
	deadAge = 7 * 24 * time.Hour
)

// deadLetter is what is stored of one.
type deadLetter struct {
	Note   note              `json:"note"`
	Msg    storage.MessageID `json:"msg"`
	Body   []byte            `json:"body"`
	Code   string            `json:"code"`
	Reason string            `json:"reason"`
	At     time.Time         `json:"at"`
}

func deadKey(id storage.MessageID) string { return fmt.Sprintf("%016x", int64(id)) }

// bury returns the rows that keep a refused operation; none for what the network cannot do at all.
func (p *portal) bury(ctx context.Context, f *flight, e *sdk.Error, body []byte) []journal.Op {
	if e.Code == sdk.CodeUnsupported || p.room().IsZero() || len(body) == 0 {
		return nil
	}
	n := f.note
	n.Attempt, n.Sent, n.Receipt, n.Room = 0, false, false, n.archive(p)
	n.Prior = f.prior
	d := deadLetter{Note: n, Msg: n.message(f.ref), Body: body, Code: e.Code.String(), Reason: e.Text, At: p.b.m.d.Clock.Now()}
	b, err := json.Marshal(d)
	if err != nil {
		p.b.log.Error("a refused operation could not be kept", "portal", p.key, "error", err)
		return nil
	}
	ops := []journal.Op{storage.PutRow{Table: tableDead, Owner: p.key, Key: deadKey(f.ref.ID), Value: b}}
	old, err := p.deadRows(ctx)
	if err != nil {
		p.b.log.Warn("dead letters not read", "portal", p.key, "error", err)
		return ops
	}
	for i, r := range old {
		if i <= len(old)-maxDead || p.expired(r) {
			ops = append(ops, storage.DeleteRow{Table: tableDead, Owner: p.key, Key: r.Key})
		}
	}
	return ops
}

func (p *portal) deadRows(ctx context.Context) ([]storage.Row, error) {
	return p.b.m.d.Store.Table(tableDead).Range(ctx, p.key, "", "", 2*maxDead, false)
}

func (p *portal) expired(r storage.Row) bool {
	var d deadLetter
	return json.Unmarshal(r.Value, &d) != nil || p.b.m.d.Clock.Now().Sub(d.At) > deadAge
}

// deadLetters are those that can be sent again, the oldest first.
func (p *portal) deadLetters(ctx context.Context) (keys []string, list []deadLetter, err error) {
	rows, err := p.deadRows(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("gateway: dead letters: %w", err)
	}
	for _, r := range rows {
		var d deadLetter
		if p.expired(r) || json.Unmarshal(r.Value, &d) != nil {
			continue
		}
		keys, list = append(keys, r.Key), append(list, d)
	}
	return keys, list, nil
}

// hasDead tells whether a message was refused here.
func (p *portal) hasDead(ctx context.Context, id storage.MessageID) bool {
	_, err := p.b.m.d.Store.Table(tableDead).Get(ctx, p.key, deadKey(id))
	return !errors.Is(err, storage.ErrNotFound)
}

// replay puts the dead letters of a portal at the end of its list, one unit each: none is lost, none is sent twice.
func (p *portal) replay(ctx context.Context) (int, error) {
	keys, list, err := p.deadLetters(ctx)
	if err != nil {
		return 0, err
	}
	for i, d := range list {
		d.Note.Orig = d.Msg
		b, err := d.Note.encode()
		if err != nil {
			return i, err
		}
		id := p.b.m.d.IDs.Next()
		u := newLinkUnit(p.key)
		u.Add(storage.PutMessage{ID: id, Body: d.Body},
			storage.PutRef{Ref: storage.Ref{Kind: storage.Outbox, Owner: p.key, ID: id, Msg: id, Note: b}},
			storage.DeleteRow{Table: tableDead, Owner: p.key, Key: keys[i]})
		if err := p.b.m.commit(ctx, u); err != nil {
			return i, fmt.Errorf("gateway: replay: %w", err)
		}
	}
	if len(list) > 0 {
		p.out.wake()
	}
	return len(list), nil
}
