package sqlite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// batch is what a group has decided to write and has not yet written, and what becomes known with its commit. Rows that many units add
// (references, bodies, counters of sessions) gather here and are written together; every other operation is executed at once, after the
// gathered rows that it could meet.
type batch struct {
	w       *writer
	c       *conn
	careful bool // every unit has a savepoint; rows are written one by one

	refs   [kinds][]storage.Ref
	gone   [kinds][]refKey // references to remove one by one, behind the gathered ones of their kind
	isGone map[refKey]bool // those in gone
	bodies []storage.PutMessage
	bodyAt map[storage.MessageID]int
	uses   map[storage.MessageID]int // change of the number of references

	sessionIn  map[string]uint32
	sessionOut map[string]storage.SessionOut
	ended      []string // sessions that were deleted

	ownIDs  int64    // the highest id of a reference that is not its message's
	indexed int64    // bodies up to here are in the index of words, or noted for it
	mapped  int64    // no block ends behind this id
	owners  []string // names that this transaction brought into the caches
	peers   []string
	epochs  []claimed
	retries []retry // of this transaction
	written int     // of these, the ones that are in the table
	seen    map[sum]retry

	args []any
}

// refKey names a reference.
type refKey struct {
	kind  storage.RefKind
	owner string
	id    storage.MessageID
}

type claimed struct {
	lane  journal.Lane
	epoch uint64
}

// perStatement rows are inserted by one statement where as many have gathered.
const perStatement = 16

func (b *batch) init(w *writer) {
	b.w, b.c = w, w.c
	b.isGone = map[refKey]bool{}
	b.bodyAt, b.uses = map[storage.MessageID]int{}, map[storage.MessageID]int{}
	b.sessionIn, b.sessionOut = map[string]uint32{}, map[string]storage.SessionOut{}
	b.seen = map[sum]retry{}
}

// reset forgets everything, before a transaction.
func (b *batch) reset() {
	b.drop()
	b.ownIDs, b.written, b.indexed, b.mapped = 0, 0, b.w.indexed, b.w.mapped
	b.owners, b.peers, b.epochs, b.retries = b.owners[:0], b.peers[:0], b.epochs[:0], b.retries[:0]
	clear(b.seen)
}

// drop forgets what has not been written.
func (b *batch) drop() {
	for k := range b.refs {
		clear(b.refs[k])
		b.refs[k] = b.refs[k][:0]
		clear(b.gone[k])
		b.gone[k] = b.gone[k][:0]
	}
	clear(b.isGone)
	clear(b.bodies)
	b.bodies = b.bodies[:0]
	clear(b.bodyAt)
	clear(b.uses)
	clear(b.sessionIn)
	clear(b.sessionOut)
	b.ended = b.ended[:0]
}

// bookmark is a point to which a savepoint can go back.
type bookmark struct {
	owners, peers, epochs, retries int
	ownIDs, indexed, mapped        int64
}

func (b *batch) mark() bookmark {
	return bookmark{len(b.owners), len(b.peers), len(b.epochs), len(b.retries), b.ownIDs, b.indexed, b.mapped}
}

// back forgets what came after a mark; the zero mark is the beginning. What came before it has been written.
func (b *batch) back(m bookmark) {
	b.drop()
	for _, r := range b.retries[m.retries:] {
		delete(b.seen, r.sum)
	}
	b.w.owners.drop(b.owners[m.owners:]...)
	b.w.peers.drop(b.peers[m.peers:]...)
	b.owners, b.peers, b.epochs, b.retries = b.owners[:m.owners], b.peers[:m.peers], b.epochs[:m.epochs], b.retries[:m.retries]
	b.ownIDs, b.written, b.indexed, b.mapped = m.ownIDs, m.retries, m.indexed, m.mapped
}

// publish makes known what is now committed.
func (b *batch) publish() {
	for _, e := range b.epochs {
		b.w.epochs[e.lane] = e.epoch
	}
	b.w.ownIDs = max(b.w.ownIDs, b.ownIDs)
	b.w.indexed, b.w.mapped = b.indexed, b.mapped
	b.w.retries.add(b.retries)
}

// apply executes one operation or gathers it.
func (b *batch) apply(op journal.Op) error {
	h, ok := handlerOf(op)
	if !ok {
		return fmt.Errorf("sqlite: unknown operation %T", op)
	}
	return h.run(b, op)
}

// flush writes everything that has gathered.
func (b *batch) flush() error {
	if err := b.flushLists(); err != nil {
		return err
	}
	if err := b.releaseEnded(); err != nil {
		return err
	}
	if err := b.flushBodies(); err != nil {
		return err
	}
	if err := b.flushRetries(); err != nil {
		return err
	}
	if b.ownIDs > b.w.ownIDs {
		return b.raiseLastID(b.ownIDs)
	}
	return nil
}

// flushLists writes the gathered references and counters of sessions; it comes before every operation that looks at a list.
func (b *batch) flushLists() error {
	for k := range b.refs {
		if err := b.flushRefs(storage.RefKind(k)); err != nil {
			return err
		}
		if err := b.flushGone(storage.RefKind(k)); err != nil {
			return err
		}
	}
	return b.flushSessions()
}

func (b *batch) flushBodies() error {
	rows := b.bodies
	for len(rows) > 0 {
		n := 1
		if len(rows) >= perStatement && !b.careful {
			n = perStatement
		}
		b.args = b.args[:0]
		for _, m := range rows[:n] {
			b.args = append(b.args, int64(m.ID), int64(unused+b.uses[m.ID]), nullable(m.Body))
		}
		changed, err := b.c.exec(insertBodies[n], b.args...)
		if err != nil {
			return err
		}
		if int(changed) < n { // an id is in use
			if err := b.sameBodies(rows[:n]); err != nil {
				return err
			}
		} else {
			for _, m := range rows[:n] {
				delete(b.uses, m.ID)
				if err := b.noteLate(m.ID); err != nil {
					return err
				}
			}
		}
		rows = rows[n:]
	}
	clear(b.args)
	clear(b.bodies)
	b.bodies = b.bodies[:0]
	clear(b.bodyAt)
	return b.flushUses()
}

// sameBodies is called for bodies of which at least one is there already: a single one must be equal. Several are left to careful mode,
// which comes here with one at a time.
func (b *batch) sameBodies(rows []storage.PutMessage) error {
	if len(rows) > 1 {
		return errCareful
	}
	v, _, err := b.c.one(`SELECT body FROM body WHERE id = ?`, int64(rows[0].ID))
	if err != nil {
		return err
	}
	if string(blob(v)) != string(rows[0].Body) {
		return fmt.Errorf("sqlite: put message: id %d is in use with another body", rows[0].ID)
	}
	return nil
}

// unused is the value of body.uses without references; see the schema.
const unused = 2

// flushUses changes the numbers of references of bodies that were there before. Most lose one, many at a time.
func (b *batch) flushUses() error {
	if len(b.uses) == 0 {
		return nil
	}
	ids := make([]storage.MessageID, 0, len(b.uses))
	for id, n := range b.uses {
		if n != 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y storage.MessageID) int { // those with the same change together
		return cmp.Or(cmp.Compare(b.uses[x], b.uses[y]), cmp.Compare(x, y))
	})
	for len(ids) > 0 {
		change, n := b.uses[ids[0]], 1
		if !b.careful && len(ids) >= perStatement && b.uses[ids[perStatement-1]] == change {
			n = perStatement
		}
		b.args = append(b.args[:0], int64(change))
		for _, id := range ids[:n] {
			b.args = append(b.args, int64(id))
		}
		changed, err := b.c.exec(changeUses[n], b.args...)
		if err != nil {
			return err
		}
		if int(changed) < n && change > 0 { // references to messages that are not there
			if n > 1 {
				return errCareful
			}
			return fmt.Errorf("sqlite: put reference: no message %d", ids[0])
		}
		ids = ids[n:]
	}
	clear(b.uses)
	return nil
}

// changeUses are the statements by number of rows.
var changeUses = map[int]string{
	1:            `UPDATE body SET uses = uses + ? WHERE id = ?`,
	perStatement: `UPDATE body SET uses = uses + ? WHERE id IN (` + repeated("?") + `)`,
}

// insertBodies are the statements by number of rows.
var insertBodies = map[int]string{
	1:            `INSERT OR IGNORE INTO body(id, uses, body) VALUES(?, ?, ?)`,
	perStatement: `INSERT OR IGNORE INTO body(id, uses, body) VALUES` + repeated("(?, ?, ?)"),
}

func repeated(row string) string {
	return strings.TrimSuffix(strings.Repeat(row+", ", perStatement), ", ")
}
