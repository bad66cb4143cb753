package sqlite

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/migrations"
)

var update = flag.Bool("update", false, "write testdata/v<N>.db of the newest schema, if there is none yet")

var released = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// sample is one row of every kind. It is in every database under testdata; what a later schema adds is added here and looked for in the
// databases from then on.
func sample() []journal.Op {
	id := storage.MessageID(released.UnixMilli() << 20)
	ref := func(k storage.RefKind, owner string) journal.Op {
		return storage.PutRef{Ref: storage.Ref{Kind: k, Owner: owner, ID: id, Msg: id, Peer: "eve@example.net", Note: []byte("note")}}
	}
	return []journal.Op{
		storage.Dedupe{Scope: "bob", Key: [16]byte{1}, ID: 7, At: released, TTL: 100 * 365 * 24 * time.Hour},
		storage.CreateAccount{Account: sampleAccount}, storage.PutRosterItem{Owner: "bob@example.org", Item: sampleItem},
		storage.DeleteRosterItem{Owner: "bob@example.org", Contact: "gone@example.org", Version: 3},
		storage.PutMessage{ID: id, Body: []byte("<message/>")},
		ref(storage.Archive, "bob@example.org"), ref(storage.Room, "den@rooms.example.org"), ref(storage.Offline, "bob@example.org"),
		ref(storage.Unacked, "5e55"), ref(storage.Domain, "example.net"), ref(storage.Outbox, "portal"),
		storage.PutSession{Session: sampleSession}, storage.PutRoom{Room: sampleRoom}, storage.PutAffiliation{Affiliation: sampleAffiliation},
		storage.PutPortal{Portal: samplePortal}, storage.PutPuppet{Puppet: samplePuppet}, storage.PutIDPair{Pair: samplePair(id)},
		storage.PutRow{Table: "vcard", Owner: "bob@example.org", Key: "k", Value: []byte("value")},
		storage.ClaimEpoch{Lane: journal.RoomLane("den@rooms.example.org"), Epoch: 3},
	}
}

var (
	sampleAccount = storage.Account{
		JID: "bob@example.org", Admin: true, Created: released, LastSeen: released,
		Credentials: []storage.Credential{{Hash: "SHA-256", Salt: []byte("salt"), Iterations: 4096, StoredKey: []byte("stored"), ServerKey: []byte("server")}},
	}
	sampleItem = storage.RosterItem{
		Contact: "eve@example.net", Name: "Eve", Groups: []string{"Friends"}, Subscription: "both", Listed: true, Version: 2,
	}
	sampleSession = storage.Session{ID: "5e55", JID: "bob@example.org/desk", Node: "n", Epoch: 1, HIn: 2, HOut: 3, State: []byte("state"), Clean: true}
	sampleRoom    = storage.RoomRow{
		JID: "den@rooms.example.org", Service: "rooms.example.org", Public: true, Name: "Den", Config: []byte("c"), Subject: []byte("s"),
		Secret: []byte("k"), Created: released, Version: 4,
	}
	sampleAffiliation = storage.Affiliation{Room: "den@rooms.example.org", JID: "bob@example.org", Affiliation: "owner", Nick: "Bob", Reason: "founder"}
	samplePortal      = storage.Portal{Bridge: "demo", Key: "portal", Room: "lobby@rooms.demo.example.org", State: []byte("state")}
	samplePuppet      = storage.Puppet{Bridge: "demo", Remote: "u1", JID: "u1@demo.example.org", State: []byte("state")}
)

func samplePair(id storage.MessageID) storage.IDPair {
	return storage.IDPair{
		Bridge: "demo", Portal: "portal", Remote: "m1", RemotePart: 1, Room: "lobby@rooms.demo.example.org", Stanza: id, StanzaPart: 2,
		Author: "u1@demo.example.org", At: released,
	}
}

// TestReleasedDatabases opens a copy of every database of an earlier state, which brings it to the newest schema, and looks for its rows.
func TestReleasedDatabases(t *testing.T) {
	latest, err := migrations.Latest(migrations.SQLite)
	must(t, err)
	newest := filepath.Join("testdata", fmt.Sprintf("v%d.db", latest))
	if _, err := os.Stat(newest); *update && os.IsNotExist(err) {
		writeReleased(t, newest)
	}
	files, err := filepath.Glob("testdata/v*.db")
	must(t, err)
	if len(files) != int(latest) {
		t.Errorf("%d databases under testdata for %d versions of the schema; run the test with -update", len(files), latest)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".db"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			must(t, err)
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, dbName), b, 0o600))
			s := open(t, Options{Dir: dir})
			must(t, s.Check(t.Context()))
			checkSample(t, s)
			if err := commit(s, sample()[0]); err == nil {
				t.Error("the retry is not recognised")
			}
			must(t, commit(s, row("written", 10)))
		})
	}
}

func writeReleased(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	must(t, err)
	must(t, commit(s, sample()...))
	must(t, s.Close())
	b, err := os.ReadFile(filepath.Join(dir, dbName))
	must(t, err)
	must(t, os.WriteFile(name, b, 0o644))
}

func checkSample(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	id := storage.MessageID(released.UnixMilli() << 20)
	expect := func(what string, got, want any, err error) {
		t.Helper()
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, d)
		}
	}
	account, err := s.Accounts().Get(ctx, sampleAccount.JID)
	expect("account", account, sampleAccount, err)
	changed, removed, version, ok, err := s.Roster().Since(ctx, "bob@example.org", 1)
	expect("roster", []any{changed, removed, version, ok}, []any{[]storage.RosterItem{sampleItem}, []string{"gone@example.org"}, int64(3), true}, err)
	for k, owner := range map[storage.RefKind]string{
		storage.Archive: "bob@example.org", storage.Room: "den@rooms.example.org", storage.Offline: "bob@example.org", storage.Unacked: "5e55",
		storage.Domain: "example.net", storage.Outbox: "portal",
	} {
		st, err := s.Messages().Get(ctx, k, owner, id)
		expect(lists[k], st, storage.Stored{
			Ref: storage.Ref{Kind: k, Owner: owner, ID: id, Msg: id, Peer: "eve@example.net", Note: []byte("note")}, Body: []byte("<message/>"),
		}, err)
	}
	session, err := s.Sessions().Get(ctx, "5e55")
	expect("session", session, sampleSession, err)
	room, err := s.Rooms().Get(ctx, sampleRoom.JID)
	expect("room", room, sampleRoom, err)
	affiliation, err := s.Rooms().AffiliationOf(ctx, sampleRoom.JID, "bob@example.org")
	expect("affiliation", affiliation, sampleAffiliation, err)
	portals, err := s.Gateway().PortalsByRoom(ctx, samplePortal.Room)
	expect("portal", portals, []storage.Portal{samplePortal}, err)
	puppet, err := s.Gateway().PuppetByJID(ctx, samplePuppet.JID)
	expect("puppet", puppet, samplePuppet, err)
	pairs, err := s.Gateway().ByRemote(ctx, "demo", "portal", "m1")
	expect("id map", pairs, []storage.IDPair{samplePair(id)}, err)
	value, err := s.Table("vcard").Get(ctx, "bob@example.org", "k")
	expect("table", value, []byte("value"), err)
	epoch, err := s.Epoch(ctx, journal.RoomLane("den@rooms.example.org"))
	expect("epoch", epoch, uint64(3), err)
}
