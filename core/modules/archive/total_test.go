package archive

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// All archives together: the oldest of all go, wherever they are.
func TestTotal(t *testing.T) {
	size := int64(len("<message></message>") + 80)
	h := newHouse(t, Retention{
		Of:      map[string]Keep{"all@example.org": {Messages: -1}},
		Total:   Total{Messages: 400},
		TotalOf: map[string]Total{"rooms.example.org": {Bytes: 25*size + 1}, "small.example": {Messages: 3}, "roomy.example": {Messages: 1000}},
	})
	h.keep(storage.Archive, "alice@example.org", 700) // more than a block
	h.keep(storage.Archive, "all@example.org", 300)
	h.keep(storage.Archive, "bob@roomy.example", 20)
	h.keep(storage.Archive, "eve@small.example", 10)
	h.keep(storage.Room, "hall@rooms.example.org", 60)
	h.keep(storage.Room, "den@rooms.example.org", 5)
	h.keep(storage.Offline, "alice@example.org", 500)
	sweep(h)
	if err := h.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := h.round()
	h.left(storage.Room, "hall@rooms.example.org", 20)
	h.left(storage.Room, "den@rooms.example.org", 5)
	h.left(storage.Archive, "eve@small.example", 3)
	h.left(storage.Archive, "bob@roomy.example", 20)
	// 48 of the others; what is left for these two is equally old
	h.left(storage.Archive, "alice@example.org", 176)
	h.left(storage.Archive, "all@example.org", 176)
	h.left(storage.Offline, "alice@example.org", 500) // not an archive

	again()
	h.round() // nothing to do
	h.left(storage.Archive, "alice@example.org", 176)
	h.left(storage.Room, "hall@rooms.example.org", 20)
}

// Whatever is known of the lists, no more goes than must: not a whole hour, nor a block.
func TestTotalIsNear(t *testing.T) {
	const most = 1000
	h := newHouse(t, Retention{Total: Total{Messages: most}})
	rnd := rand.New(rand.NewPCG(3, 3))
	there, newest := 0, map[string]storage.MessageID{}
	for i := range 8 {
		owner, u := fmt.Sprintf("person%d@example.org", i), journal.NewUnit(journal.Lane{})
		for n := range 100 + 100*i {
			at := id(0) - storage.MessageID(rnd.IntN(3*3600_000)<<20) - storage.MessageID(i*1000+n) // within three hours
			u.Add(storage.PutMessage{ID: at, Body: []byte("<message/>")}, storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: owner, ID: at}})
			there++
			newest[owner] = max(newest[owner], at)
		}
		if err := h.store.Commit(t.Context(), []*journal.Unit{u})[0]; err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			sweep(h)
		}
	}
	if err := h.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.round()
	left, oldest := 0, storage.MessageID(0)
	for owner := range newest {
		refs, _, err := h.store.Messages().Refs(t.Context(), storage.Archive, owner, storage.Range{Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		left += len(refs)
		if len(refs) > 0 && (oldest == 0 || refs[0].ID < oldest) {
			oldest = refs[0].ID
		}
	}
	if left > most || left < most-20 {
		t.Errorf("%d of %d are left, want %d or a few less; the oldest of %v", left, there, most, oldest.Time())
	}
}

// sweep has the store make blocks of long lists.
func sweep(h *house) {
	h.Helper()
	w := storage.NewSweep(h.store, noon)
	for {
		u, err := w.Next(h.Context(), time.Millisecond, nil)
		if err != nil {
			h.Fatal(err)
		}
		if u == nil {
			return
		}
		if err := h.store.Commit(h.Context(), []*journal.Unit{u})[0]; err != nil {
			h.Fatal(err)
		}
	}
}
