package muc

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// crowd fills a room and returns the join of the next occupant.
func crowd(b *testing.B, n int) (w *world, join func(i int) *stanza.Stanza) {
	b.Helper()
	w = newWorld(b, Options{JoinsPerMinute: -1, Shows: room.Rate{Size: -1}})
	w.net.mute = false
	w.open(alice, "Alice", coven)
	w.net.mute = true
	template := parseStanza(b, "<presence to='"+coven+"/N'><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' ver='66/0NaeaBKkwk85efJTGmU47vXI='/><x xmlns='http://jabber.org/protocol/muc'><history maxchars='0'/></x></presence>")
	join = func(i int) *stanza.Stanza {
		st := template.Copy()
		st.From = jid.MustParse(fmt.Sprintf("user%05d@example.org/desk", i))
		st.To = jid.MustParse(fmt.Sprintf("%s/User%05d", coven, i))
		return st
	}
	for i := range n {
		w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), join(i))
	}
	w.sync()
	return w, join
}

// BenchmarkJoin: n people enter a room, one after the other, up to the router; the figure is what one presence that is delivered costs in time of all
// processors.
func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{200, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var cpu time.Duration
			for range b.N {
				b.StopTimer()
				w, join := crowd(b, 0)
				before := cpuTime(b)
				b.StartTimer()
				for i := range n {
					w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), join(i))
				}
				w.sync()
				b.StopTimer()
				cpu += cpuTime(b) - before
			}
			delivered := float64(n) * float64(n+1) // each sees all who are there, and all who come
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N)/delivered, "cpu-ns/presence")
		})
	}
}

// cpuTime is what this process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkGroupchat: a message in a room of n, up to the router.
func BenchmarkGroupchat(b *testing.B) {
	for _, n := range []int{200, 1000} {
		for _, kind := range []string{"stored", "passing"} {
			b.Run(fmt.Sprintf("%d/%s", n, kind), func(b *testing.B) {
				w, _ := crowd(b, n)
				hint := ""
				if kind == "passing" {
					hint = "<no-store xmlns='urn:xmpp:hints'/>"
				}
				st := parseStanza(b, "<message to='"+coven+"' type='groupchat' id='m'><body>thirty characters of a message</body>"+hint+"</message>")
				st.From = jid.MustParse(alice)
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					m := st.Copy()
					m.ID = fmt.Sprint("m", i)
					w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), m)
					if i%64 == 63 {
						w.sync()
					}
				}
				w.sync()
				b.StopTimer()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n+1), "ns/delivery")
			})
		}
	}
}

// BenchmarkPresence: a change of availability in a room of n.
func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{200, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, _ := crowd(b, n)
			st := parseStanza(b, "<presence to='"+coven+"/Alice'><show>dnd</show></presence>")
			st.From = jid.MustParse(alice)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), st)
				w.sync()
			}
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n+1), "ns/presence")
		})
	}
}
