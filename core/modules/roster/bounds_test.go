package roster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/roster"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// Rows 26 and 28 of the attacks: a roster does not grow without end, in whatever way its items come.
func TestBounds(t *testing.T) {
	const most = 20
	for name, send := range map[string]func(i int) string{
		"by roster sets": func(i int) string {
			return fmt.Sprintf("<iq type='set' id='s%d'><query xmlns='jabber:iq:roster'><item jid='c%d@elsewhere.example'/></query></iq>", i, i)
		},
		"by bytes": func(i int) string {
			return fmt.Sprintf("<iq type='set' id='s%d'><query xmlns='jabber:iq:roster'><item jid='c%d@elsewhere.example' name='%s'/></query></iq>", i, i, strings.Repeat("n", 900))
		},
		"by subscriptions": func(i int) string {
			return fmt.Sprintf("<presence type='subscribe' to='c%d@elsewhere.example' id='s%d'/>", i, i)
		},
		"by pre-approvals": func(i int) string {
			return fmt.Sprintf("<presence type='subscribed' to='c%d@elsewhere.example' id='s%d'/>", i, i)
		},
		"by asking for nobody": func(i int) string {
			return fmt.Sprintf("<presence type='subscribe' to='nobody%d@example.org' id='s%d'/>", i, i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{Roster: roster.Options{MaxItems: most, MaxBytes: 10 << 10}}})
			c := s.Login(t, "alice@example.org/a")
			for i := range 3 * most {
				c.Write(send(i))
			}
			c.Write("<iq type='get' id='all'><query xmlns='jabber:iq:roster'/></iq>")
			// The answers need not come in order. What is not refused would be in the list, and then this waits in vain.
			items := -1
			for refused := 0; items < 0 || refused < 2*most; {
				n := c.Next()
				if n.Attr("id") == "all" {
					items = 0
					for range n.Child(ns.Roster, "query").Children(ns.Roster, "item") {
						items++
					}
				}
				if strings.Contains(n.String(), "resource-constraint") {
					refused++
				}
			}
			if items > most {
				t.Errorf("%d items", items)
			}
		})
	}
}

// What others put into a roster takes no room from its owner.
func TestRequestsTakeNoRoom(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{Modules: modules.Options{Roster: roster.Options{MaxItems: 3}}})
	victim := s.Login(t, "victim@example.org/v")
	for i := range 5 {
		c := s.Login(t, fmt.Sprintf("eve%d@example.org/e", i))
		c.Write("<presence type='subscribe' to='victim@example.org'/>")
		c.Write("<iq type='get' id='x'><query xmlns='jabber:iq:roster'/></iq>")
		for c.Next().Attr("id") != "x" { // the last ones are refused, which is shown before or after
		}
	}
	for i := range 3 {
		victim.Write(fmt.Sprintf("<iq type='set' id='s%d'><query xmlns='jabber:iq:roster'><item jid='friend%d@elsewhere.example'/></query></iq>", i, i))
		if n := victim.NextNamed(ns.Client, "iq"); n.Attr("type") != "result" {
			t.Errorf("contact %d: %s", i, n)
		}
	}
}
