package session

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// BenchmarkPush is a stanza from the router into the ring and out of it, in bursts of 50 that are acknowledged.
func BenchmarkPush(b *testing.B) {
	for _, managed := range []bool{false, true} {
		b.Run("sm="+strconv.FormatBool(managed), func(b *testing.B) {
			bench := newBench(b, b.TempDir(), Limits{})
			s, l := bench.bind("bob@example.org/b")
			if managed {
				s.Enable(true, 0)
				bench.settle(s)
			}
			bench.fill(s, l)
			st := message("id-12345678", "bob@example.org/b")
			w, to := st.Wire(), s.JID()
			buf := make([]byte, 0, 20<<10)
			b.ReportAllocs()
			h, i := uint32(0), 0
			for b.Loop() {
				if !bench.m.Push(to, Item{Wire: w, To: to}) {
					b.Fatal("the session is over")
				}
				if i++; i%50 == 0 {
					buf, _ = s.Fill(l, buf[:0], 16<<10)
					if h += 50; managed {
						check(b, s.Ack(h))
					}
				}
			}
		})
	}
}

// BenchmarkOf is the look-up of an account's sessions among many.
func BenchmarkOf(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bench := newBench(b, b.TempDir(), Limits{})
			for i := range n {
				bench.bind(fmt.Sprintf("user%d@example.org/r", i))
			}
			who := jid.MustParse("user7@example.org")
			b.ReportAllocs()
			for b.Loop() {
				if len(bench.m.Of(b.Context(), who)) != 1 {
					b.Fatal("not there")
				}
			}
		})
	}
}
