package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// kinds is one more than the highest storage.RefKind.
const kinds = int(storage.Outbox) + 1

// lists are the tables of references by kind.
var lists = [kinds]string{
	storage.Archive: "ref_archive", storage.Room: "ref_room", storage.Offline: "ref_offline", storage.Unacked: "ref_unacked",
	storage.Domain: "ref_domain", storage.Outbox: "ref_outbox",
}

// perKind makes a query text for each kind of list.
func perKind(format string) (texts [kinds]string) {
	for k, name := range lists {
		if name != "" {
			texts[k] = fmt.Sprintf(format, name)
		}
	}
	return texts
}

func knownKind(k storage.RefKind) error {
	if k == 0 || int(k) >= kinds {
		return fmt.Errorf("sqlite: unknown kind of list %d", k)
	}
	return nil
}

func putMessage(b *batch, op storage.PutMessage) error {
	if op.ID <= 0 {
		return fmt.Errorf("sqlite: put message: bad id %d", op.ID)
	}
	if i, ok := b.bodyAt[op.ID]; ok {
		if string(b.bodies[i].Body) != string(op.Body) {
			return fmt.Errorf("sqlite: put message: id %d is in use with another body", op.ID)
		}
		return nil
	}
	b.bodyAt[op.ID] = len(b.bodies)
	b.bodies = append(b.bodies, op)
	return nil
}

func replaceMessage(b *batch, op storage.ReplaceMessage) error {
	if i, ok := b.bodyAt[op.ID]; ok {
		b.bodies[i].Body = op.Body
		return nil
	}
	if _, err := b.c.exec(`UPDATE body SET body = ? WHERE id = ?`, nullable(op.Body), int64(op.ID)); err != nil {
		return err
	}
	return b.unindex(int64(op.ID)) // the new text is not found: it is a tombstone
}

// putRef gathers a reference. Those of an outbox are replaced as a matter of course, so they are written by themselves.
func putRef(b *batch, op storage.PutRef) error {
	r := op.Ref
	if err := knownKind(r.Kind); err != nil {
		return err
	}
	if r.Msg == 0 {
		r.Msg = r.ID
	}
	if r.ID <= 0 || r.Msg < 0 {
		return fmt.Errorf("sqlite: put reference: bad id %d of message %d", r.ID, r.Msg)
	}
	if r.ID != r.Msg {
		b.ownIDs = max(b.ownIDs, int64(r.ID))
	}
	if out, ok := b.sessionOut[r.Owner]; ok && r.Kind == storage.Unacked && r.ID <= out.Through {
		if err := b.flushLists(); err != nil {
			return err
		}
	}
	if len(b.isGone) > 0 && b.isGone[refKey{r.Kind, r.Owner, r.ID}] { // removed, and put again
		if err := b.flushLists(); err != nil {
			return err
		}
	}
	b.refs[r.Kind] = append(b.refs[r.Kind], r)
	if r.Kind == storage.Outbox || b.careful {
		return b.flushRefs(r.Kind)
	}
	return nil
}

var insertRef = perKind(`INSERT OR IGNORE INTO %s(owner, id, msg, peer, note) VALUES(?, ?, ?, ?, ?)`)
var insertRefs = perKind(`INSERT OR IGNORE INTO %s(owner, id, msg, peer, note) VALUES` + repeated("(?, ?, ?, ?, ?)"))

// flushRefs writes the gathered references of a kind. One that is there already needs a look at what it replaces: it is looked at when it is
// alone, and otherwise the group is done again in careful mode.
func (b *batch) flushRefs(k storage.RefKind) error {
	rows := b.refs[k]
	for len(rows) > 0 {
		n, query := 1, insertRef[k]
		if len(rows) >= perStatement {
			n, query = perStatement, insertRefs[k]
		}
		b.args = b.args[:0]
		for i := range rows[:n] {
			if err := b.refArgs(&rows[i]); err != nil {
				return err
			}
		}
		changed, err := b.c.exec(query, b.args...)
		if err != nil {
			return err
		}
		switch {
		case int(changed) == n:
			for i := range rows[:n] {
				b.uses[rows[i].Msg]++
			}
			if mapped(k) {
				if err := b.noteRefs(b.args); err != nil {
					return err
				}
			}
		case n > 1:
			return errCareful
		default:
			if err := b.replaceRef(&rows[0]); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	clear(b.refs[k])
	b.refs[k] = b.refs[k][:0]
	return nil
}

// refColumns is the number of values of a reference.
const refColumns = 5

// refArgs appends the values of a reference to b.args.
func (b *batch) refArgs(r *storage.Ref) error {
	owner, err := b.owner(r.Owner)
	if err != nil {
		return err
	}
	var msg, peer any
	if r.Msg != r.ID {
		msg = int64(r.Msg)
	}
	if r.Peer != "" {
		if peer, err = b.peer(r.Peer); err != nil {
			return err
		}
	}
	b.args = append(b.args, owner, int64(r.ID), msg, peer, nullable(r.Note))
	return nil
}

var oldRef = perKind(`SELECT coalesce(msg, id) FROM %s WHERE owner = ? AND id = ?`)
var updateRef = perKind(`UPDATE %s SET msg = ?3, peer = ?4, note = ?5 WHERE owner = ?1 AND id = ?2`)

// replaceRef overwrites a reference that is there; b.args holds its values.
func (b *batch) replaceRef(r *storage.Ref) error {
	old, ok, err := b.c.one(oldRef[r.Kind], b.args[0], b.args[1])
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("sqlite: put reference: %s of %q has no id %d", lists[r.Kind], r.Owner, r.ID)
	}
	b.uses[storage.MessageID(integer(old))]--
	b.uses[r.Msg]++
	if _, err = b.c.exec(updateRef[r.Kind], b.args...); err != nil || !mapped(r.Kind) {
		return err
	}
	return b.noteRefs(b.args)
}

var deleteOne = perKind(`DELETE FROM %s WHERE owner = ? AND id = ? RETURNING coalesce(msg, id)`)
var deleteThrough = perKind(`DELETE FROM %s WHERE owner = ? AND id <= ? RETURNING coalesce(msg, id)`)

// deleteRef gathers a removal: a client acknowledges many messages at once, and many clients do.
func deleteRef(b *batch, op storage.DeleteRef) error {
	if b.careful {
		return b.removeRefs(op.Kind, op.Owner, deleteOne, op.ID)
	}
	if err := knownKind(op.Kind); err != nil {
		return err
	}
	if key := (refKey{op.Kind, op.Owner, op.ID}); !b.isGone[key] {
		b.isGone[key] = true
		b.gone[op.Kind] = append(b.gone[op.Kind], key)
	}
	return nil
}

var deleteListed = perKind(`DELETE FROM %s WHERE (owner, id) IN (VALUES ` + repeated("(?, ?)") + `) RETURNING coalesce(msg, id)`)

// flushGone removes the gathered references of a kind.
func (b *batch) flushGone(k storage.RefKind) error {
	if len(b.gone[k]) == 0 {
		return nil
	}
	b.args = b.args[:0]
	for _, key := range b.gone[k] {
		delete(b.isGone, key)
		owner, ok, err := b.ownerIfAny(key.owner)
		if err != nil {
			return err
		}
		if ok {
			b.args = append(b.args, owner, int64(key.id))
		}
	}
	clear(b.gone[k])
	b.gone[k] = b.gone[k][:0]
	for args := b.args; len(args) > 0; {
		n, query := 2, deleteOne[k]
		if len(args) >= 2*perStatement {
			n, query = 2*perStatement, deleteListed[k]
		}
		if err := b.unrefer(query, args[:n]...); err != nil {
			return err
		}
		if mapped(k) {
			if err := b.taken(args[:n]); err != nil {
				return err
			}
		}
		args = args[n:]
	}
	return nil
}

func deleteRefs(b *batch, op storage.DeleteRefs) error {
	through := op.Through
	if through == 0 {
		through = openEnd
	}
	return b.removeRefs(op.Kind, op.Owner, deleteThrough, through)
}

func (b *batch) removeRefs(k storage.RefKind, owner string, query [kinds]string, id storage.MessageID) error {
	if err := knownKind(k); err != nil {
		return err
	}
	if err := b.flushLists(); err != nil {
		return err
	}
	n, ok, err := b.ownerIfAny(owner)
	if err != nil || !ok {
		return err
	}
	if mapped(k) {
		if err := b.taken([]any{n, int64(id)}); err != nil {
			return err
		}
		return b.unreferTrimmed(query[k], n, int64(id))
	}
	return b.unrefer(query[k], n, int64(id))
}

// unrefer runs a DELETE that returns the messages to which the removed rows referred.
func (b *batch) unrefer(query string, args ...any) error {
	return b.c.query(context.Background(), query, func(row []driver.Value) error {
		b.uses[storage.MessageID(integer(row[0]))]--
		return nil
	}, args...)
}

var moveRef = perPair(`INSERT OR IGNORE INTO %[2]s(owner, id, msg, peer, note) SELECT ?2, id, msg, peer, note FROM %[1]s WHERE owner = ?1`)

// common finds the messages of the first list whose ids the second has too. It is asked before the list is copied.
var common = perPair(`SELECT coalesce(a.msg, a.id) FROM %[1]s a WHERE a.owner = ?1
	AND EXISTS (SELECT 1 FROM %[2]s b WHERE b.owner = ?2 AND b.id = a.id)`)

// perPair makes a query text for each pair of kinds.
func perPair(format string) (texts [kinds][kinds]string) {
	for from := 1; from < kinds; from++ {
		for to := 1; to < kinds; to++ {
			texts[from][to] = fmt.Sprintf(format, lists[from], lists[to])
		}
	}
	return texts
}

func moveRefs(b *batch, op storage.MoveRefs) error {
	if err := knownKind(op.Kind); err != nil {
		return err
	}
	if err := knownKind(op.ToKind); err != nil {
		return err
	}
	if op.Kind == op.ToKind && op.Owner == op.ToOwner {
		return nil
	}
	if err := b.flushLists(); err != nil {
		return err
	}
	from, ok, err := b.ownerIfAny(op.Owner)
	if err != nil || !ok {
		return err
	}
	to, err := b.owner(op.ToOwner)
	if err != nil {
		return err
	}
	return b.move(op.Kind, from, op.ToKind, to)
}

// move copies a list behind another and removes it. What the other has already loses one reference, what it has not keeps its number.
func (b *batch) move(k storage.RefKind, from any, toKind storage.RefKind, to any) error {
	err := b.c.query(context.Background(), common[k][toKind], func(row []driver.Value) error {
		b.uses[storage.MessageID(integer(row[0]))]--
		return nil
	}, from, to)
	if err != nil {
		return err
	}
	if _, err := b.c.exec(moveRef[k][toKind], from, to); err != nil {
		return err
	}
	if _, err = b.c.exec(deleteAll[k], from); err != nil {
		return err
	}
	if mapped(k) {
		if err := b.unmap(from); err != nil {
			return err
		}
	}
	if mapped(toKind) {
		return b.unmap(to)
	}
	return nil
}

var deleteAll = perKind(`DELETE FROM %s WHERE owner = ?`)

func (b *batch) raiseLastID(id int64) error {
	_, err := b.c.exec(`INSERT INTO meta(key, value) VALUES('last_id', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`, id)
	return err
}
