package pubsub_test

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// filled returns a client and a node of 100,000 items.
func filled(b *testing.B, size int) *xmpptest.Client {
	b.Helper()
	s := xmpptest.Start(b, xmpptest.Options{Modules: modules.Options{PubSub: pubsub.Config{Items: 1 << 20}}, C2S: c2s.Config{Off: true}})
	alice := s.Login(b, "alice@example.org/a")
	alice.Request("set", host, "<pubsub xmlns='"+ns.PubSub+"'><create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='pubsub#max_items'><value>max</value></field></x></configure></pubsub>")
	for from := 0; from < size; from += 100 {
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = fmt.Sprint(from + i)
		}
		if n := alice.Request("set", host, publishing("n", ids...)); n.Attr("type") != "result" {
			b.Fatal(n)
		}
	}
	return alice
}

// BenchmarkPage reads pages of ten items from a node of 100,000, at the beginning and behind its oldest items.
func BenchmarkPage(b *testing.B) {
	alice := filled(b, 100000)
	for name, set := range map[string]string{"newest": "", "oldest": "<before/>", "middle": "<after>50000</after>"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				alice.Request("get", host, "<pubsub xmlns='"+ns.PubSub+"'><items node='n'/><set xmlns='"+ns.RSM+"'><max>10</max>"+set+"</set></pubsub>")
			}
		})
	}
}

// BenchmarkPublish publishes one item at a time: the time of a commit and what goes with it.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{100, 100000} {
		alice := filled(b, size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			i := 0
			for b.Loop() {
				alice.Request("set", host, publishing("n", fmt.Sprint("x", i)))
				i++
			}
		})
	}
}
