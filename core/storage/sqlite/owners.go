package sqlite

import "fmt"

// owner returns the integer of an owner, giving it one if it has none.
func (b *batch) owner(name string) (int64, error) {
	return b.intern(name, b.w.owners, &b.owners, `SELECT id FROM owner WHERE name = ?`, `INSERT INTO owner(name) VALUES(?)`)
}

// peer returns the integer of the other side of a reference.
func (b *batch) peer(name string) (int64, error) {
	return b.intern(name, b.w.peers, &b.peers, `SELECT id FROM peer WHERE name = ?`, `INSERT INTO peer(name) VALUES(?)`)
}

func (b *batch) intern(name string, cache *names, fresh *[]string, find, insert string) (int64, error) {
	if id, ok := cache.get(name); ok {
		return id, nil
	}
	v, ok, err := b.c.one(find, name)
	if err != nil {
		return 0, err
	}
	id := integer(v)
	if !ok {
		if id, err = b.c.insert(insert, name); err != nil {
			return 0, fmt.Errorf("sqlite: name %q: %w", name, err)
		}
	}
	cache.add(name, id)
	*fresh = append(*fresh, name)
	return id, nil
}

// ownerIfAny returns the integer of an owner if it has one.
func (b *batch) ownerIfAny(name string) (int64, bool, error) {
	if id, ok := b.w.owners.get(name); ok {
		return id, true, nil
	}
	v, ok, err := b.c.one(`SELECT id FROM owner WHERE name = ?`, name)
	return integer(v), ok, err
}

// forget takes an owner's name away: its lists cannot be found any more from here on, and the sweep removes them. So the end of an account
// or a room with a million messages takes as long as that of any other.
func (b *batch) forget(name string) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	b.w.owners.drop(name)
	_, err := b.c.exec(`UPDATE owner SET name = NULL WHERE name = ?`, name)
	return err
}

// release removes the row of an owner whose lists are empty: a session's, of which there is no end.
func (b *batch) release(name string) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	b.w.owners.drop(name)
	_, err := b.c.exec(`DELETE FROM owner WHERE name = ?1`+unreferred, name)
	return err
}

// unreferred is the condition that an owner has no rows.
const unreferred = ` AND NOT EXISTS (SELECT 1 FROM ref_archive r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM ref_room r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM ref_offline r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM ref_unacked r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM ref_domain r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM ref_outbox r WHERE r.owner = owner.id)
	AND NOT EXISTS (SELECT 1 FROM idmap i WHERE i.portal = owner.id)`
