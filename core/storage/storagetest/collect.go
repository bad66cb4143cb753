package storagetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// collectAll removes every body that may go.
func (s *suite) collectAll() {
	s.Helper()
	for range 10_000 {
		more, err := s.Collect(s.ctx, 7)
		s.ok(err)
		if !more {
			return
		}
	}
	s.Fatal("Collect does not come to an end")
}

func (s *suite) has(n int) bool {
	s.Helper()
	_, err := s.Messages().Body(s.ctx, idAt(n))
	if err != nil {
		s.is("body", err, storage.ErrNotFound)
	}
	return err == nil
}

func testCollect(_ *testing.T, s *suite) {
	put := func(n int, refs ...storage.Ref) {
		ops := []journal.Op{storage.PutMessage{ID: idAt(n), Body: bodyOf(n)}}
		for _, r := range refs {
			r.ID = idAt(n)
			ops = append(ops, storage.PutRef{Ref: r})
		}
		s.put(ops...)
	}
	archive, unacked := storage.Ref{Kind: storage.Archive, Owner: "bob"}, storage.Ref{Kind: storage.Unacked, Owner: "session"}
	put(0)
	put(1, archive)
	put(2, archive, unacked)
	put(3, unacked)
	put(4, unacked)
	s.collectAll()
	same(s, "without references", []bool{s.has(0), s.has(1), s.has(2), s.has(3), s.has(4)}, []bool{false, true, true, true, true})

	s.put(storage.SessionOut{ID: "session", H: 2, Through: idAt(3)})
	s.collectAll()
	same(s, "acknowledged", []bool{s.has(1), s.has(2), s.has(3), s.has(4)}, []bool{true, true, false, true})
	s.put(storage.MoveRefs{Kind: storage.Unacked, Owner: "session", ToKind: storage.Offline, ToOwner: "bob"})
	s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob", ID: idAt(1), Peer: "eve"}}) // replaced by itself
	s.collectAll()
	same(s, "moved", []bool{s.has(1), s.has(2), s.has(4)}, []bool{true, true, true})
	s.put(storage.DeleteRefs{Kind: storage.Archive, Owner: "bob"}, storage.DeleteRef{Kind: storage.Offline, Owner: "bob", ID: idAt(4)})
	s.collectAll()
	same(s, "removed", []bool{s.has(1), s.has(2), s.has(4)}, []bool{false, false, false})
}

// testCollectRandom does to a store and to a map what a server might do, in groups of random sizes, and compares which bodies are left.
func testCollectRandom(t *testing.T, s *suite) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	m := &model{rnd: rnd, refs: map[entry]bool{}}
	for range 60 {
		units := make([]*journal.Unit, 1+rnd.IntN(40))
		for i := range units {
			units[i] = unit(m.ops()...)
		}
		for i, err := range s.Commit(s.ctx, units) {
			if err != nil {
				t.Fatalf("unit %d: %v: %+v", i, err, units[i].Ops())
			}
		}
		if rnd.IntN(10) == 0 {
			s.collectAll()
		}
	}
	s.collectAll()
	var got []int
	for n := range m.next {
		if s.has(n) {
			got = append(got, n)
		}
	}
	same(s, "bodies", got, m.alive())
	for _, k := range allKinds {
		for o := range modelOwners {
			owner := fmt.Sprint("owner", o)
			var list []int
			for r := range m.refs {
				if r.kind == k && r.owner == owner {
					list = append(list, r.n)
				}
			}
			slices.Sort(list)
			same(s, fmt.Sprint("list ", k, " of ", owner), s.list(k, owner), list)
		}
	}
}

const modelOwners = 4

// model is what the store should hold: references by kind, owner and number of the message.
type model struct {
	rnd  *rand.Rand
	next int
	refs map[entry]bool
}

type entry struct {
	kind  storage.RefKind
	owner string
	n     int // of the message, as given to idAt
}

func (m *model) ref(n int) entry {
	return entry{allKinds[m.rnd.IntN(len(allKinds))], fmt.Sprint("owner", m.rnd.IntN(modelOwners)), n}
}

// ops draws the operations of a unit and does them to the model.
func (m *model) ops() []journal.Op {
	switch alive := m.alive(); {
	case m.rnd.IntN(3) > 0 || len(alive) == 0:
		n := m.next
		m.next++
		ops := []journal.Op{storage.PutMessage{ID: idAt(n), Body: bodyOf(n)}}
		for range 1 + m.rnd.IntN(3) {
			ops = append(ops, m.put(n))
		}
		return ops
	case m.rnd.IntN(2) == 0:
		return []journal.Op{m.put(alive[m.rnd.IntN(len(alive))])}
	default:
		return []journal.Op{m.remove()}
	}
}

func (m *model) put(n int) journal.Op {
	r := m.ref(n)
	m.refs[r] = true
	return storage.PutRef{Ref: storage.Ref{Kind: r.kind, Owner: r.owner, ID: idAt(n)}}
}

func (m *model) remove() journal.Op {
	r := m.ref(m.rnd.IntN(m.next))
	through := func(k storage.RefKind, owner string) {
		maps.DeleteFunc(m.refs, func(x entry, _ bool) bool { return x.kind == k && x.owner == owner && x.n <= r.n })
	}
	switch m.rnd.IntN(8) {
	case 0:
		through(r.kind, r.owner)
		return storage.DeleteRefs{Kind: r.kind, Owner: r.owner, Through: idAt(r.n)}
	case 1:
		through(storage.Unacked, r.owner)
		return storage.SessionOut{ID: r.owner, Through: idAt(r.n)}
	case 2:
		to := m.ref(0)
		for x := range maps.Clone(m.refs) {
			if x.kind == r.kind && x.owner == r.owner {
				delete(m.refs, x)
				m.refs[entry{to.kind, to.owner, x.n}] = true
			}
		}
		return storage.MoveRefs{Kind: r.kind, Owner: r.owner, ToKind: to.kind, ToOwner: to.owner}
	case 3:
		maps.DeleteFunc(m.refs, func(x entry, _ bool) bool { return x.owner == r.owner })
		return storage.DeleteAccount{JID: r.owner}
	}
	delete(m.refs, r)
	return storage.DeleteRef{Kind: r.kind, Owner: r.owner, ID: idAt(r.n)}
}

// alive are the messages that have references. One without may be gone, so the model does not refer to it again.
func (m *model) alive() (ns []int) {
	seen := map[int]bool{}
	for r := range m.refs {
		seen[r.n] = true
	}
	for n := range seen {
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return ns
}

func testSweep(_ *testing.T, s *suite) {
	now := time.Now()
	dedupe := func(n int, at time.Time) storage.Dedupe {
		return storage.Dedupe{Scope: "a", Key: [16]byte{byte(n), byte(n >> 8)}, ID: int64(n + 1), At: at}
	}
	const keys = 5000
	var units []*journal.Unit
	for i := range keys {
		at := now
		if i%2 == 0 {
			at = now.Add(-25 * time.Hour)
		}
		units = append(units, unit(dedupe(i, at)))
	}
	session := func(id string, expires time.Time) storage.PutSession {
		return storage.PutSession{Session: storage.Session{ID: id, JID: "bob@example.org/desk", Expires: expires}}
	}
	units = append(units, unit(session("ended", now.Add(-time.Minute))), unit(session("alive", now.Add(time.Hour))), unit(session("always", time.Time{})))
	for i := range 3 {
		units = append(units, unit(message(storage.Unacked, "ended", i, "")...))
	}
	for i := range 1500 {
		units = append(units, unit(message(storage.Archive, "gone@example.org", 10+i, "")...))
	}
	units = append(units, unit(storage.DeleteAccount{JID: "gone@example.org"}))
	units = append(units, unit(storage.PutMessage{ID: idAt(5000), Body: bodyOf(5000)}), unit(message(storage.Archive, "bob@example.org", 5001, "")...))
	for i, err := range s.Commit(s.ctx, units) {
		if err != nil {
			s.Fatalf("unit %d: %v", i, err)
		}
	}
	same(s, "rows that a sweep removed", s.sweep(now) > 0, true)
	same(s, "unacknowledged of the ended session", s.list(storage.Offline, "bob@example.org"), []int{0, 1, 2})
	all, err := s.Sessions().All(s.ctx, storage.Page{})
	s.ok(err)
	same(s, "sessions left", len(all), 2)
	same(s, "bodies", []bool{s.has(0), s.has(10), s.has(1509), s.has(5000), s.has(5001)}, []bool{true, false, false, false, true})
	for i := range keys {
		err := s.try(dedupe(i, now))
		if expired := i%2 == 0; expired != (err == nil) {
			s.Fatalf("key %d (expired: %v) after the sweep: %v", i, expired, err)
		}
	}
	same(s, "slices of a second sweep", s.sweep(now), 0)
	if _, _, err := s.Garbage(s.ctx, now, "no cursor", 10); err == nil {
		s.Error("a bad cursor was accepted")
	}
}

// sweep runs a storage.NewSweep to its end and returns the number of its slices.
func (s *suite) sweep(now time.Time) (slices int) {
	s.Helper()
	w := storage.NewSweep(s.Store, now)
	for {
		u, err := w.Next(context.Background(), 5*time.Millisecond, nil)
		s.ok(err)
		if u == nil {
			return slices
		}
		slices++
		s.ok(s.Commit(s.ctx, []*journal.Unit{u})[0])
	}
}
