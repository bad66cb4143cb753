// Package hints says which messages are worth keeping: the processing hints that a sender gives (XEP-0334) and, without one, what the
// payload is (XEP-0313 §5.1, XEP-0160 §3).
//
// What it is not: it stores nothing and knows no archive; a module that keeps messages asks [Of] and adds its own rules.
//
// Goroutines: none.
//
//	if hints.Of(msg).Archive() { m.Ref(storage.Archive, …) }
package hints

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Keep says for how long a message is worth keeping.
type Keep uint8

// The answers.
const (
	No       Keep = iota // not at all: nothing is lost with it
	Deliver              // until it is delivered, not in archives (no-permanent-store)
	Archived             // for good
)

// Offline tells whether the message is kept until somebody is there to get it.
func (k Keep) Offline() bool { return k >= Deliver }

// Archive tells whether the message belongs into archives.
func (k Keep) Archive() bool { return k == Archived }

// worth are the payloads that are kept although they come without a body; an empty local name stands for every element of the namespace.
var worth = map[xmlstream.Name]bool{
	{Space: ns.Receipts, Local: "received"}:           true, // XEP-0184 §5.3: a receipt is worth as much as a message
	{Space: ns.Markers, Local: "displayed"}:           true, // XEP-0333 §4
	{Space: ns.Markers, Local: "received"}:            true,
	{Space: ns.Markers, Local: "acknowledged"}:        true,
	{Space: ns.Reactions, Local: "reactions"}:         true, // XEP-0444 §4
	{Space: ns.Retract, Local: "retract"}:             true, // XEP-0424 §5
	{Space: ns.RetractOld, Local: "retract"}:          true,
	{Space: ns.Fasten, Local: "apply-to"}:             true, // XEP-0422 §4
	{Space: ns.OMEMO, Local: "encrypted"}:             true,
	{Space: ns.OMEMOOld, Local: "encrypted"}:          true,
	{Space: ns.OpenPGP, Local: "openpgp"}:             true,
	{Space: ns.JingleMessage, Local: "propose"}:       true, // XEP-0353 §3: a missed call is seen later
	{Space: ns.JingleMessage, Local: "accept"}:        true,
	{Space: ns.JingleMessage, Local: "reject"}:        true,
	{Space: ns.JingleMessage, Local: "retract"}:       true,
	{Space: ns.JingleMessage, Local: "finish"}:        true,
	{Space: ns.Conference, Local: "x"}:                true, // XEP-0249: an invitation
	{Space: ns.SFS, Local: "file-sharing"}:            true, // XEP-0447
	{Space: ns.TrustMessages, Local: "trust-message"}: true,
}

// Of judges a message of one person to another. Messages of type error, headline and groupchat are never kept by accounts
// (XEP-0160 §3, XEP-0313 §5.1.2).
func Of(st *stanza.Stanza) Keep {
	if st.Kind != stanza.Message {
		return No
	}
	switch st.Type {
	case stanza.TypeError, stanza.TypeHeadline, stanza.TypeGroupchat:
		return No
	}
	return Payload(st.Payload)
}

// Payload judges what a message holds, whatever its type: rooms ask this.
func Payload(f xmlstream.Fragment) Keep {
	kept, passing, store := false, false, false
	for c := range f.All() {
		if c.Is(ns.Client, "body") { // by far the most frequent, and asked several times for each message
			kept = true
			continue
		}
		switch n := c.Name(); {
		case n.Space == ns.Hints:
			switch n.Local {
			case "no-store", "no-storage": // XEP-0334 §4.2; no-storage is what old clients send
				return No
			case "no-permanent-store", "no-permanent-storage": // XEP-0334 §4.1
				passing = true
			case "store": // XEP-0334 §4.4
				store = true
			}
		case n.Space == ns.MUCUser && n.Local == "x":
			kept = kept || invites(c)
		case worth[n]:
			kept = true
		}
	}
	switch {
	case !kept && !store:
		return No
	case passing:
		return Deliver
	}
	return Archived
}

// invites tells whether a muc#user element is a mediated invitation or its answer (XEP-0045 §7.8.2), and not only the mark of a private
// message or a status code.
func invites(c xmlstream.Child) bool {
	n := c.Node()
	return n.Child(ns.MUCUser, "invite") != nil || n.Child(ns.MUCUser, "decline") != nil
}
