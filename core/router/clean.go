package router

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// clean takes out of a message what only this server may say:
//
//   - stanza-ids in the name of one of our addresses (XEP-0359 §6). A room's message keeps the room's own.
//   - carbons (XEP-0280 §11): ours are never routed, so one that is comes from somebody who forges it.
//   - of a client's message, results of an archive (XEP-0313 §4.2), and delays in the name of another address of ours (XEP-0203 §7): a client may
//     say when it sent something itself.
func (r *Router) clean(st *stanza.Stanza) *stanza.Stanza {
	if !suspicious(st.Payload) {
		return st
	}
	t := r.table.Load()
	fromAccount := t.isAccount(st.From)
	f := stanzaid.Strip(st.Payload, func(by jid.JID) bool {
		return t.domains[by.Domain()] != nil && (fromAccount || by.Bare() != st.From.Bare())
	})
	f = f.Without(isCarbon)
	if fromAccount {
		f = delay.Strip(f, func(by jid.JID) bool { return t.domains[by.Domain()] != nil && by.Bare() != st.From.Bare() })
		f = f.Without(isArchived)
	}
	return st.WithPayload(f)
}

func suspicious(f xmlstream.Fragment) bool {
	for c := range f.All() {
		if c.Is(ns.StanzaID, "stanza-id") || c.Is(ns.Delay, "delay") || isCarbon(c) || isArchived(c) {
			return true
		}
	}
	return false
}

func isCarbon(c xmlstream.Child) bool {
	return c.Is(ns.Carbons, "sent") || c.Is(ns.Carbons, "received")
}

func isArchived(c xmlstream.Child) bool { return c.Is(ns.MAM, "result") || c.Is(ns.MAM, "fin") }
