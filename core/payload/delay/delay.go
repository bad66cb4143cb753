// Package delay reads and writes the stamp of a delayed delivery (XEP-0203): when a stanza was sent, if that was not now.
//
// What it is not: it does not decide which stanzas are stamped, and it does not read the older jabber:x:delay (XEP-0091).
//
// Goroutines: none.
//
//	msg = msg.WithPayload(msg.Payload.With(delay.Node(domain, id.Time(), "")))
package delay

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// layout is the DateTime profile of XEP-0082 §3.2 with milliseconds, in UTC.
const layout = "2006-01-02T15:04:05.000Z"

// Stamp is one <delay/>.
type Stamp struct {
	From   jid.JID // who delayed it; zero: not told
	At     time.Time
	Reason string
}

// Format returns a time in the DateTime profile (XEP-0082 §3.2), UTC with milliseconds.
func Format(t time.Time) string { return t.UTC().Format(layout) }

// ParseTime reads a time of the DateTime profile, with any offset and any fraction of a second.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err
}

// Node returns <delay/> (XEP-0203 §2).
func Node(from jid.JID, at time.Time, reason string) *xmlstream.Node {
	n := xmlstream.NewNode(ns.Delay, "delay", "stamp", Format(at))
	if !from.IsZero() {
		n.SetAttr("from", from.String())
	}
	if reason != "" {
		n.SetText(reason)
	}
	return n
}

// Of returns the first stamp by from (zero: by anybody); ok is false if there is none that can be read.
func Of(f xmlstream.Fragment, from jid.JID) (s Stamp, ok bool) {
	for c := range f.All() {
		if c.Name() != name {
			continue
		}
		by, err := parseFrom(c)
		if err != nil || !from.IsZero() && by != from {
			continue
		}
		at, err := ParseTime(c.Attr("stamp"))
		if err != nil {
			continue
		}
		return Stamp{From: by, At: at, Reason: c.Text()}, true
	}
	return Stamp{}, false
}

var name = xmlstream.Name{Space: ns.Delay, Local: "delay"}

func parseFrom(c xmlstream.Child) (jid.JID, error) {
	if v := c.Attr("from"); v != "" {
		return jid.Parse(v)
	}
	return jid.JID{}, nil
}

// Strip returns the fragment without the stamps whose from is an address that forged answers true for (XEP-0203 §7: nobody stamps in
// another's name).
func Strip(f xmlstream.Fragment, forged func(from jid.JID) bool) xmlstream.Fragment {
	bad := func(c xmlstream.Child) bool {
		if c.Name() != name {
			return false
		}
		by, err := parseFrom(c)
		return err != nil || !by.IsZero() && forged(by)
	}
	for c := range f.All() {
		if bad(c) {
			return f.Without(bad)
		}
	}
	return f
}
