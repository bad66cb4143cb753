package push

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// calling are payloads that somebody is woken for although they come without a body.
var calling = map[xmlstream.Name]bool{
	{Space: ns.OMEMO, Local: "encrypted"}:       true,
	{Space: ns.OMEMOOld, Local: "encrypted"}:    true,
	{Space: ns.OpenPGP, Local: "openpgp"}:       true,
	{Space: ns.JingleMessage, Local: "propose"}: true, // XEP-0353 §3: a call
	{Space: ns.Conference, Local: "x"}:          true, // XEP-0249: an invitation
	{Space: ns.SFS, Local: "file-sharing"}:      true, // XEP-0447
	{Space: ns.MUCMentions, Local: "mentions"}:  true, // XEP-0452
}

// quiet are payloads that come with a body for clients that do not know them, and are not worth waking anybody.
var quiet = map[xmlstream.Name]bool{
	{Space: ns.Reactions, Local: "reactions"}: true,
	{Space: ns.Retract, Local: "retract"}:     true,
	{Space: ns.RetractOld, Local: "retract"}:  true,
	{Space: ns.Fasten, Local: "apply-to"}:     true,
	{Space: ns.Correct, Local: "replace"}:     true,
}

// worth tells whether a device is woken for a message.
func worth(st *stanza.Stanza) bool {
	switch {
	case st.Kind != stanza.Message, st.Type == stanza.TypeError, st.Type == stanza.TypeHeadline:
		return false
	}
	wakes := false
	for c := range st.Payload.All() {
		switch n := c.Name(); {
		case quiet[n]:
			return false
		case n.Space == ns.Hints && (n.Local == "no-store" || n.Local == "no-storage"):
			return false // XEP-0334 §4.2: it means nothing later
		case c.Is(ns.Client, "body"), calling[n]:
			wakes = true
		case c.Is(ns.MUCUser, "x"): // XEP-0045 §7.8.2; private messages and notices of a room have it, too
			wakes = wakes || c.Node().Child(ns.MUCUser, "invite") != nil
		}
	}
	return wakes
}

// late tells whether a message is told again: what a room says to who enters it, or what was in a list. Devices were woken for it in its time.
func late(st *stanza.Stanza) bool { return st.Payload.Has(ns.Delay, "delay") }
