package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// TestGatheredAsOneByOne has groups of random operations on lists and the same operations one commit each: the lists and the numbers of references
// of the bodies must be the same in the end.
func TestGatheredAsOneByOne(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			together, apart := open(t, Options{}), open(t, Options{})
			rnd := rand.New(rand.NewPCG(seed, 1))
			for range 6 {
				var group []*journal.Unit
				for range 40 + rnd.IntN(40) {
					u := randomUnit(rnd)
					group = append(group, u)
					must(t, first(apart.Commit(t.Context(), []*journal.Unit{u})...))
				}
				must(t, first(together.Commit(t.Context(), group)...))
			}
			if diff := cmp.Diff(content(t, apart), content(t, together)); diff != "" {
				t.Errorf("one by one (-) and together (+):\n%s", diff)
			}
		})
	}
}

// randomUnit is one of the things that happen to the lists of sessions, among few names and ids, so that they meet.
func randomUnit(rnd *rand.Rand) *journal.Unit {
	u := journal.NewUnit(journal.Lane{})
	owner := fmt.Sprint("session", rnd.IntN(3))
	id := storage.MessageID(1 + rnd.IntN(30))
	switch rnd.IntN(8) {
	case 0, 1, 2, 3:
		u.Add(storage.PutMessage{ID: id, Body: []byte(fmt.Sprint("body ", id))},
			storage.PutRef{Ref: storage.Ref{Kind: storage.Unacked, Owner: owner, ID: id}})
		if rnd.IntN(2) == 0 {
			u.Add(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob", ID: id, Peer: owner}})
		}
	case 4, 5:
		for range 1 + rnd.IntN(25) {
			u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: owner, ID: storage.MessageID(1 + rnd.IntN(30))})
		}
	case 6:
		u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: "nobody", ID: id}, storage.DeleteRef{Kind: storage.Archive, Owner: "bob", ID: id})
	default:
		u.Add(storage.DeleteRefs{Kind: storage.Unacked, Owner: owner, Through: id / 4})
	}
	return u
}

// content is the lists by owner and the bodies with the number of their references.
func content(t *testing.T, s *Store) []string {
	t.Helper()
	var rows []string
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, query := range []string{
		`SELECT 'unacked', o.name, r.id, coalesce(r.msg, r.id) FROM ref_unacked r JOIN owner o ON o.id = r.owner ORDER BY 2, 3`,
		`SELECT 'archive', o.name, r.id, coalesce(r.msg, r.id) FROM ref_archive r JOIN owner o ON o.id = r.owner ORDER BY 2, 3`,
		`SELECT 'body', body, id, uses FROM body ORDER BY id`,
	} {
		must(t, s.w.c.query(context.Background(), query, func(row []driver.Value) error {
			rows = append(rows, fmt.Sprintf("%v %s %v %v", row[0], row[1], row[2], row[3]))
			return nil
		}))
	}
	return rows
}
