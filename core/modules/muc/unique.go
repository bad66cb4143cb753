package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// uniqueFeature: a name for a room that nobody has (XEP-0307): 80 random bits, so that it need not be reserved.
func uniqueFeature(d *dispatch) {
	name := xmlstream.Name{Space: ns.MUCUnique, Local: "unique"}
	d.service[iqKey{stanza.TypeGet, name}] = func(h *host) *xmlstream.Node {
		return xmlstream.NewNode(ns.MUCUnique, "unique").SetText(h.m.newID())
	}
}
