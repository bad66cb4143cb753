package router_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// null is a table of sessions that takes everything: one session for each account.
type null struct {
	module.Sessions
	info map[jid.JID][]event.SessionInfo
	wg   sync.WaitGroup
}

func (n *null) Of(_ context.Context, bare jid.JID) []event.SessionInfo { return n.info[bare] }
func (n *null) Push(jid.JID, session.Item) bool                        { n.wg.Done(); return true }
func (n *null) PushAll(jid.JID, []session.Item) bool                   { return true }

func benchRig(b *testing.B, receivers int) (*router.Router, *null, *event.Catalogue) {
	b.Helper()
	n := &null{info: map[jid.JID][]event.SessionInfo{}}
	for i := range receivers {
		full := jid.MustParse(fmt.Sprintf("u%d@a.example/r", i))
		n.info[full.Bare()] = []event.SessionInfo{{JID: full, Available: true}}
	}
	ev := event.NewCatalogue()
	j := journal.New(journal.Options{Backend: &nullBackend{}})
	r, err := router.New(router.Options{Domains: []string{"a.example"}, Sessions: n, Accounts: accounts{}, Journal: j, IDs: storage.NewIDs(0, nil), Events: ev})
	if err != nil {
		b.Fatal(err)
	}
	j.Start()
	b.Cleanup(func() { _ = j.Stop(context.Background()) })
	return r, n, ev
}

type nullBackend struct{}

func (nullBackend) Commit(_ context.Context, units []*journal.Unit) []error {
	return make([]error, len(units))
}

func message() *stanza.Stanza {
	st := stanza.NewMessage("chat", xmlstream.NewNode(ns.Client, "body").SetText("one hundred bytes of text, more or less, as a person would write them in a chat with another person"))
	st.From, st.To, st.ID = jid.MustParse("u1@a.example/r"), jid.MustParse("u0@a.example"), "abcdef"
	return st
}

// BenchmarkRoute is one message between two accounts, from the stream to the ring: nothing of it is stored, or archived for both.
func BenchmarkRoute(b *testing.B) {
	for _, stored := range []bool{false, true} {
		b.Run(fmt.Sprintf("stored=%v", stored), func(b *testing.B) {
			r, n, ev := benchRig(b, 2)
			if stored {
				ref := func(_ context.Context, m *event.AccountMessage) error {
					m.Ref(storage.Archive, m.Account.String(), "", nil)
					return nil
				}
				ev.Route.Sent.On(event.Record, "archive", ref)
				ev.Route.Account.On(event.Record, "archive", ref)
			}
			st := message()
			ctx := context.Background()
			b.ReportAllocs()
			n.wg.Add(b.N)
			b.ResetTimer()
			for i := range b.N {
				one := *st
				if stored {
					one.ID = fmt.Sprint(i)
				}
				r.Send(ctx, &one)
			}
			n.wg.Wait()
		})
	}
}

// BenchmarkFanout is one stanza to all occupants of a room; the figures are for one room message.
func BenchmarkFanout(b *testing.B) {
	for _, receivers := range []int{200, 1000} {
		b.Run(fmt.Sprint(receivers), func(b *testing.B) {
			r, n, _ := benchRig(b, receivers)
			to := make([]jid.JID, 0, receivers)
			for _, list := range n.info {
				to = append(to, list[0].JID)
			}
			st := message()
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				n.wg.Add(receivers)
				r.Fanout(ctx, st, to, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*receivers), "ns/receiver")
		})
	}
}

// BenchmarkMulticast is one presence to 20 contacts.
func BenchmarkMulticast(b *testing.B) {
	const contacts = 20
	r, n, _ := benchRig(b, contacts)
	to := make([]jid.JID, 0, contacts)
	for bare := range n.info {
		to = append(to, bare)
	}
	st := stanza.NewPresence("")
	st.From = jid.MustParse("u1@a.example/r")
	ctx := context.Background()
	b.ReportAllocs()
	n.wg.Add(b.N * contacts)
	b.ResetTimer()
	for range b.N {
		r.Multicast(ctx, st, to)
	}
	n.wg.Wait()
}
