package storagetest

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	bob  = "bob@example.org"
	eve  = "eve@example.net"
	hall = "hall@rooms.example.org"
)

// said is a message from one to another, in the lists of its owners.
func said(n int, from, to, text string, lists ...storage.Ref) []journal.Op {
	addr := ""
	if to != "" {
		addr = " to='" + to + "'"
	}
	ops := []journal.Op{storage.PutMessage{ID: idAt(n), Body: fmt.Appendf(nil,
		"<message xmlns='jabber:client'%s from='%s' id='m%d'><body>%s</body></message>", addr, from, n, text)}}
	for _, r := range lists {
		r.ID, r.Msg = idAt(n), idAt(n)
		ops = append(ops, storage.PutRef{Ref: r})
	}
	return ops
}

// between is a message that both have.
func between(n int, from, to, text string) []journal.Op {
	return said(n, from+"/x", to, text, storage.Ref{Kind: storage.Archive, Owner: from, Peer: to}, storage.Ref{Kind: storage.Archive, Owner: to, Peer: from})
}

// index brings the index up to date.
func (s *suite) index() {
	s.Helper()
	finder := s.Store.(storage.Searcher)
	for range 1000 {
		ops, err := finder.Index(s.ctx, 3)
		s.ok(err)
		if len(ops) == 0 {
			return
		}
		s.put(ops...)
	}
	s.Fatal("the index has no end")
}

func (s *suite) search(what string, kind storage.RefKind, owner, words string, r storage.Range, want []int, wantMore bool) {
	s.Helper()
	page, more, err := s.Store.(storage.Searcher).Search(s.ctx, kind, owner, words, r)
	s.ok(err)
	var refs []storage.Ref
	for _, p := range page {
		refs = append(refs, p.Ref)
		if body, err := s.Messages().Body(s.ctx, p.Msg); err != nil || string(body) != string(p.Body) {
			s.Errorf("%s: message %d has another body, %v", what, p.ID, err)
		}
	}
	same(s, what, ids(refs), want)
	same(s, what+": more", more, wantMore)
}

func testSearch(t *testing.T, s *suite) {
	if _, ok := s.Store.(storage.Searcher); !ok {
		t.Skip("this store cannot be searched")
	}
	for i := 10; i < 20; i++ {
		s.put(between(i, bob, eve, fmt.Sprintf("Crème Brûlée number %d", i))...)
	}
	s.put(between(20, eve, "carol@example.net", "creme for others")...)
	s.put(between(21, "dave@example.org", bob, "creme, NOT brulee's")...)
	s.put(said(22, hall+"/Bob", "", "creme in the hall 東京タワー", storage.Ref{Kind: storage.Room, Owner: hall, Peer: bob})...)
	s.put(storage.PutMessage{ID: idAt(23), Body: []byte("no stanza")}, storage.PutRef{Ref: storage.Ref{Kind: storage.Offline, Owner: bob, ID: idAt(23)}})
	s.search("before it is indexed", storage.Archive, bob, "creme", storage.Range{}, nil, false)
	s.index()
	all := []int{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}
	s.search("all words", storage.Archive, bob, "BRULEE  creme!", storage.Range{}, append(all, 21), false)
	s.search("one of them is missing", storage.Archive, bob, "creme 13 14", storage.Range{}, nil, false)
	s.search("number", storage.Archive, eve, "crème 13", storage.Range{}, []int{13}, false)
	s.search("page", storage.Archive, bob, "creme", storage.Range{Limit: 3}, []int{10, 11, 12}, true)
	s.search("next page", storage.Archive, bob, "creme", storage.Range{After: idAt(12), Limit: 3}, []int{13, 14, 15}, true)
	s.search("last page", storage.Archive, bob, "creme", storage.Range{Limit: 2, Backward: true}, []int{19, 21}, true)
	s.search("page before", storage.Archive, bob, "creme", storage.Range{Before: idAt(19), Limit: 2, Backward: true}, []int{17, 18}, true)
	s.search("first page backward", storage.Archive, bob, "creme", storage.Range{Before: idAt(12), Limit: 2, Backward: true}, []int{10, 11}, false)
	s.search("of one person", storage.Archive, bob, "creme", storage.Range{Peer: "dave@example.org"}, []int{21}, false)
	s.search("of a stranger", storage.Archive, bob, "creme", storage.Range{Peer: "nobody@example.org"}, nil, false)
	s.search("beginning", storage.Archive, bob, "brul*", storage.Range{Limit: 1}, []int{10}, true)
	s.search("room", storage.Room, hall, "creme", storage.Range{}, []int{22}, false)
	s.search("signs", storage.Room, hall, "京都", storage.Range{}, nil, false)
	s.search("signs in another order", storage.Room, hall, "京東", storage.Range{}, []int{22}, false)
	s.search("somebody without an archive", storage.Archive, "nobody@example.org", "creme", storage.Range{}, nil, false)
	s.search("no words", storage.Archive, bob, "'!? *", storage.Range{}, nil, false)
	for _, hostile := range []string{`" OR text:"creme`, `creme" OR "x`, "creme NEAR(x)", "text : creme*", "-creme", "' OR 1=1 --", "\x00creme\uE0001"} {
		if _, _, err := s.Store.(storage.Searcher).Search(s.ctx, storage.Archive, bob, hostile, storage.Range{}); err != nil {
			s.Errorf("search for %q: %v", hostile, err)
		}
	}
	if _, _, err := s.Store.(storage.Searcher).Search(s.ctx, storage.Offline, bob, "creme", storage.Range{}); err == nil {
		s.Error("a list that is not indexed was searched")
	}
}

// testSearchFollows: what is removed is not found, what comes from the past is.
func testSearchFollows(t *testing.T, s *suite) {
	if _, ok := s.Store.(storage.Searcher); !ok {
		t.Skip("this store cannot be searched")
	}
	for i := 10; i < 14; i++ {
		s.put(between(i, bob, eve, "pancake")...)
	}
	s.index()
	s.put(between(2, bob, eve, "pancake of the past")...)
	s.search("from the past, not indexed", storage.Archive, bob, "pancake", storage.Range{}, []int{10, 11, 12, 13}, false)
	s.reopen()
	s.index()
	s.search("from the past", storage.Archive, bob, "pancake", storage.Range{}, []int{2, 10, 11, 12, 13}, false)

	s.put(storage.ReplaceMessage{ID: idAt(11), Body: []byte("<message xmlns='jabber:client' from='bob@example.org'/>")})
	s.search("retracted", storage.Archive, eve, "pancake", storage.Range{}, []int{2, 10, 12, 13}, false)
	s.put(storage.DeleteRef{Kind: storage.Archive, Owner: bob, ID: idAt(12)})
	s.search("erased by one", storage.Archive, bob, "pancake", storage.Range{}, []int{2, 10, 13}, false)
	s.search("kept by the other", storage.Archive, eve, "pancake", storage.Range{}, []int{2, 10, 12, 13}, false)
	s.put(storage.DeleteRef{Kind: storage.Archive, Owner: eve, ID: idAt(12)})
	s.collectAll()
	s.search("erased by both", storage.Archive, eve, "pancake", storage.Range{}, []int{2, 10, 13}, false)

	// A unit that fails takes nothing with it: what it had brought to the index is brought again.
	s.put(between(30, bob, eve, "late pancake")...)
	ops, err := s.Store.(storage.Searcher).Index(s.ctx, 10)
	s.ok(err)
	conflict := storage.CompareAndPut{Table: "t", Owner: "o", Key: "k", Old: []byte("other"), New: []byte("x")}
	if err := s.try(append(ops, conflict)...); err == nil {
		s.Fatal("no conflict")
	}
	s.put(between(25, bob, eve, "pancake between")...)
	s.index()
	s.search("after a failure", storage.Archive, bob, "pancake", storage.Range{After: idAt(13)}, []int{25, 30}, false)
}

func testLookups(_ *testing.T, s *suite) {
	m := s.Messages()
	for i := 1; i <= 10; i++ {
		peer := eve
		if i%2 == 0 {
			peer = "carol@example.net"
		}
		s.put(between(i, bob, peer, "0123456789")...)
	}
	count := func(what string, r storage.Range, want int) {
		s.Helper()
		found[int](s, what)(m.CountRange(s.ctx, storage.Archive, bob, r))(want)
	}
	count("all", storage.Range{}, 10)
	count("up to a limit", storage.Range{Limit: 4}, 4)
	count("between", storage.Range{After: idAt(2), Before: idAt(6)}, 3)
	count("of a peer", storage.Range{After: idAt(2), Peer: eve}, 4)
	found[int](s, "of nobody")(m.CountRange(s.ctx, storage.Archive, "nobody", storage.Range{}))(0)

	find := func(what, peer, part string, among int, wantNext storage.MessageID, want ...int) {
		s.Helper()
		list, next, err := m.Find(s.ctx, storage.Archive, bob, storage.Range{Peer: peer, Limit: among}, []byte(part))
		s.ok(err)
		same(s, what+": next", next, wantNext)
		var got []storage.Ref
		for _, e := range list {
			got = append(got, e.Ref)
		}
		same(s, what, ids(got), want)
	}
	find("by its id", eve, " id='m3'", 100, 0, 3)
	find("newest first", eve, "<body>", 100, 0, 9, 7, 5, 3, 1)
	find("of another", "carol@example.net", " id='m3'", 100, 0)
	find("among the newest", eve, "<body>", 2, idAt(7), 9, 7)
	find("no pattern", eve, "id='m%'", 100, 0)
	list, next, err := m.Find(s.ctx, storage.Archive, bob, storage.Range{Peer: eve, Before: idAt(7), Limit: 2}, []byte(" id='m3'"))
	s.ok(err)
	if len(list) != 1 || list[0].ID != idAt(3) || next != idAt(3) {
		s.Errorf("found %v, next %d", list, next)
	}

	size := int64(len(said(1, bob+"/x", eve, "0123456789")[0].(storage.PutMessage).Body))
	beyond := func(what string, number int, bytes int64, want storage.MessageID) {
		s.Helper()
		found[storage.MessageID](s, what)(m.Beyond(s.ctx, storage.Archive, bob, number, bytes))(want)
	}
	beyond("no bounds", 0, 0, 0)
	beyond("fewer than allowed", 10, 0, 0)
	beyond("number", 3, 0, idAt(7))
	beyond("bytes of one", 0, size+10, idAt(9))
	beyond("the tighter one", 5, 100*size, idAt(5))
	found[storage.MessageID](s, "nobody's")(m.Beyond(s.ctx, storage.Archive, "nobody", 1, 1))(0)
}
