package rejoin

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// FuzzRoom gives a seat in every state what a room may say. Whatever that is, nothing panics, the books are right when the seat is gone, and what was
// made of an archive is a groupchat message of that room with one id and one time.
func FuzzRoom(f *testing.F) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	archivedXML := func(inner string) string {
		return "<message xmlns='jabber:client' from='r0@x' to='a@b/c'><result xmlns='urn:xmpp:mam:2' queryid='tok1' id='i'><forwarded xmlns='urn:xmpp:forward:0'>" + inner + "</forwarded></result></message>"
	}
	for _, s := range []string{
		"<presence xmlns='jabber:client' from='r0@x/Alice' to='a@b/c'><x xmlns='" + ns.MUCUser + "'><item nick='n'/><status code='110'/></x></presence>",
		"<presence xmlns='jabber:client' from='r0@x/Alice' to='a@b/c' type='unavailable'><x xmlns='" + ns.MUCUser + "'><destroy/><status code='333'/></x></presence>",
		"<presence xmlns='jabber:client' from='r0@x/Bob' to='a@b/c' type='unavailable'/>",
		"<presence xmlns='jabber:client' from='r0@x' to='a@b/c' type='error' id='tok.1'><error type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
		"<message xmlns='jabber:client' from='r0@x/Bob' to='a@b/c' type='groupchat'><subject>x</subject></message>",
		"<message xmlns='jabber:client' from='r0@x/Bob' to='a@b/c' type='groupchat'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='r0@x' id='1'/><delay xmlns='urn:xmpp:delay' stamp='x'/></message>",
		"<message xmlns='jabber:client' from='r0@x' to='a@b/c' type='error'/>",
		archivedXML(""),
		archivedXML("<delay xmlns='urn:xmpp:delay' stamp='2026-11-20T11:00:00Z'/><message xmlns='jabber:client' from='r0@x/Bob' type='groupchat'><body>x</body></message>"),
		archivedXML("<delay xmlns='urn:xmpp:delay' stamp='2026-11-20T11:00:00Z'/><message xmlns='jabber:client' from='r1@x/Bob' type='groupchat'/>"),
		"<iq xmlns='jabber:client' from='r0@x/Alice' to='a@b/c' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frag, err := xmlstream.ParseFragment(b)
		if err != nil || frag.NumChildren() != 1 {
			return
		}
		st, err := stanza.FromChild(frag.At(0))
		if err != nil || st.From.Bare() != room(0) {
			return
		}
		for state := range states {
			a := newAccount(Options{Held: 1, Occupants: 1})
			a.m.d.Clock = still{now}
			s := a.add(jid.MustParse("a@b/c"), room(0))
			s.state, s.nick, s.token, s.joinID, s.asked = state, "Alice", "tok", "tok.1", true
			s.p.arm(time.Hour)
			if state > joined {
				s.r = &recovery{nick: "Alice", archive: true, seen: map[string]bool{}, given: map[string]bool{}, query: "tok1", begin: now}
			}
			for range 2 {
				if in, ok := s.read(st); ok && !s.gone {
					if handle := table[s.state][in.what]; handle != nil {
						handle(s, &in)
					}
				}
			}
			s.remove()
			if a.m.seats.Load() != 0 || a.m.held.Load() != 0 || a.m.known.Load() != 0 {
				t.Fatalf("state %d: %d seats, %d bytes, %d occupants stay", state, a.m.seats.Load(), a.m.held.Load(), a.m.known.Load())
			}
		}
		checkArchived(t, st, now)
	})
}

func checkArchived(t *testing.T, st *stanza.Stanza, now time.Time) {
	a := newAccount(Options{})
	a.m.d.Clock = still{now}
	s := a.add(jid.MustParse("a@b/c"), room(0))
	res, ok := st.Child(ns.MAM, "result")
	if !ok {
		return
	}
	msg := s.archivedMessage(res, "id")
	if msg == nil {
		return
	}
	ids, delays := 0, 0
	for c := range msg.Payload.All() {
		if c.Is(ns.StanzaID, "stanza-id") && c.Attr("by") == room(0).String() {
			ids++
		}
		if c.Is(ns.Delay, "delay") {
			delays++
		}
	}
	at, ok := delay.Of(msg.Payload, room(0))
	if msg.From.Bare() != room(0) || msg.To != s.full || msg.Type != stanza.TypeGroupchat || stanzaid.Of(msg.Payload, room(0)) != "id" || ids != 1 ||
		delays != 1 || !ok || now.Sub(at.At) > a.m.o.Age {
		t.Fatalf("made of it: %s", msg)
	}
}
