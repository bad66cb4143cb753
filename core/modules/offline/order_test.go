package offline_test

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// Somebody comes online while messages for her come in: she gets every one, once, and in their order, whether it was in the list already, on
// its way into it, or behind it.
func TestOrderWhileComing(t *testing.T) {
	const messages, rounds = 200, 5
	for _, sm := range []bool{false, true} {
		t.Run(fmt.Sprintf("sm=%v", sm), func(t *testing.T) {
			t.Parallel()
			s := xmpptest.Start(t, xmpptest.Options{})
			alice := s.Login(t, "alice@example.org/a")
			for round := range rounds {
				bob := fmt.Sprintf("bob%d@example.org", round)
				s.AddUser(t, jid.MustParse(bob))
				begun := make(chan struct{})
				go func() {
					for i := range messages {
						if i == messages/4 {
							close(begun)
						}
						_, _ = alice.TryWrite(fmt.Sprintf("<message to='%s' type='chat' id='m%d-%d'><body>%d</body></message>", bob, round, i, i))
					}
				}()
				<-begun
				c := s.Login(t, bob+"/b")
				if sm {
					c.EnableSM()
				}
				c.Write("<presence/>")
				for i := 0; i < messages; {
					n := c.Next()
					body := n.Child(ns.Client, "body")
					if body == nil {
						continue
					}
					if body.TextContent() != fmt.Sprint(i) {
						t.Fatalf("round %d: message %s at place %d", round, body.TextContent(), i)
					}
					i++
				}
			}
		})
	}
}
