package delay_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What can be read can be written, and is read the same to the millisecond.
func FuzzStamp(f *testing.F) {
	f.Add("2026-03-01T11:30:05Z")
	f.Add("2026-03-01T12:30:05.123456+14:00")
	f.Add("0001-01-01T00:00:00Z")
	f.Add("9999-12-31T23:59:60Z")
	f.Fuzz(func(t *testing.T, s string) {
		at, err := delay.ParseTime(s)
		if err != nil || at.Year() < 0 || at.Year() > 9999 {
			return
		}
		got, ok := delay.Of(xmlstream.NewFragment(delay.Node(jid.JID{}, at, "")), jid.JID{})
		if !ok || got.At.UnixMilli() != at.UnixMilli() {
			t.Errorf("%q is %v, and %v when it is read again", s, at, got.At)
		}
	})
}
