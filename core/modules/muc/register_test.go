package muc

import (
	"context"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// XEP-0045 §7.10, example 73: members of a bridge's room are made on the other network.
func TestNoRegistrationWithBridges(t *testing.T) {
	w := newWorld(t, Options{Hosts: []HostSpec{{Name: "rooms.net.example.org", Origin: "net.example.org"}}})
	const portal = "p@rooms.net.example.org"
	spec := event.RoomSpec{Room: jid.MustParse(portal), Persistent: true, Origin: "net.example.org"}
	if err := w.m.EnsureRoom(context.Background(), spec); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"get", "set"} {
		w.do(bob, "<iq type='"+typ+"' id='r' to='"+portal+"'><query xmlns='jabber:iq:register'/></iq>")
		w.wantHeard(bob, "iq  error service-unavailable")
	}
}

// XEP-0045 §7.10, §9.9: a request is settled by whatever makes its author a member or bans her, and nobody answers it a second time.
func TestRequestsAreSettled(t *testing.T) {
	register := "<iq type='set' id='r' to='" + coven + "'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>" +
		"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>B</value></field></x></query></iq>"
	approve := "<message id='y' to='" + coven + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>" +
		"<field var='x-muc#register_jid'><value>bob@example.org</value></field><field var='muc#register_allow'><value>1</value></field></x></message>"
	for _, affiliation := range []string{"member", "outcast"} {
		t.Run(affiliation, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(alice, "Alice", coven, "muc#roomconfig_membersonly", "1")
			w.do(bob, register)
			w.wantHeard(bob, "iq  result")
			w.do(alice, "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+affiliation+"' jid='bob@example.org'/></query></iq>")
			w.forgetAll()
			w.do(alice, approve)
			w.wantHeard(alice, "message  error item-not-found")
			rows, err := w.store.Table(tableRequests).Range(context.Background(), coven, "", "", 10, false)
			if err != nil || len(rows) != 0 {
				t.Errorf("stored: %v %v", rows, err)
			}
		})
	}
}

// What somebody changes about herself she is not told a second time; what others change she is, with status 101 (§18.1).
func TestWhoIsTold(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	w.do(alice, "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='bob@example.org'/></query></iq>")
	if got := w.heard("bob@example.org"); len(got) != 1 || got[0] != "message  101" {
		t.Errorf("made a member: %v", got)
	}
	w.do(bob, "<iq type='set' id='b' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='none' jid='bob@example.org'/></query></iq>")
	w.wantHeard(bob, "iq  result")
	w.wantHeard("bob@example.org")
}
