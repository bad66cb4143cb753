package presence

import (
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// The four subscriptions (RFC 6121 §2.1.2.5). With Ask ("pending out") and PendingIn they make the nine states of Appendix A.
const (
	none = "none"
	to   = "to"
	from = "from"
	both = "both"
)

// withTo and withFrom tell whether the item's owner gets presence from the contact, and the contact from her.
func withTo(s string) bool   { return s == to || s == both }
func withFrom(s string) bool { return s == from || s == both }

var addTo = map[string]string{none: to, to: to, from: both, both: both}
var addFrom = map[string]string{none: from, to: both, from: from, both: both}
var dropTo = map[string]string{none: none, to: none, from: from, both: from}
var dropFrom = map[string]string{none: none, to: to, from: none, both: to}

// outbound applies a subscription stanza that the item's owner sends (Appendix A.2) and tells whether it goes on to the contact.
func outbound(it storage.RosterItem, typ string) (next storage.RosterItem, route bool) {
	switch typ {
	case stanza.TypeSubscribe: // A.2.1
		if !withTo(it.Subscription) {
			it.Ask = true
		}
		it.Listed = true
		return it, true
	case stanza.TypeUnsubscribe: // A.2.2
		it.Subscription, it.Ask = dropTo[it.Subscription], false
		return it, true
	case stanza.TypeSubscribed: // A.2.3
		switch {
		case it.PendingIn != nil:
			it.PendingIn = nil
			it.Subscription = addFrom[it.Subscription]
			it.Listed, it.Approved = true, false
			return it, true
		case !withFrom(it.Subscription): // §3.4.2: approved before it was asked for
			it.Approved, it.Listed = true, true
		}
		return it, false
	case stanza.TypeUnsubscribed: // A.2.4
		route = it.PendingIn != nil || withFrom(it.Subscription)
		it.PendingIn, it.Approved = nil, false // §3.4.2 for the latter
		it.Subscription = dropFrom[it.Subscription]
		return it, route
	}
	return it, false
}

// arrival says what becomes of an inbound subscription stanza.
type arrival struct {
	next    storage.RosterItem
	deliver bool // show it to the item's owner
	grant   bool // answer subscribed on the owner's behalf
}

// inbound applies a subscription stanza that comes from the contact (Appendix A.3). request is the stanza as it is kept for a subscribe.
func inbound(it storage.RosterItem, typ string, request []byte) arrival {
	a := arrival{next: it}
	n := &a.next
	switch typ {
	case stanza.TypeSubscribe: // A.3.1
		switch {
		case withFrom(it.Subscription):
			a.grant = true // §3.1.3: the contact's server seems not to know
		case it.Approved: // §3.4.2
			n.Subscription, n.Approved, n.PendingIn = addFrom[it.Subscription], false, nil
			a.grant = true
		case it.PendingIn == nil:
			n.PendingIn, a.deliver = request, true
		}
	case stanza.TypeUnsubscribe: // A.3.2
		a.deliver = it.PendingIn != nil || withFrom(it.Subscription)
		n.PendingIn = nil
		n.Subscription = dropFrom[it.Subscription]
	case stanza.TypeSubscribed: // A.3.3
		if it.Ask {
			n.Ask, n.Subscription, a.deliver = false, addTo[it.Subscription], true
		}
	case stanza.TypeUnsubscribed: // A.3.4
		a.deliver = it.Ask || withTo(it.Subscription)
		n.Ask, n.Subscription = false, dropTo[it.Subscription]
	}
	return a
}

// same tells whether a change of an item need not be written.
func same(a, b storage.RosterItem) bool {
	return a.Subscription == b.Subscription && a.Ask == b.Ask && a.Approved == b.Approved && a.Listed == b.Listed &&
		(a.PendingIn == nil) == (b.PendingIn == nil)
}
