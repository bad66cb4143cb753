package hints_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestOf(t *testing.T) {
	const (
		body   = "<body>hi</body>"
		state  = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
		store  = "<store xmlns='urn:xmpp:hints'/>"
		no     = "<no-store xmlns='urn:xmpp:hints'/>"
		noPerm = "<no-permanent-store xmlns='urn:xmpp:hints'/>"
		user   = "http://jabber.org/protocol/muc#user"
	)
	for name, c := range map[string]struct {
		typ, xml string
		want     hints.Keep
	}{
		"chat with body":          {"chat", body, hints.Archived},
		"normal with body":        {"", body, hints.Archived},
		"unknown type":            {"x", body, hints.Archived},
		"chat state":              {"chat", state, hints.No},
		"chat state and body":     {"chat", state + body, hints.Archived},
		"empty":                   {"chat", "", hints.No},
		"groupchat":               {"groupchat", body, hints.No},
		"headline":                {"headline", body, hints.No},
		"error":                   {"error", body, hints.No},
		"no-store":                {"chat", body + no, hints.No},
		"no-store wins":           {"chat", body + store + no, hints.No},
		"no-permanent-store":      {"chat", noPerm + body, hints.Deliver},
		"store":                   {"chat", state + store, hints.Archived},
		"store for now":           {"chat", store + noPerm, hints.Deliver},
		"no-permanent-store only": {"chat", noPerm + state, hints.No},
		"receipt":                 {"", "<received xmlns='urn:xmpp:receipts' id='1'/>", hints.Archived},
		"receipt request":         {"", "<request xmlns='urn:xmpp:receipts'/>", hints.No},
		"marker":                  {"chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", hints.Archived},
		"markable":                {"chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>", hints.No},
		"reaction":                {"chat", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", hints.Archived},
		"retraction":              {"chat", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", hints.Archived},
		"encrypted":               {"chat", "<encrypted xmlns='urn:xmpp:omemo:2'/>", hints.Archived},
		"direct invitation":       {"", "<x xmlns='jabber:x:conference' jid='r@m'/>", hints.Archived},
		"mediated invitation":     {"", "<x xmlns='" + user + "'><invite/></x>", hints.Archived},
		"status code":             {"", "<x xmlns='" + user + "'><status code='104'/></x>", hints.No},
		"foreign body":            {"chat", "<body xmlns='http://www.w3.org/1999/xhtml'>x</body>", hints.No},
	} {
		f, err := xmlstream.ParseFragment([]byte(c.xml))
		if err != nil {
			t.Fatal(name, err)
		}
		st := stanza.NewMessage(c.typ).WithPayload(f)
		if got := hints.Of(st); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if hints.Of(stanza.NewPresence("")) != hints.No {
		t.Error("presence is kept")
	}
}
