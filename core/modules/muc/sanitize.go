package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// forbiddenToSay are elements that only a room may put into what it shows: a client that sends one pretends to be the room (attacks: MUC row
// 21; XEP-0045 §17.3, XEP-0421 §3, XEP-0425 §4, XEP-0317 §4). An empty local name stands for the whole namespace.
var forbiddenToSay = map[xmlstream.Name]bool{
	{Space: ns.MUC}:                              true,
	{Space: ns.MUCUser}:                          true,
	{Space: ns.OccupantID}:                       true,
	{Space: ns.Hats}:                             true,
	{Space: ns.HatsOld}:                          true,
	{Space: ns.Moderate}:                         true,
	{Space: ns.ModerateOld}:                      true,
	{Space: ns.Retract, Local: "retracted"}:      true,
	{Space: ns.RetractOld, Local: "retracted"}:   true,
	{Space: ns.DelayOld}:                         true,
	{Space: ns.Carbons}:                          true,
	{Space: ns.MUCPresenceVersioning, Local: ""}: true,
}

func forged(n xmlstream.Name) bool {
	return forbiddenToSay[xmlstream.Name{Space: n.Space}] || forbiddenToSay[n]
}

// nested are the elements that clients may send and that could hide a forged mark inside.
var nested = map[xmlstream.Name]bool{
	{Space: ns.Retract, Local: "retract"}:    true,
	{Space: ns.RetractOld, Local: "retract"}: true,
	{Space: ns.Fasten, Local: "apply-to"}:    true,
}

// sanitize returns what of a client's payload is shown to others.
func (a *actor) sanitize(f xmlstream.Fragment) xmlstream.Fragment {
	ours := func(j jid.JID) bool { return j.Domain() == a.jid.Domain() }
	f = stanzaid.Strip(f, ours)
	f = delay.Strip(f, ours)
	dirty, inner := false, false
	for c := range f.All() {
		n := c.Name()
		dirty = dirty || forged(n)
		inner = inner || nested[n]
	}
	if dirty {
		f = f.Without(func(c xmlstream.Child) bool { return forged(c.Name()) })
	}
	if inner {
		f = sanitizeInner(f)
	}
	return f
}

// maxShow bounds what an occupant shows of herself, in bytes: it is kept, and sent to everybody who enters (attacks: presence flood).
const maxShow = 8 << 10

// basics are what stays of a presence that is too large (XEP-0045 §18.1: a service may discard extended presence).
var basics = map[xmlstream.Name]bool{
	{Space: ns.Client, Local: "show"}: true, {Space: ns.Client, Local: "status"}: true, {Space: ns.Client, Local: "priority"}: true,
	{Space: ns.VCardUpdate, Local: "x"}: true, {Space: ns.Caps, Local: "c"}: true, {Space: ns.Caps2, Local: "c"}: true,
}

// show returns what of a presence is shown to others.
func (a *actor) show(f xmlstream.Fragment) xmlstream.Fragment {
	f = a.sanitize(f)
	if f.Len() > maxShow {
		f = f.Without(func(c xmlstream.Child) bool { return !basics[c.Name()] })
	}
	if f.Len() > maxShow {
		f = f.Without(func(c xmlstream.Child) bool { return !c.Is(ns.Client, "show") })
	}
	return f
}

// sanitizeInner takes the room's marks out of what refers to other messages.
func sanitizeInner(f xmlstream.Fragment) xmlstream.Fragment {
	var nodes []*xmlstream.Node
	for c := range f.All() {
		n := c.Node()
		if nested[c.Name()] {
			prune(n)
		}
		nodes = append(nodes, n)
	}
	return xmlstream.NewFragment(nodes...)
}

func prune(n *xmlstream.Node) {
	kept := n.Nodes[:0]
	for _, c := range n.Nodes {
		if forged(c.Name) {
			continue
		}
		prune(c)
		kept = append(kept, c)
	}
	n.Nodes = kept
}
