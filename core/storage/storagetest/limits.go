package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testBigValues(t *testing.T, s *suite) {
	for i, size := range []int{0, 1, 1000, 4096, 70_000, 3 << 20} {
		t.Run(fmt.Sprint(size), func(*testing.T) {
			value := bytes.Repeat([]byte{0, 0xff, 'x'}, size/3+1)[:size]
			s.put(storage.PutMessage{ID: idAt(i), Body: value}, storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob", ID: idAt(i), Note: value}},
				storage.PutRow{Table: "t", Owner: "bob", Key: fmt.Sprint(i), Value: value})
			st, err := s.Messages().Get(s.ctx, storage.Archive, "bob", idAt(i))
			s.ok(err)
			row, err := s.Table("t").Get(s.ctx, "bob", fmt.Sprint(i))
			s.ok(err)
			if !bytes.Equal(st.Body, value) || !bytes.Equal(st.Note, value) || !bytes.Equal(row, value) {
				s.Error("the value is not what was put")
			}
			s.put(storage.ReplaceMessage{ID: idAt(i), Body: []byte("small")})
			found[[]byte](s, "replaced")(s.Messages().Body(s.ctx, idAt(i)))([]byte("small"))
		})
	}
	long := strings.Repeat("k", 3000)
	s.put(storage.PutRow{Table: "t", Owner: long, Key: long, Value: []byte("v")})
	found[[]byte](s, "long names")(s.Table("t").Get(s.ctx, long, long))([]byte("v"))
}

// hostile are names that have broken stores: each must be a name like any other.
var hostile = []string{
	"", "'", "''", `"`, "`", "; DROP TABLE body; --", "' OR '1'='1", "%", "_", "%%", "a%b", "*", "?", "?1", ":name", "@name", "$1", "\\", "\\'",
	"\x00", "a\x00", "a\x00b", "\x00a", "\xff\xfe", "\xc3\x28", "a\xed\xa0\x80", "NULL", "null", "0", "00", "1e3", "-1", "0x10", "true",
	"\u202egro.elpmaxe@bob", "ｂｏｂ@example.org", "bob@example.org ", " bob@example.org", "BOB@example.org", "bob@example.org", "é", "e\u0301", "😀", "\n", "\r\n", "\t",
	"bob@example.org/", "bob@example.org/desk", "bob@example.org0", strings.Repeat("'", 1000),
}

func testHostileStrings(_ *testing.T, s *suite) {
	for i, h := range hostile {
		s.put(append(message(storage.Archive, "owner"+h, i, "peer"+h),
			storage.PutRow{Table: "t" + h, Owner: h, Key: h, Value: []byte(h)},
			storage.PutRosterItem{Owner: h, Item: storage.RosterItem{Contact: h, Name: h, Groups: []string{"plain"}, Subscription: h, Version: 1}},
			storage.PutSession{Session: storage.Session{ID: "s" + h, JID: h, Node: h}},
			storage.PutRoom{Room: storage.RoomRow{JID: "r" + h, Service: h, Name: h}},
			storage.PutAffiliation{Affiliation: storage.Affiliation{Room: h, JID: h, Affiliation: "member", Nick: h, Reason: h}},
			storage.PutPortal{Portal: storage.Portal{Bridge: "demo", Key: h, Room: "r" + h}},
			storage.PutPuppet{Puppet: storage.Puppet{Bridge: "demo", Remote: h, JID: "j" + h}},
			storage.PutIDPair{Pair: storage.IDPair{Bridge: "demo", Portal: h, Remote: h, Room: "r" + h, Stanza: idAt(i), Author: h, At: day}})...)
	}
	for i, h := range hostile {
		page, _, err := s.Messages().List(s.ctx, storage.Archive, "owner"+h, storage.Range{Peer: "peer" + h})
		s.ok(err)
		same(s, "list", page, []storage.Stored{{
			Ref: storage.Ref{Kind: storage.Archive, Owner: "owner" + h, ID: idAt(i), Msg: idAt(i), Peer: "peer" + h}, Body: bodyOf(i),
		}})
		found[[]byte](s, "row")(s.Table("t"+h).Get(s.ctx, h, h))([]byte(h))
		found[[]string](s, "owners of a table")(s.Table("t"+h).Owners(s.ctx, storage.Page{}))(nonEmpty(h))
		it, err := s.Roster().Get(s.ctx, h, h)
		s.ok(err)
		same(s, "roster item", it, storage.RosterItem{Contact: h, Name: h, Groups: []string{"plain"}, Subscription: h, Version: 1})
		found[storage.Session](s, "session")(s.Sessions().Get(s.ctx, "s"+h))(storage.Session{ID: "s" + h, JID: h, Node: h})
		found[storage.RoomRow](s, "room")(s.Rooms().Get(s.ctx, "r"+h))(storage.RoomRow{JID: "r" + h, Service: h, Name: h})
		a, err := s.Rooms().AffiliationOf(s.ctx, h, h)
		s.ok(err)
		same(s, "affiliation", a.Nick, h)
		found[[]storage.Portal](s, "portal")(s.Gateway().PortalsByRoom(s.ctx, "r"+h))([]storage.Portal{{Bridge: "demo", Key: h, Room: "r" + h}})
		found[storage.Puppet](s, "puppet")(s.Gateway().Puppet(s.ctx, "demo", h))(storage.Puppet{Bridge: "demo", Remote: h, JID: "j" + h})
		pairs, err := s.Gateway().ByRemote(s.ctx, "demo", h, h)
		s.ok(err)
		if len(pairs) != 1 || pairs[0].Portal != h || pairs[0].Room != "r"+h {
			s.Errorf("id map of %q: %+v", h, pairs)
		}
	}
	names, err := s.Messages().Owners(s.ctx, storage.Archive, storage.Page{Limit: 1000})
	s.ok(err)
	same(s, "owners", len(names), len(hostile))
}

// nonEmpty: "" is no owner to whom a page could go on, so a listing need not name it.
func nonEmpty(h string) []string {
	if h == "" {
		return nil
	}
	return []string{h}
}

// testConcurrent reads while groups are committed: a reader sees whole units, and what it has seen it sees again.
func testConcurrent(_ *testing.T, s *suite) {
	const groups, each, readers = 60, 20, 4
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			last := 0
			for {
				page, _, err := s.Messages().List(s.ctx, storage.Archive, "bob", storage.Range{Limit: groups * each})
				if err != nil {
					s.Error("List:", err)
					return
				}
				if len(page) < last || len(page)%2 != 0 {
					s.Errorf("%d messages after %d, two in each unit", len(page), last)
					return
				}
				last = len(page)
				if _, _, err := s.Roster().All(s.ctx, "bob"); err != nil {
					s.Error("All:", err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for g := range groups {
		var units []*journal.Unit
		for i := range each {
			n := 2 * (g*each + i)
			units = append(units, unit(append(message(storage.Archive, "bob", n, ""), message(storage.Archive, "bob", n+1, "")...)...))
		}
		for _, err := range s.Commit(s.ctx, units) {
			if err != nil {
				s.Error("commit:", err)
			}
		}
	}
	close(stop)
	wg.Wait()
	found[int](s, "messages")(s.Messages().Count(s.ctx, storage.Archive, "bob", 0))(2 * groups * each)
}

func testContexts(t *testing.T, s *suite) {
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	for name, err := range map[string]error{
		"read":   second(s.Table("t").Get(ended, "bob", "k")),
		"list":   second(s.Messages().Owners(ended, storage.Archive, storage.Page{})),
		"backup": s.Backup(ended, &bytes.Buffer{}),
		"commit": s.Commit(ended, []*journal.Unit{unit(storage.PutRow{Table: "t", Owner: "bob", Key: "k"})})[0],
	} {
		t.Run(name, func(*testing.T) { s.is(name, err, context.Canceled) })
	}
	_, err := s.Table("t").Get(s.ctx, "bob", "k")
	if !errors.Is(err, storage.ErrNotFound) {
		s.Error("the commit was done nevertheless:", err)
	}
	s.put(storage.PutRow{Table: "t", Owner: "bob", Key: "k"})
}

func second[T any](_ T, err error) error { return err }
