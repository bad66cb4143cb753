package delay_test

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestNode(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 5, 120e6, time.FixedZone("", 3600))
	for name, c := range map[string]struct {
		from, reason, want string
	}{
		"all":       {"example.org", "Offline", "<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T11:30:05.120Z' from='example.org'>Offline</delay>"},
		"no reason": {"example.org", "", "<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T11:30:05.120Z' from='example.org'/>"},
		"no from":   {"", "", "<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T11:30:05.120Z'/>"},
	} {
		var from jid.JID
		if c.from != "" {
			from = jid.MustParse(c.from)
		}
		if got := string(xmlstream.NewFragment(delay.Node(from, at, c.reason)).Bytes()); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	room := jid.MustParse("room@muc.example.org")
	want := time.Date(2026, 3, 1, 11, 30, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		xml  string
		from jid.JID
		ok   bool
	}{
		"by anybody":   {"<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T11:30:05Z'/>", jid.JID{}, true},
		"offset":       {"<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T12:30:05+01:00'/>", jid.JID{}, true},
		"fraction":     {"<delay xmlns='urn:xmpp:delay' stamp='2026-03-01T11:30:05.000000Z'/>", jid.JID{}, true},
		"by the room":  {"<delay xmlns='urn:xmpp:delay' from='x@y' stamp='2020-01-01T00:00:00Z'/><delay xmlns='urn:xmpp:delay' from='room@muc.example.org' stamp='2026-03-01T11:30:05Z'/>", room, true},
		"by another":   {"<delay xmlns='urn:xmpp:delay' from='x@y' stamp='2026-03-01T11:30:05Z'/>", room, false},
		"no time":      {"<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>", jid.JID{}, false},
		"no stamp":     {"<delay xmlns='urn:xmpp:delay'/>", jid.JID{}, false},
		"other":        {"<delay xmlns='urn:example' stamp='2026-03-01T11:30:05Z'/>", jid.JID{}, false},
		"unknown attr": {"<delay xmlns='urn:xmpp:delay' x='1' stamp='2026-03-01T11:30:05Z'><x xmlns='u'/></delay>", jid.JID{}, true},
	} {
		f, err := xmlstream.ParseFragment([]byte(c.xml))
		if err != nil {
			t.Fatal(name, err)
		}
		s, ok := delay.Of(f, c.from)
		if ok != c.ok || ok && !s.At.Equal(want) {
			t.Errorf("%s: %v, %v", name, s, ok)
		}
	}
}

func TestStrip(t *testing.T) {
	f, err := xmlstream.ParseFragment([]byte("<delay xmlns='urn:xmpp:delay' from='example.org' stamp='x'/><body>b</body><delay xmlns='urn:xmpp:delay' from='other.example' stamp='x'/>"))
	if err != nil {
		t.Fatal(err)
	}
	f = delay.Strip(f, func(from jid.JID) bool { return from.Domain() == "example.org" })
	if got, want := string(f.Bytes()), "<body>b</body><delay xmlns='urn:xmpp:delay' from='other.example' stamp='x'/>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
