package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	archiveOwner = "person0@example.org"
	archiveSize  = 1_000_000
	rarePeer     = "rare@example.net" // ten messages, evenly spread
)

func archiveID(n int) storage.MessageID { return storage.MessageID(n+1) << 20 }

// archived is a message of one of 50 people, of about twelve words of which few are frequent. word9999 and the like are rare.
func archived(n int, rnd *rand.Rand, zipf *rand.Zipf) *journal.Unit {
	peer := fmt.Sprintf("person%d@example.org", 1+n%50)
	if n%(archiveSize/10) == archiveSize/20 {
		peer = rarePeer
	}
	var text strings.Builder
	for range 6 + rnd.IntN(12) {
		fmt.Fprintf(&text, "word%d ", zipf.Uint64())
	}
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.PutMessage{ID: archiveID(n), Body: fmt.Appendf(nil,
		"<message xmlns='jabber:client' to='%s' from='%s/phone' id='m%d' type='chat'><body>%s</body></message>", archiveOwner, peer, n, text.String())},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: archiveOwner, ID: archiveID(n), Peer: peer}},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: peer, ID: archiveID(n), Peer: archiveOwner}})
	return u
}

func fillArchive(b *testing.B, s *Store, from, to int) {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(from)))
	zipf := rand.NewZipf(rnd, 1.1, 4, 50_000)
	for n := from; n < to; {
		var group []*journal.Unit
		for ; n < to && len(group) < 1000; n++ {
			group = append(group, archived(n, rnd, zipf))
		}
		for _, err := range s.Commit(context.Background(), group) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// sweepAll sweeps, which makes blocks of long lists, and returns how many slices there were and the longest.
func sweepAll(b *testing.B, s *Store) (slices int, longest time.Duration) {
	b.Helper()
	return workOff(b, s, storage.NewSweep(s, time.Now()))
}

func workOff(b *testing.B, s *Store, w journal.Work) (slices int, longest time.Duration) {
	b.Helper()
	for {
		u, err := w.Next(context.Background(), 5*time.Millisecond, nil)
		if err != nil {
			b.Fatal(err)
		}
		if u == nil {
			return slices, longest
		}
		start := time.Now()
		if err := s.Commit(context.Background(), []*journal.Unit{u})[0]; err != nil {
			b.Fatal(err)
		}
		slices, longest = slices+1, max(longest, time.Since(start))
	}
}

// indexAll brings the index up to date in the slices of the server and returns how many there were and the longest.
func indexAll(b *testing.B, s *Store) (slices int, longest time.Duration) {
	b.Helper()
	return workOff(b, s, storage.NewIndexing(s, 0))
}

// BenchmarkArchive reads the archive of one person with a million messages.
func BenchmarkArchive(b *testing.B) {
	s := benchStore(b)
	fillArchive(b, s, 0, archiveSize)
	ctx, m := context.Background(), s.Messages()
	pageIn := func(b *testing.B, name string, r storage.Range, want int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				list, _, err := m.List(ctx, storage.Archive, archiveOwner, r)
				if err != nil || len(list) != want {
					b.Fatal(len(list), err)
				}
			}
		})
	}
	page := func(name string, r storage.Range, want int) { pageIn(b, name, r, want) }
	page("after/start", storage.Range{Limit: 50}, 50)
	page("after/middle", storage.Range{After: archiveID(archiveSize / 2), Limit: 50}, 50)
	page("after/end", storage.Range{After: archiveID(archiveSize - 51), Limit: 50}, 50)
	page("before/end", storage.Range{Limit: 50, Backward: true}, 50)
	page("before/middle", storage.Range{Before: archiveID(archiveSize / 2), Limit: 50, Backward: true}, 50)
	page("before/start", storage.Range{Before: archiveID(50), Limit: 50, Backward: true}, 50)
	rare := func(b *testing.B) {
		pageIn(b, "first", storage.Range{Peer: rarePeer, Limit: 5}, 5)
		pageIn(b, "last", storage.Range{Peer: rarePeer, Limit: 5, Backward: true}, 5)
		pageIn(b, "all", storage.Range{Peer: rarePeer, Limit: 50, Backward: true}, 10)
		pageIn(b, "one-in-50", storage.Range{Peer: "person7@example.org", Limit: 50, Backward: true}, 50)
		pageIn(b, "nobody", storage.Range{Peer: "nobody@example.net", Limit: 50}, 0)
	}
	b.Run("with/before-blocks", rare)
	start := time.Now()
	slices, longest := sweepAll(b, s)
	took := time.Since(start)
	b.Run("with/making-blocks", func(b *testing.B) {
		for b.Loop() { //nolint:revive // what is reported was measured above
		}
		b.ReportMetric(float64(slices), "slices")
		b.ReportMetric(float64(took.Milliseconds())/float64(slices), "ms/slice")
		b.ReportMetric(float64(longest.Milliseconds()), "ms/longest")
	})
	b.Run("with/blocks", rare)
	b.Run("count/1001", func(b *testing.B) {
		for b.Loop() {
			if n, err := m.CountRange(ctx, storage.Archive, archiveOwner, storage.Range{Limit: 1001}); n != 1001 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("find/among-5000", func(b *testing.B) {
		for b.Loop() {
			r := storage.Range{Peer: "person7@example.org", Limit: 5000}
			if list, _, err := m.Find(ctx, storage.Archive, archiveOwner, r, []byte(" id='m0'")); len(list) != 0 || err != nil {
				b.Fatal(len(list), err)
			}
		}
	})
	b.Run("beyond/number", func(b *testing.B) {
		for b.Loop() {
			if id, err := m.Beyond(ctx, storage.Archive, archiveOwner, archiveSize-100, 0); id != archiveID(99) || err != nil {
				b.Fatal(id, err)
			}
		}
	})
	b.Run("beyond/bytes-of-1000", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.Beyond(ctx, storage.Archive, archiveOwner, 0, 250_000); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSearch looks for words among 200,000 messages of one person, and says what indexing them took.
func BenchmarkSearch(b *testing.B) {
	const size = 200_000
	s := benchStore(b)
	fillArchive(b, s, 0, size)
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start, before := time.Now(), used()
	slices, longest := indexAll(b, s)
	took, spent := time.Since(start), used()-before
	ctx := context.Background()
	for _, q := range []struct {
		name, words string
		r           storage.Range
	}{
		{"frequent/newest", "word0", storage.Range{Limit: 50, Backward: true}},
		{"frequent/oldest", "word0", storage.Range{Limit: 50}},
		{"frequent/middle", "word0", storage.Range{Before: archiveID(size / 2), Limit: 50, Backward: true}},
		{"two-frequent", "word1 word2", storage.Range{Limit: 50, Backward: true}},
		{"rare", "word40123", storage.Range{Limit: 50, Backward: true}},
		{"rare-and-frequent", "word0 word20123", storage.Range{Limit: 50, Backward: true}},
		{"prefix", "word401*", storage.Range{Limit: 50, Backward: true}},
		{"frequent/one-in-50", "word0", storage.Range{Limit: 50, Backward: true, Peer: "person7@example.org"}},
		{"none", "nothinglikeit", storage.Range{Limit: 50, Backward: true}},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				list, _, err := s.Search(ctx, storage.Archive, archiveOwner, q.words, q.r)
				if err != nil {
					b.Fatal(err)
				}
				found = len(list)
			}
			b.ReportMetric(float64(found), "found")
		})
	}
	b.Run("index", func(b *testing.B) {
		for b.Loop() { //nolint:revive // what is reported was measured above
		}
		b.ReportMetric(float64(took.Microseconds())/size, "us/message")
		b.ReportMetric(float64(spent.Microseconds())/size, "cpu-us/message")
		b.ReportMetric(float64(took.Milliseconds())/float64(slices), "ms/slice")
		b.ReportMetric(float64(longest.Milliseconds()), "ms/longest")
		var words int64
		err := s.readers.read(ctx, func(c *conn) error {
			v, _, err := c.one(`SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'word%'`)
			words = integer(v)
			return err
		})
		if err != nil {
			b.Log("size of the index:", err)
		}
		b.ReportMetric(float64(words)/size, "B/message")
	})
}
