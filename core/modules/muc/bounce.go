package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
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
	switch e := in.st.ErrorFrom(); {
	case e == nil || !unreachable[e.Condition]:
	case e.Condition == stanza.ServiceUnavailable:
		a.doubt(in.st.From)
	default:
		a.gone(in.st.From, e.Condition)
	}
}

// doubt: with service-unavailable answers also the server of somebody who has blocked an occupant (XEP-0191 §3.2), who must not be able to put her out by
// writing to her. So the room asks in its own name. Those of this server are known to have gone when their session ends.
func (a *actor) doubt(full jid.JID) {
	if p := a.remote[full]; p != nil && !p.asking {
		p.unknown = true
		a.takePulse()
	}
}
