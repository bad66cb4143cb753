package rejoin

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// TestTable: in each state everything that a room says is dealt with, but for what is the client's alone.
func TestTable(t *testing.T) {
	passes := map[string]bool{
		fmt.Sprint(entering, selfOut): true, // of a visit before
		fmt.Sprint(entering, bounced): true, fmt.Sprint(asking, bounced): true, fmt.Sprint(waiting, bounced): true,
		fmt.Sprint(rejoining, bounced): true, fmt.Sprint(filling, bounced): true,
	}
	for s := range states {
		for w := range whats {
			if has, want := table[s][w] != nil, !passes[fmt.Sprint(s, w)]; has != want {
				t.Errorf("state %d, kind %d: dealt with: %v", s, w, has)
			}
		}
	}
}

// presence parses a presence of the room.
func presence(t *testing.T, xml string) *stanza.Stanza {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	st, err := stanza.FromChild(f.At(0))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// XEP-0045 §15.6.2 and §10.9.
func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name, inner string
		want        outcome
	}{
		{"without a reason", "", final},
		{"renamed", "<status code='303'/>", renamed},
		{"banned", "<status code='301'/>", final},
		{"kicked", "<status code='307'/>", final},
		{"affiliation", "<status code='321'/>", final},
		{"members only", "<status code='322'/>", final},
		{"shutdown", "<status code='332'/>", comeBack},
		{"fault", "<status code='333'/>", comeBack},
		{"kicked for a fault", "<status code='307'/><status code='333'/>", comeBack},
		{"banned at a shutdown", "<status code='332'/><status code='301'/>", final},
		{"destroyed at a shutdown", "<status code='332'/><destroy/>", final},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &seat{nick: "Alice"}
			in, ok := s.read(presence(t, "<presence xmlns='jabber:client' from='r@x/Alice' to='a@b/c' type='unavailable'><x xmlns='"+ns.MUCUser+"'>"+tc.inner+"</x></presence>"))
			if !ok || in.what != selfOut {
				t.Fatalf("read as %d, %v", in.what, ok)
			}
			if got := outcomeOf(&in); got != tc.want {
				t.Errorf("outcome %d, want %d", got, tc.want)
			}
		})
	}
}

// XEP-0410 §3.2.
func TestSigns(t *testing.T) {
	result := stanza.NewIQ(stanza.TypeResult, "x")
	if signOf(result) != there {
		t.Error("a result does not mean that she is there")
	}
	for _, tc := range []struct {
		condition stanza.Condition
		typ       string
		want      sign
	}{
		{stanza.NotAcceptable, "cancel", lost}, {stanza.NotAllowed, "cancel", lost}, {stanza.BadRequest, "modify", lost},
		{stanza.Forbidden, "auth", lost}, {stanza.RegistrationRequired, "auth", lost}, {stanza.UndefinedCondition, "cancel", lost},
		{stanza.ServiceUnavailable, "cancel", there}, {stanza.FeatureNotImplemented, "cancel", there}, {stanza.ServiceUnavailable, "wait", there},
		{stanza.ItemNotFound, "cancel", unclear},
		{stanza.RemoteServerNotFound, "cancel", silence}, {stanza.RemoteServerTimeout, "wait", silence},
		{stanza.ResourceConstraint, "wait", silence}, {stanza.InternalServerError, "cancel", silence}, {stanza.UndefinedCondition, "wait", silence},
	} {
		e := &stanza.Error{Condition: tc.condition, Type: tc.typ}
		iq := stanza.NewIQ(stanza.TypeGet, "x", xmlstream.NewNode(ns.Ping, "ping"))
		if got := signOf(iq.ErrorReply(e)); got != tc.want {
			t.Errorf("%s of type %s: %d, want %d", tc.condition, tc.typ, got, tc.want)
		}
	}
}

// TestRead tells what is read as what.
func TestRead(t *testing.T) {
	x := func(inner string) string { return "<x xmlns='" + ns.MUCUser + "'>" + inner + "</x>" }
	for _, tc := range []struct {
		name, xml string
		want      what
		ok        bool
	}{
		{"own, marked", "<presence xmlns='jabber:client' from='r@x/Other' to='a@b/c'>" + x("<status code='110'/>") + "</presence>", selfIn, true},
		{"own, by nick alone", "<presence xmlns='jabber:client' from='r@x/Alice' to='a@b/c'/>", selfIn, true},
		{"somebody else", "<presence xmlns='jabber:client' from='r@x/Bob' to='a@b/c'>" + x("") + "</presence>", otherIn, true},
		{"somebody leaves", "<presence xmlns='jabber:client' type='unavailable' from='r@x/Bob' to='a@b/c'>" + x("") + "</presence>", otherOut, true},
		{"the room itself", "<presence xmlns='jabber:client' from='r@x' to='a@b/c'/>", otherIn, true},
		{"refused", "<presence xmlns='jabber:client' type='error' from='r@x/Alice' to='a@b/c'/>", failed, true},
		{"subscription", "<presence xmlns='jabber:client' type='subscribe' from='r@x' to='a@b/c'/>", 0, false},
		{"said", "<message xmlns='jabber:client' type='groupchat' from='r@x/Bob' to='a@b/c'/>", said, true},
		{"private", "<message xmlns='jabber:client' type='chat' from='r@x/Bob' to='a@b/c'/>", 0, false},
		{"bounced", "<message xmlns='jabber:client' type='error' from='r@x' to='a@b/c'/>", bounced, true},
		{"archived", "<message xmlns='jabber:client' from='r@x' to='a@b/c'><result xmlns='urn:xmpp:mam:2' id='1'/></message>", archived, true},
		{"a ping of somebody else", "<iq xmlns='jabber:client' type='get' id='1' from='r@x/Bob' to='a@b/c'><ping xmlns='urn:xmpp:ping'/></iq>", reflected, false},
		{"a ping of ours", "<iq xmlns='jabber:client' type='get' id='1' from='r@x/Alice' to='a@b/c'><ping xmlns='urn:xmpp:ping'/></iq>", reflected, true},
		{"another question", "<iq xmlns='jabber:client' type='get' id='1' from='r@x/Alice' to='a@b/c'><query xmlns='jabber:iq:version'/></iq>", reflected, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &seat{nick: "Alice", asked: true, full: jid.MustParse("a@b/c")}
			s.p = &place{seats: []*seat{s}}
			in, ok := s.read(presence(t, tc.xml))
			if ok != tc.ok || ok && in.what != tc.want {
				t.Errorf("read as %d, %v", in.what, ok)
			}
		})
	}
}

// TestPresenceHash: equal is what shows the same.
func TestPresenceHash(t *testing.T) {
	of := func(attrs, inner string) uint64 {
		return presenceHash(presence(t, "<presence xmlns='jabber:client' from='r@x/Bob' to='a@b/c'"+attrs+">"+inner+"</presence>"))
	}
	item := func(role, more string) string {
		return "<x xmlns='" + ns.MUCUser + "'><item affiliation='none' role='" + role + "'/>" + more + "</x>"
	}
	base := of("", item("participant", ""))
	for _, tc := range []struct {
		name         string
		attrs, inner string
		same         bool
	}{
		{"an id", " id='1'", item("participant", ""), true},
		{"status codes", "", item("participant", "<status code='110'/><status code='100'/>"), true},
		{"another role", "", item("moderator", ""), false},
		{"away", "", "<show>away</show>" + item("participant", ""), false},
		{"gone", " type='unavailable'", item("participant", ""), false},
		{"a hat", "", item("participant", "") + "<hats xmlns='urn:xmpp:hats:0'/>", false},
	} {
		if same := of(tc.attrs, tc.inner) == base; same != tc.same {
			t.Errorf("%s: the same: %v", tc.name, same)
		}
	}
}
