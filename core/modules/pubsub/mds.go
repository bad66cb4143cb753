package pubsub

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// displayed is XEP-0490 §4.5.3: a message tells what was displayed beside what it says; the server takes that out, before it is archived or shown to
// anybody (§5.2), and publishes it.
func (m *Module) displayed(ctx context.Context, am *event.AccountMessage) error {
	st := am.Stanza
	c, ok := st.Child(ns.MDS, "displayed")
	if !ok || st.From.IsBare() || !m.d.Hosts.IsAccountDomain(st.From.Domain()) {
		return nil
	}
	payload := c.Node()
	am.Stanza = st.WithPayload(st.Payload.Without(func(c xmlstream.Child) bool { return c.Is(ns.MDS, "displayed") }))
	if st.Type == stanza.TypeError || st.To.IsZero() {
		return nil
	}
	item := xmlstream.NewNode(ns.PubSub, "item", "id", st.To.String()).Add(payload)
	items := []*xmlstream.Node{item}
	m.PEPPublish(ctx, am.Account, ns.MDS, items, displayedOptions(), func(err error) {
		if err == nil {
			return
		}
		// A node that a client has made otherwise is as good if nobody else reads it.
		m.PEPPublish(ctx, am.Account, ns.MDS, items, map[string]string{"access_model": string(node.Whitelist)}, nil)
	})
	return nil
}

// displayedOptions are those of XEP-0490 §4.2 and §7: nobody else sees it, and nothing is lost.
func displayedOptions() map[string]string {
	return map[string]string{
		"persist_items": "true", "max_items": "max", "send_last_published_item": node.SendNever, "access_model": string(node.Whitelist),
	}
}
