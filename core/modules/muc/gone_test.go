package muc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// deleteAccount deletes an account as the server does; with half, it stops before the rooms are told.
func (w *world) deleteAccount(bare string, half bool) {
	w.t.Helper()
	ctx := context.Background()
	c := &event.AccountChange{JID: jid.MustParse(bare), Unit: journal.NewUnit(journal.AccountLane(bare))}
	if err := w.ev.Account.Deleted.Decide(ctx, c); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	c.Unit.After(direct{}, func(err error) { done <- err })
	w.com.Submit(c.Unit)
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
	if half {
		return
	}
	if err := w.ev.Account.Deleted.Committed(ctx, c); err != nil {
		w.t.Fatal(err)
	}
	w.sync()
}

// ownersOf are the owners of a room as they are stored.
func (w *world) ownersOf(at string) string {
	w.t.Helper()
	list, err := w.store.Rooms().Affiliations(context.Background(), at, room.Owner.String(), storage.Page{Limit: 10})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		out = append(out, strings.TrimSuffix(a.JID, "@example.org"))
	}
	return strings.Join(out, " ")
}

func (w *world) exists(at string) bool {
	_, err := w.store.Rooms().Get(context.Background(), at)
	return err == nil
}

func (w *world) affiliate(owner, who, af string) {
	w.t.Helper()
	if got := outcome(w.ask(owner, "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+af+"' jid='"+who+"'/></query></iq>")); got != "result" {
		w.t.Fatalf("%s as %s: %s", who, af, got)
	}
	w.forgetAll()
}

// A room whose only owner's account is deleted, by policy, in memory, at rest, and when the server stops in between.
func TestOwnerless(t *testing.T) {
	const admin, admin2 = "carol@example.org", "erin@example.org"
	for _, c := range []struct {
		policy OrphanPolicy
		admins bool
		other  bool // there is another owner
		in     bool // bob is in the room
		owners string
		exists bool
	}{
		{OrphanHeir, true, false, true, "carol", true},
		{OrphanHeir, true, true, true, "dave", true},
		{OrphanHeir, false, false, false, "", true},
		{OrphanDestroy, true, false, false, "carol", true},
		{OrphanDestroy, false, false, false, "", false},
		{OrphanDestroy, false, false, true, "", true},
		{OrphanDestroy, false, true, false, "dave", true},
		{OrphanKeep, true, false, false, "", true},
	} {
		for _, when := range []string{"in memory", "at rest", "half"} {
			if c.in && when != "in memory" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v/%v/%v/%s", c.policy, c.admins, c.other, c.in, when), func(t *testing.T) {
				w := newWorld(t, Options{Ownerless: c.policy})
				w.open(alice, "Alice", coven)
				if c.admins {
					w.affiliate(alice, admin2, "admin")
					w.affiliate(alice, admin, "admin")
				}
				if c.other {
					w.affiliate(alice, "dave@example.org", "owner")
				}
				if c.in {
					w.join(bob, coven, "Bob")
				}
				w.leaves(alice, "Alice")
				if when != "in memory" {
					w.clock.advance(w.m.o.Idle * 2)
					w.sync()
				}
				w.deleteAccount("alice@example.org", when == "half")
				if when == "half" {
					w.stop()
					w.start()
					w.sync()
				}
				if got := w.exists(coven); got != c.exists {
					t.Fatalf("exists: %v", got)
				}
				if got := w.ownersOf(coven); got != c.owners {
					t.Errorf("owners: %q, want %q", got, c.owners)
				}
				if n := w.rows(tableLeaving, "rooms.example.org"); n != 0 {
					t.Errorf("%d rooms have not heard", n)
				}
				if n := w.rows(tableKeepers, "alice@example.org"); n != 0 {
					t.Errorf("%d rooms still count for the account that is gone", n)
				}
				if c.owners == "carol" && w.rows(tableKeepers, admin) != 1 {
					t.Error("the room does not count for its new owner")
				}
				if c.policy == OrphanDestroy && c.in {
					w.leaves(bob, "Bob")
					if w.exists(coven) {
						t.Error("it does not end with its last occupant")
					}
				}
			})
		}
	}
}

// What a room keeps of a person goes with her account, whether she is on a list or not: hats, tokens, voice, requests, pace.
func TestNothingStaysOfAnAccount(t *testing.T) {
	for _, rest := range []bool{false, true} {
		t.Run(fmt.Sprint("at rest ", rest), func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(alice, "Alice", coven, "muc#roomconfig_moderatedroom", "1", "muc#roomconfig_slow_mode_duration", "600")
			command := func(node, fields string) {
				w.do(alice, "<iq type='set' id='h' to='"+coven+"'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:"+node+"'><x xmlns='jabber:x:data' type='submit'>"+fields+"</x></command></iq>")
			}
			hat := "<field var='hats#uri'><value>urn:x:1</value></field>"
			command("create", hat+"<field var='hats#title'><value>Hat</value></field>")
			w.join(bob, coven, "Bob")
			w.do(alice, "<iq type='set' id='v' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob' role='participant'/></query></iq>")
			if got := w.says(bob, "m1"); got != "" {
				t.Fatalf("bob speaks: %s", got)
			}
			for _, who := range []string{"bob", "carol"} {
				command("assign", hat+"<field var='hats#jid'><value>"+who+"@example.org</value></field>")
			}
			w.do(bob, "<iq type='set' id='r' to='"+coven+"'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Bob</value></field></x></query></iq>")
			before := map[string]int{}
			for _, table := range w.m.dispatch.personTables {
				if before[table] = w.rows(table, coven); before[table] == 0 {
					t.Errorf("there is nothing in %s that could go", table)
				}
			}
			if rest {
				w.leaves(bob, "Bob")
				w.leaves(alice, "Alice")
				w.clock.advance(w.m.o.Idle * 2)
				w.sync()
			}
			w.forgetAll()
			w.deleteAccount("bob@example.org", false)
			for _, table := range w.m.dispatch.personTables {
				if n := w.rows(table, coven); n != before[table]-1 {
					t.Errorf("%s: %d rows of %d are left", table, n, before[table])
				}
			}
			if n := w.rows(tableTraces, "bob@example.org"); n != 0 {
				t.Errorf("%d traces", n)
			}
			if !rest {
				got := w.take(alice)
				if len(got) == 0 || slices.ContainsFunc(got, func(st *stanza.Stanza) bool { _, ok := st.Child(ns.Hats, "hats"); return ok }) {
					t.Errorf("alice is shown %v", got)
				}
			}
			// Who comes with the same address is somebody else.
			w.join(alice, coven, "Alice")
			w.do(bob, "<presence type='unavailable' to='"+coven+"/Bob'/>")
			w.join("bob@example.org/new", coven, "Bob")
			if got := w.says("bob@example.org/new", "m2"); got != "forbidden" {
				t.Errorf("she has kept her voice: %q", got)
			}
		})
	}
}

// A token is worth nothing when the account of who made it is gone, also if somebody else registers its address and may make tokens, too.
func TestTokensGoWithTheirMaker(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven, "muc#roomconfig_membersonly", "1")
	w.affiliate(alice, "bob@example.org", "admin")
	tok := w.token(bob, "")
	w.deleteAccount("bob@example.org", false)
	w.affiliate(alice, "bob@example.org", "admin")
	if got := w.enterWith("carol@example.org/x", "Carol", tok); got != "not-authorized expired-token" {
		t.Errorf("with the token: %q", got)
	}
	if n := w.rows(tableTokens, coven); n != 0 {
		t.Errorf("%d tokens are stored", n)
	}
}

// XEP-0463 §5.2: the end of an account is a change of the lists, also of a room that is at rest.
func TestVersionOfDeletedAccount(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	w.affiliate(alice, "bob@example.org", "member")
	enter := func(since string) (text string) {
		w.leaves(alice, "Alice")
		w.do(alice, "<presence to='"+coven+"/Alice'><x xmlns='http://jabber.org/protocol/muc'><mav xmlns='"+ns.MUCAffiliations+"' since='"+since+"'/></x></presence>")
		for _, st := range w.take(alice) {
			text += st.String()
		}
		return text
	}
	_, after, _ := strings.Cut(enter(""), "until='")
	version, _, _ := strings.Cut(after, "'")
	w.leaves(alice, "Alice")
	w.clock.advance(w.m.o.Idle * 2)
	w.sync()
	w.deleteAccount("bob@example.org", false)
	if got := enter(version); !strings.Contains(got, "since='"+version) || !strings.Contains(got, "<item jid='bob@example.org' affiliation='none'/>") {
		t.Errorf("the difference is %s", got)
	}
}
