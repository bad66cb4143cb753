package presence_test

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// BenchmarkBroadcast: a change of presence until all of n contacts have read it, over TLS, the clients' side included.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := xmpptest.Start(b, xmpptest.Options{C2S: c2s.Config{Off: true}}) // no limit on the stanzas of a second
			u := journal.NewUnit(journal.Lane{})
			for i := range n {
				contact := fmt.Sprintf("c%d@example.org", i)
				u.Add(storage.PutRosterItem{Owner: "alice@example.org", Item: storage.RosterItem{Contact: contact, Subscription: "from", Listed: true, Version: int64(i) + 1}},
					storage.PutRosterItem{Owner: contact, Item: storage.RosterItem{Contact: "alice@example.org", Subscription: "to", Listed: true, Version: 1}})
			}
			done := make(chan error, 1)
			u.After(journal.NewQueue(nil), func(err error) { done <- err })
			s.Journal().Submit(u)
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			alice := s.Login(b, "alice@example.org")
			alice.Online()
			contacts := make([]*xmpptest.Client, n)
			for i := range contacts {
				contacts[i] = s.Login(b, fmt.Sprintf("c%d@example.org", i))
				contacts[i].Online()
				contacts[i].NextNamed("jabber:client", "presence") // alice is there
			}
			b.ReportAllocs()
			for b.Loop() {
				alice.Write("<presence><show>away</show></presence>")
				alice.Next() // her own (RFC 6121 §4.4.2)
				for _, c := range contacts {
					c.Next()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n+1), "ns/presence")
		})
	}
}
