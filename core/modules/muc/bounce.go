package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// bounceFeature: an occupant that answers with an error that means "nobody is here" is a ghost and leaves (XEP-0045 §11.1, §18.1.2).
func bounceFeature(d *dispatch) {
	for _, occupant := range []bool{true, false} {
		d.on(stanza.Message, occupant, stanza.TypeError, exclusive, (*actor).bounced)
		d.on(stanza.Presence, occupant, stanza.TypeError, exclusive, (*actor).bounced)
	}
}

// unreachable are the conditions of §18.1.2, and service-unavailable, with which servers return groupchat messages for a resource that is not
// there (RFC 6121 §8.5.3.2.1).
var unreachable = map[stanza.Condition]bool{
	stanza.Gone: true, stanza.ItemNotFound: true, stanza.RecipientUnavailable: true, stanza.Redirect: true,
	stanza.RemoteServerNotFound: true, stanza.RemoteServerTimeout: true, stanza.ServiceUnavailable: true,
}

func (a *actor) bounced(in *inbound) {
	defer a.m.d.Journal.Submit(in.u)
	if e := in.st.ErrorFrom(); e != nil && unreachable[e.Condition] {
		a.gone(in.st.From, e.Condition)
	}
}
