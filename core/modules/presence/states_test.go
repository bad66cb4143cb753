package presence

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// The nine states of RFC 6121 Appendix A.1.
var states = map[string]storage.RosterItem{
	"None":       {Subscription: none},
	"None+PO":    {Subscription: none, Ask: true, Listed: true},
	"None+PI":    {Subscription: none, PendingIn: []byte("x")},
	"None+PO+PI": {Subscription: none, Ask: true, PendingIn: []byte("x"), Listed: true},
	"To":         {Subscription: to, Listed: true},
	"To+PI":      {Subscription: to, PendingIn: []byte("x"), Listed: true},
	"From":       {Subscription: from, Listed: true},
	"From+PO":    {Subscription: from, Ask: true, Listed: true},
	"Both":       {Subscription: both, Listed: true},
}

func stateOf(it storage.RosterItem) string {
	s := map[string]string{none: "None", to: "To", from: "From", both: "Both"}[it.Subscription]
	if it.Ask {
		s += "+PO"
	}
	if it.PendingIn != nil {
		s += "+PI"
	}
	return s
}

type row struct {
	state  string
	passes bool // routed (A.2), delivered (A.3)
	next   string
}

// RFC 6121 Appendix A.2: what the owner sends.
func TestOutboundStates(t *testing.T) {
	for typ, rows := range map[string][]row{
		stanza.TypeSubscribe: { // A.2.1
			{"None", true, "None+PO"}, {"None+PO", true, "None+PO"}, {"None+PI", true, "None+PO+PI"}, {"None+PO+PI", true, "None+PO+PI"},
			{"To", true, "To"}, {"To+PI", true, "To+PI"}, {"From", true, "From+PO"}, {"From+PO", true, "From+PO"}, {"Both", true, "Both"},
		},
		stanza.TypeUnsubscribe: { // A.2.2
			{"None", true, "None"}, {"None+PO", true, "None"}, {"None+PI", true, "None+PI"}, {"None+PO+PI", true, "None+PI"},
			{"To", true, "None"}, {"To+PI", true, "None+PI"}, {"From", true, "From"}, {"From+PO", true, "From"}, {"Both", true, "From"},
		},
		stanza.TypeSubscribed: { // A.2.3
			{"None", false, "None"}, {"None+PO", false, "None+PO"}, {"None+PI", true, "From"}, {"None+PO+PI", true, "From+PO"},
			{"To", false, "To"}, {"To+PI", true, "Both"}, {"From", false, "From"}, {"From+PO", false, "From+PO"}, {"Both", false, "Both"},
		},
		stanza.TypeUnsubscribed: { // A.2.4
			{"None", false, "None"}, {"None+PO", false, "None+PO"}, {"None+PI", true, "None"}, {"None+PO+PI", true, "None+PO"},
			{"To", false, "To"}, {"To+PI", true, "To"}, {"From", true, "None"}, {"From+PO", true, "None+PO"}, {"Both", true, "To"},
		},
	} {
		if len(rows) != len(states) {
			t.Errorf("%s has %d rows", typ, len(rows))
		}
		for _, r := range rows {
			next, route := outbound(states[r.state], typ)
			if got := stateOf(next); got != r.next || route != r.passes {
				t.Errorf("%s in %s: %s, routed %v; want %s, %v", typ, r.state, got, route, r.next, r.passes)
			}
			// §3.4.2: what is granted before it is asked for is remembered, until it is taken back.
			approved := typ == stanza.TypeSubscribed && !r.passes && !withFrom(states[r.state].Subscription)
			if next.Approved != approved {
				t.Errorf("%s in %s: approved is %v", typ, r.state, next.Approved)
			}
		}
	}
}

// RFC 6121 Appendix A.3: what the contact sends.
func TestInboundStates(t *testing.T) {
	for typ, rows := range map[string][]row{
		stanza.TypeSubscribe: { // A.3.1
			{"None", true, "None+PI"}, {"None+PO", true, "None+PO+PI"}, {"None+PI", false, "None+PI"}, {"None+PO+PI", false, "None+PO+PI"},
			{"To", true, "To+PI"}, {"To+PI", false, "To+PI"}, {"From", false, "From"}, {"From+PO", false, "From+PO"}, {"Both", false, "Both"},
		},
		stanza.TypeUnsubscribe: { // A.3.2
			{"None", false, "None"}, {"None+PO", false, "None+PO"}, {"None+PI", true, "None"}, {"None+PO+PI", true, "None+PO"},
			{"To", false, "To"}, {"To+PI", true, "To"}, {"From", true, "None"}, {"From+PO", true, "None+PO"}, {"Both", true, "To"},
		},
		stanza.TypeSubscribed: { // A.3.3
			{"None", false, "None"}, {"None+PO", true, "To"}, {"None+PI", false, "None+PI"}, {"None+PO+PI", true, "To+PI"},
			{"To", false, "To"}, {"To+PI", false, "To+PI"}, {"From", false, "From"}, {"From+PO", true, "Both"}, {"Both", false, "Both"},
		},
		stanza.TypeUnsubscribed: { // A.3.4
			{"None", false, "None"}, {"None+PO", true, "None"}, {"None+PI", false, "None+PI"}, {"None+PO+PI", true, "None+PI"},
			{"To", true, "None"}, {"To+PI", true, "None+PI"}, {"From", false, "From"}, {"From+PO", true, "From"}, {"Both", true, "From"},
		},
	} {
		if len(rows) != len(states) {
			t.Errorf("%s has %d rows", typ, len(rows))
		}
		for _, r := range rows {
			a := inbound(states[r.state], typ, []byte("request"))
			if got := stateOf(a.next); got != r.next || a.deliver != r.passes {
				t.Errorf("%s in %s: %s, delivered %v; want %s, %v", typ, r.state, got, a.deliver, r.next, r.passes)
			}
			// §3.1.3: who is subscribed already is told so.
			if want := typ == stanza.TypeSubscribe && withFrom(states[r.state].Subscription); a.grant != want {
				t.Errorf("%s in %s: granted %v", typ, r.state, a.grant)
			}
		}
	}
}

// RFC 6121 §3.4: a subscription that is approved before it is asked for.
func TestPreApproval(t *testing.T) {
	for state, want := range map[string]string{"None": "From", "None+PO": "From+PO", "To": "Both"} {
		it, route := outbound(states[state], stanza.TypeSubscribed)
		if route || !it.Approved || !it.Listed {
			t.Errorf("%s: %+v, routed %v", state, it, route)
		}
		a := inbound(it, stanza.TypeSubscribe, []byte("request"))
		if got := stateOf(a.next); got != want || !a.grant || a.deliver || a.next.Approved {
			t.Errorf("%s: %s, %+v, want %s", state, got, a, want)
		}
		it, route = outbound(it, stanza.TypeUnsubscribed)
		if route || it.Approved || stateOf(it) != state {
			t.Errorf("%s: taken back: %+v", state, it)
		}
	}
}
