package forward_test

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestRoundTrip(t *testing.T) {
	msg := stanza.NewMessage(stanza.TypeChat, xmlstream.NewNode(ns.Client, "body").SetText("a < b"),
		xmlstream.NewNode(ns.StanzaID, "origin-id", "id", "o"))
	msg.From, msg.To, msg.ID, msg.Lang = jid.MustParse("a@x/r"), jid.MustParse("b@y"), "m1", "en"
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	f := xmlstream.NewFragment(forward.Node(msg, delay.Node(jid.JID{}, at, "")))
	want := "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05.006Z'/>" +
		"<message xmlns='jabber:client' to='b@y' from='a@x/r' id='m1' type='chat' xml:lang='en'><body>a &lt; b</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message></forwarded>"
	if got := string(f.Bytes()); got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}
	back, err := xmlstream.ParseFragment(f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, stamp, err := forward.Parse(back.At(0).Node())
	if err != nil || got.String() != msg.String() || !stamp.At.Equal(at) {
		t.Errorf("Parse = %v, %v, %v", got, stamp, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, xml := range map[string]string{
		"empty":      "<forwarded xmlns='urn:xmpp:forward:0'/>",
		"two":        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/><message xmlns='jabber:client'/></forwarded>",
		"other":      "<x xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></x>",
		"no stanza":  "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='urn:example'/></forwarded>",
		"no address": "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='@'/></forwarded>",
	} {
		f, err := xmlstream.ParseFragment([]byte(xml))
		if err != nil {
			t.Fatal(name, err)
		}
		if st, _, err := forward.Parse(f.At(0).Node()); err == nil {
			t.Errorf("%s: %v", name, st)
		}
	}
	if _, _, err := forward.Parse(nil); err == nil {
		t.Error("nil was parsed")
	}
}
