package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// peerModel is what the lists of testPeers should hold: peers by list and number.
type peerModel struct {
	*suite
	owner string
	rnd   *rand.Rand
	lists map[storage.RefKind]map[int]string
	used  map[int]bool
}

// newModel has both kinds of list, so that neither may be taken for the other.
func newModel(s *suite) *peerModel {
	return &peerModel{suite: s, rnd: rand.New(rand.NewPCG(7, 7)), owner: "hall@rooms.example.org", used: map[int]bool{},
		lists: map[storage.RefKind]map[int]string{storage.Archive: {}, storage.Room: {}}}
}

func (m *peerModel) peer() string {
	if m.rnd.IntN(200) == 0 {
		return fmt.Sprintf("rare%d", m.rnd.IntN(5))
	}
	return fmt.Sprintf("often%d", m.rnd.IntN(3))
}

// add commits messages at numbers between from and to, some from the past of what is there.
func (m *peerModel) add(n, from, to int) {
	var units []*journal.Unit
	for range n {
		at := from + m.rnd.IntN(to-from)
		if m.used[at] {
			continue
		}
		m.used[at] = true
		k, peer := storage.Archive, m.peer()
		if m.rnd.IntN(4) == 0 && m.lists[storage.Room] != nil {
			k = storage.Room
		}
		units = append(units, unit(message(k, m.owner, at, peer)...))
		m.lists[k][at] = peer
	}
	for _, err := range m.Commit(m.ctx, units) {
		m.ok(err)
	}
}

// want are the numbers of a list between two, of a peer or of all.
func (m *peerModel) want(k storage.RefKind, peer string, after, before int) (ns []int) {
	for n, p := range m.lists[k] {
		if n > after && n < before && (peer == "" || p == peer) {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns
}

func (m *peerModel) check(step string) {
	m.Helper()
	const highest = 1 << 20
	for _, k := range []storage.RefKind{storage.Archive, storage.Room} {
		for _, peer := range []string{"rare0", "rare1", "rare2", "rare3", "rare4", "often0", "often1", "nobody"} {
			for range 4 {
				after, before := m.rnd.IntN(30_000)-5000, m.rnd.IntN(40_000)
				r := storage.Range{Peer: peer, After: idAt(after), Before: idAt(before), Limit: 1 + m.rnd.IntN(400), Backward: m.rnd.IntN(2) == 0}
				if m.rnd.IntN(3) == 0 {
					after, before, r.After, r.Before = -highest, highest, 0, 0
				}
				want := m.want(k, peer, after, before)
				what := fmt.Sprintf("%s: kind %d, %s between %d and %d, %d, backward %v", step, k, peer, after, before, r.Limit, r.Backward)
				found[int](m.suite, what+": count")(m.Messages().CountRange(m.ctx, k, m.owner, r))(min(len(want), r.Limit))
				wantMore := len(want) > r.Limit
				if wantMore && r.Backward {
					want = want[len(want)-r.Limit:]
				} else if wantMore {
					want = want[:r.Limit]
				}
				refs, more, err := m.Messages().Refs(m.ctx, k, m.owner, r)
				m.ok(err)
				same(m.suite, what, ids(refs), want)
				same(m.suite, what+": more", more, wantMore)
			}
		}
	}
}

// trim removes the beginnings of the lists.
func (m *peerModel) trim(through int) {
	for k, list := range m.lists {
		m.put(storage.DeleteRefs{Kind: k, Owner: m.owner, Through: idAt(through)})
		for n := range list {
			if n <= through {
				delete(list, n)
			}
		}
	}
}

// strew removes and replaces single messages.
func (m *peerModel) strew(n int) {
	for k, list := range m.lists {
		for _, at := range m.want(k, "", -1<<20, 1<<20) {
			if m.rnd.IntN(len(list)) >= n {
				continue
			}
			if m.rnd.IntN(2) == 0 {
				m.put(storage.DeleteRef{Kind: k, Owner: m.owner, ID: idAt(at)})
				delete(list, at)
				continue
			}
			list[at] = m.peer()
			m.put(storage.PutRef{Ref: storage.Ref{Kind: k, Owner: m.owner, ID: idAt(at), Peer: list[at]}})
		}
	}
}

// testPeers compares pages of one peer with a model, at every stage of what a store may note about where they are.
func testPeers(_ *testing.T, s *suite) {
	m := newModel(s)
	now := day.Add(time.Hour)
	m.add(3000, 5000, 15_000)
	m.check("new")
	s.sweep(now)
	m.check("swept")
	m.add(300, 10_000, 20_000)
	m.check("more")
	m.add(4000, 0, 12_000)
	m.check("from the past")
	s.sweep(now)
	s.reopen()
	m.check("from the past, swept")
	m.strew(50)
	m.add(500, 20_000, 21_000)
	m.check("strewn")
	m.trim(9000)
	m.check("trimmed")
	s.sweep(now)
	m.add(300, 0, 9000)
	m.check("trimmed, swept, and from the past again")
	s.put(storage.MoveRefs{Kind: storage.Room, Owner: m.owner, ToKind: storage.Archive, ToOwner: m.owner})
	for n, p := range m.lists[storage.Room] {
		m.lists[storage.Archive][n] = p
	}
	clear(m.lists[storage.Room])
	m.check("moved")
	m.add(300, 12_000, 25_000)
	s.sweep(now)
	m.check("moved, swept")
	m.trim(1 << 19)
	s.sweep(now)
	m.check("empty")
	m.add(1000, 30_000, 40_000)
	s.sweep(now)
	m.check("and again")
}

// testVolume measures lists in pieces, whatever is known about their blocks.
func testVolume(_ *testing.T, s *suite) {
	for _, one := range []bool{true, false} {
		m := newModel(s)
		if m.owner = fmt.Sprint("only an account: ", one); one {
			delete(m.lists, storage.Room)
		}
		m.volume()
	}
	v, err := s.Messages().Volume(s.ctx, storage.Archive, "nobody", storage.Range{})
	s.ok(err)
	same(s, "nobody's", len(v.Parts), 0)
}

// volume measures at every stage.
func (m *peerModel) volume() {
	s := m.suite
	now := day.Add(time.Hour)
	check := func(step string, few bool) {
		s.Helper()
		for k, list := range m.lists {
			var parts, messages, bytes, wantBytes int
			last := storage.MessageID(0)
			for r := (storage.Range{Limit: 500}); ; {
				v, err := s.Messages().Volume(s.ctx, k, m.owner, r)
				s.ok(err)
				for _, p := range v.Parts {
					if p.Oldest <= last {
						s.Fatalf("%s: part at %d after %d", step, p.Oldest, last)
					}
					last = p.Oldest
					parts, messages, bytes = parts+1, messages+p.Messages, bytes+int(p.Bytes)
				}
				if len(v.Keep) > 0 {
					s.put(v.Keep...)
				}
				if !v.More {
					break
				}
				if v.Through <= r.After {
					s.Fatal("no step forward")
				}
				r.After = v.Through
			}
			for n := range list {
				wantBytes += len(bodyOf(n))
			}
			same(s, fmt.Sprint(step, ": messages and bytes of kind ", k), []int{messages, bytes}, []int{len(list), wantBytes})
			if few && len(m.lists) == 1 && parts > 1000 {
				s.Errorf("%s: %d parts", step, parts)
			}
		}
	}
	m.add(4000, 5000, 15_000)
	check("new", false)
	s.sweep(now)
	check("swept", true)
	check("known", true)
	m.add(50, 5000, 15_000)
	check("from the past", true)
	m.strew(30)
	check("strewn", true)
	m.trim(8000)
	check("trimmed", true)
	check("known again", true)
	v, err := s.Messages().Volume(s.ctx, storage.Archive, m.owner, storage.Range{After: idAt(9000), Before: idAt(9500), Limit: 10_000})
	s.ok(err)
	n := 0
	for _, p := range v.Parts {
		n += p.Messages
	}
	same(s, "a piece", n, len(m.want(storage.Archive, "", 9000, 9500)))
}
