package mam_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// hostile are strings that mean something to SQL, to the index of words, to formats and to numbers.
var hostile = []string{
	"' OR '1'='1", "'; DROP TABLE body; --", "1 UNION SELECT credentials FROM account", "%", "_", "\\", "\"", "*", "NEAR(a b)", "text:a", "^a", "a AND", "-1",
	"9223372036854775807", "18446744073709551616", "0x10", "1e9", "NaN", "${jndi:ldap://x}", "../../etc/passwd", "{{7*7}}", "\u202e", "\uE0001",
	strings.Repeat("a", 26), strings.Repeat("é", 5000), strings.Repeat("a ", 3000),
}

// TestHostileQuestions is row 31 of the attacks: what is in a question is an address, a time, a number or an opaque id, or it is refused; the
// archive answers afterwards as before.
func TestHostileQuestions(t *testing.T) {
	b := &bridge{}
	s := xmpptest.Start(t, xmpptest.Options{Extra: func() []module.Module { return []module.Module{b} }})
	room := jid.MustParse("hall@rooms.example.org")
	if err := b.rooms.EnsureRoom(t.Context(), event.RoomSpec{Room: room, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	b.say(t, room, "here", time.Time{})
	r := &reader{Client: s.Login(t, "alice@example.org/x")}
	r.Write(fmt.Sprintf("<message to='%s' type='chat'><body>note</body></message>", "alice@example.org"))
	esc := func(v string) string { return string(xmlstream.AppendEscapedAttr(nil, v)) }
	ask := func(to, set, field, value string) *xmlstream.Node {
		r.n++
		id := fmt.Sprintf("h%d", r.n)
		form := ""
		if field != "" {
			form = fmt.Sprintf("<x xmlns='%s' type='submit'><field var='FORM_TYPE'><value>%s</value></field><field var='%s'><value>%s</value></field></x>", ns.Form, ns.MAM, field, esc(value))
		}
		r.Write(fmt.Sprintf("<iq type='set' id='%s' to='%s'><query xmlns='%s'>%s<set xmlns='%s'>%s</set></query></iq>", id, to, ns.MAM, form, ns.RSM, set))
		for {
			if n := r.Next(); n.Attr("id") == id {
				return n
			}
		}
	}
	refused := map[string]bool{"bad-request": true, "item-not-found": true, "jid-malformed": true, "feature-not-implemented": true, "policy-violation": true, "forbidden": true}
	for _, to := range []string{"alice@example.org", room.String()} {
		for _, v := range hostile {
			for _, where := range []string{"after", "before", "max", "index", "with", "start", "end", "before-id", "after-id", "ids", "{" + ns.MAMFullText + "}fulltext", esc(v[:1])} {
				var n *xmlstream.Node
				switch where {
				case "after", "before", "max", "index":
					n = ask(to, "<"+where+">"+esc(v)+"</"+where+">", "", "")
				default:
					n = ask(to, "", where, v)
				}
				if n.Attr("type") == stanza.TypeResult {
					continue // an address that nobody has, words that nobody said
				}
				e := n.Child(ns.Client, "error")
				ok := false
				for c := range e.Elements() {
					ok = ok || refused[c.Name.Local]
				}
				if !ok {
					t.Errorf("%s=%.40q to %s: %s", where, v, to, n)
				}
			}
		}
		if texts, _ := r.all(t, jid.MustParse(to), "", 10); len(texts) != 1 {
			t.Errorf("the archive of %s has %d messages afterwards", to, len(texts))
		}
	}
}
