package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(context.Background(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// cpu reports the processor time of an operation beside its wall time, which on a shared machine says little.
func cpu(b *testing.B) {
	b.Helper()
	used := func() (d time.Duration) {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := used()
	b.ResetTimer()
	b.Cleanup(func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") })
}

// chat is the unit of a chat message: retry key, body, both archives.
func chat(n, from, to int, body []byte) *journal.Unit {
	u := journal.NewUnit(journal.Lane{})
	id := storage.MessageID(n+1) << 4
	a, z := fmt.Sprintf("person%d@example.org", from), fmt.Sprintf("person%d@example.org", to)
	u.Add(storage.Dedupe{Scope: a, Key: [16]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}, ID: int64(id), At: time.Unix(1.8e9, 0)},
		storage.PutMessage{ID: id, Body: body},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: a, ID: id, Peer: z}},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: z, ID: id, Peer: a}})
	return u
}

// BenchmarkCommit commits groups of chat messages; an operation is one message.
func BenchmarkCommit(b *testing.B) {
	body := make([]byte, 250)
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("group=%d", size), func(b *testing.B) {
			s, rnd := benchStore(b), rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			cpu(b)
			for n := 0; n < b.N; {
				var group []*journal.Unit
				for ; len(group) < size && n < b.N; n++ {
					from := rnd.IntN(100)
					group = append(group, chat(n, from, (from+1+rnd.IntN(99))%100, body))
				}
				for _, err := range s.Commit(context.Background(), group) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkAcked commits the same messages to people with stream management: each has an unacknowledged reference and raises a counter, and the
// references of the group before are removed in units of the 50 sessions. An operation is one message.
func BenchmarkAcked(b *testing.B) {
	const size, sessions = 256, 50
	s, rnd, body := benchStore(b), rand.New(rand.NewPCG(1, 1)), make([]byte, 250)
	last := make([][]storage.MessageID, sessions)
	b.ReportAllocs()
	cpu(b)
	for n := 0; n < b.N; {
		var group []*journal.Unit
		fresh := make([][]storage.MessageID, sessions)
		for i := range min(size, b.N-n) {
			if i < sessions { // among the messages, as they come
				u := journal.NewUnit(journal.Lane{})
				for _, id := range last[i] {
					u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: benchSession(i), ID: id})
				}
				group = append(group, u)
			}
			from := rnd.IntN(sessions)
			to := (from + 1 + rnd.IntN(sessions-1)) % sessions
			u, id := chat(n, from, to, body), storage.MessageID(n+1)<<4
			u.Add(storage.PutRef{Ref: storage.Ref{Kind: storage.Unacked, Owner: benchSession(to), ID: id}}, storage.SessionIn{ID: benchSession(from), H: uint32(n)})
			fresh[to] = append(fresh[to], id)
			group = append(group, u)
			n++
		}
		for _, err := range s.Commit(context.Background(), group) {
			if err != nil {
				b.Fatal(err)
			}
		}
		last = fresh
	}
}

func benchSession(i int) string { return fmt.Sprintf("%064x", i) }

// BenchmarkPage reads pages of 50 at random places of a list of 100,000.
func BenchmarkPage(b *testing.B) {
	const total = 100_000
	s, body := benchStore(b), make([]byte, 250)
	for n := 0; n < total; {
		var group []*journal.Unit
		for range 2000 {
			group = append(group, chat(n, 0, 1+n%50, body))
			n++
		}
		for _, err := range s.Commit(context.Background(), group) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, backward := range []bool{false, true} {
		b.Run(fmt.Sprintf("backward=%v", backward), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for b.Loop() {
				r := storage.Range{Limit: 50, Backward: backward}
				if at := storage.MessageID(1000+rnd.IntN(total-2000)) << 4; backward {
					r.Before = at
				} else {
					r.After = at
				}
				page, _, err := s.Messages().List(context.Background(), storage.Archive, "person0@example.org", r)
				if err != nil || len(page) != 50 {
					b.Fatal(len(page), err)
				}
			}
		})
	}
}

// BenchmarkGet reads one row of a table.
func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	if err := commit(s, row("k", 500)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.Table("t").Get(context.Background(), "o", "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRetryIndex looks a key up among a million.
func BenchmarkRetryIndex(b *testing.B) {
	x := newRetries()
	for n := range int64(1_000_000) {
		x.put(&retry{sum: benchSum(n), n: n + 1, expires: 1})
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		s, hits := benchSum(n%2_000_000), 0
		if err := x.candidates(&s, func(int64) (bool, error) { hits++; return true, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSum(n int64) (s sum) {
	return sumOf("bench", [16]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}
