package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/hat"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	ownr  = "alice@example.org/desk"
	guest = "bob@example.org/phone"
)

var errBroken = errors.New("the disk is full")

// ask sends a stanza and returns the first that comes back.
func (w *world) ask(who, xml string) *stanza.Stanza {
	w.t.Helper()
	w.forgetAll()
	w.do(who, xml)
	got := w.take(who)
	if len(got) == 0 {
		w.t.Fatalf("no answer to %s", xml)
	}
	return got[0]
}

// outcome is a stanza's type, or the condition of its error.
func outcome(st *stanza.Stanza) string {
	if e := st.ErrorFrom(); e != nil {
		if e.App != nil {
			return string(e.Condition) + " " + e.App.Name.Local
		}
		return string(e.Condition)
	}
	return st.Type
}

func (w *world) token(who, attrs string) string {
	w.t.Helper()
	st := w.ask(who, "<iq type='set' id='t' to='"+coven+"'><request xmlns='urn:xmpp:muc-token-invite:0' "+attrs+"/></iq>")
	c, ok := st.Child(ns.MUCTokenInvite, "token")
	if !ok {
		w.t.Fatalf("no token: %s", outcome(st))
	}
	return c.Text()
}

func (w *world) enterWith(who, nick, password string) string {
	w.t.Helper()
	return outcome(w.ask(who, "<presence to='"+coven+"/"+nick+"'><x xmlns='http://jabber.org/protocol/muc'><password>"+password+"</password></x></presence>"))
}

// XEP-0488 §3.3, §3.5, §7: a token ends with its time, its number, its maker's right, and its revocation.
func TestTokenEnds(t *testing.T) {
	for _, c := range []struct {
		name, attrs string
		then        func(w *world, tok string)
		want        string
	}{
		{"good", "", func(*world, string) {}, ""},
		{"before its end", "delay='3600'", func(w *world, _ string) { w.clock.advance(3599 * time.Second) }, ""},
		{"at its end", "delay='3600'", func(w *world, _ string) { w.clock.advance(time.Hour) }, "not-authorized expired-token"},
		{"a week is the rule", "", func(w *world, _ string) { w.clock.advance(7 * 24 * time.Hour) }, "not-authorized expired-token"},
		{"used up", "counter='1'", func(w *world, tok string) { w.enterWith("carol@example.org/x", "Carol", tok) }, "not-authorized expired-token"},
		{"not used up", "counter='2'", func(w *world, tok string) { w.enterWith("carol@example.org/x", "Carol", tok) }, ""},
		{"its maker may not invite any more", "", func(w *world, _ string) {
			w.do(ownr, "<iq type='set' id='o' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner' jid='dave@example.org'/></query></iq>")
			w.do("dave@example.org/x", "<iq type='set' id='o' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='alice@example.org'/></query></iq>")
		}, "not-authorized expired-token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(ownr, "Alice", coven, "muc#roomconfig_membersonly", "1")
			tok := w.token(ownr, c.attrs)
			c.then(w, tok)
			if got := w.enterWith(guest, "Bob", tok); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A token whose use could not be stored is not used up, and nobody is a member by it.
func TestTokenIsUsedWhenStored(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven, "muc#roomconfig_membersonly", "1")
	tok := w.token(ownr, "counter='1'")
	broken := w.breakStore(errBroken)
	if got := w.enterWith(guest, "Bob", tok); got != "resource-constraint" {
		t.Errorf("with a full disk: %q", got)
	}
	broken.Store(false)
	if got := w.enterWith(guest, "Bob", ""); got != "registration-required" {
		t.Errorf("without the token: %q", got)
	}
	if got := w.enterWith(guest, "Bob", tok); got != "" {
		t.Errorf("with it: %q", got)
	}
}

// XEP-0488 in a room with a password: a token is as good, and stays so for whoever has become a member by it.
func TestTokenAndPassword(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven, "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "cauldron")
	tok := w.token(ownr, "counter='2'")
	for i, c := range []struct{ who, pw, want string }{
		{guest, "wrong", "not-authorized"}, {guest, tok, ""}, {"carol@example.org/x", "cauldron", ""},
		{"bob@example.org/other", tok, ""}, {"dave@example.org/x", tok, ""}, {"erin@example.org/x", tok, "not-authorized"},
	} {
		if got := w.enterWith(c.who, strings.ToUpper(c.who[:3])+fmt.Sprint(i), c.pw); got != c.want {
			t.Errorf("%d: %s with %q: %q, want %q", i, c.who, c.pw, got, c.want)
		}
	}
}

// XEP-0463: versions count what is committed; old ones are forgotten; a difference is the sum of what happened.
func TestListVersions(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven)
	change := func(who, af string) string {
		return outcome(w.ask(ownr, "<iq type='set' id='c' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+af+"' jid='"+who+"'/></query></iq>"))
	}
	// enter returns the message before all presence ("": none) and the version of the own presence.
	enter := func(since string) (items, until string) {
		w.do(ownr, "<presence type='unavailable' to='"+coven+"/Alice'/>")
		w.forgetAll()
		w.do(ownr, "<presence to='"+coven+"/Alice'><x xmlns='http://jabber.org/protocol/muc'><mav xmlns='urn:xmpp:muc:affiliations:1' since='"+since+"'/></x></presence>")
		for _, st := range w.take(ownr) {
			c, ok := st.Child(ns.MUCUser, "x")
			if !ok {
				continue
			}
			n := c.Node()
			mav := n.Child(ns.MUCAffiliations, "mav")
			if mav == nil {
				t.Fatalf("no version in %s", st)
			}
			if st.Kind == stanza.Presence {
				return items, mav.Attr("until")
			}
			for i := range n.Children(ns.MUCUser, "item") {
				items += i.Attr("jid") + "=" + i.Attr("affiliation") + " "
			}
			if _, partial := mav.AttrOK("since"); !partial {
				items = "all: " + items
			}
		}
		t.Fatal("no presence of her own")
		return "", ""
	}
	items, v := enter("")
	if items != "all: alice@example.org=owner " {
		t.Errorf("at first: %q", items)
	}
	if items, again := enter(v); items != "" || again != v {
		t.Errorf("nothing has changed: %q, %v", items, again == v)
	}
	broken := w.breakStore(errBroken)
	if got := change("x@example.org", "member"); got != "resource-constraint" {
		t.Errorf("with a full disk: %s", got)
	}
	broken.Store(false)
	if items, again := enter(v); items != "" || again != v {
		t.Errorf("a change that was not stored: %q, %v", items, again == v)
	}
	change("b@example.org", "member")
	change("a@example.org", "member")
	change("b@example.org", "admin")
	change("c@example.org", "member")
	change("c@example.org", "none")
	change("a@example.org", "member") // nothing new
	items, v2 := enter(v)
	if items != "b@example.org=admin a@example.org=member " || v2 == v {
		t.Errorf("the difference: %q", items)
	}
	for _, af := range []string{"member", "none"} {
		list := ""
		for i := range keptChanges / 2 {
			list += fmt.Sprintf("<item affiliation='%s' jid='u%d@example.org'/>", af, i)
		}
		w.ask(ownr, "<iq type='set' id='c' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'>"+list+"</query></iq>")
	}
	if items, _ = enter(v2); items != "" {
		t.Errorf("as many as are kept, and nothing of it is left: %q", items)
	}
	if items, _ = enter(v); !strings.HasPrefix(items, "all: ") {
		t.Errorf("a version that is too old: %q", items)
	}
	codec, err := stanzaid.NewCodec([]byte("another secret of another room"))
	if err != nil {
		t.Fatal(err)
	}
	if items, _ = enter(codec.Encode("affiliations\x00"+coven, 1)); !strings.HasPrefix(items, "all: ") {
		t.Errorf("a forged version: %q", items)
	}
}

func TestSum(t *testing.T) {
	const n, m, a, o = room.None, room.Member, room.Admin, room.Outcast
	got := sum([]listChange{{1, "x", n, m}, {2, "y", m, o}, {3, "x", m, a}, {4, "z", n, m}, {5, "z", m, n}})
	want := []listChange{{1, "x", n, a}, {2, "y", m, o}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A long list comes in parts that follow each other; the versions between are known to nobody.
func TestVersionParts(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven)
	done := make(chan struct{})
	w.m.post(w.m.hosts["rooms.example.org"], jid.MustParse(coven), func(a *actor) {
		defer close(done)
		items := make([]*xmlstream.Node, 2*versionItems+1)
		for i := range items {
			items[i] = xmlstream.NewNode(ns.MUCUser, "item", "jid", fmt.Sprint(i))
		}
		until, last, total := a.version(7), "", 0
		for i, p := range a.versionMessages("", until, items) {
			c, _ := p.st.Child(ns.MUCUser, "x")
			mav := c.Node().Child(ns.MUCAffiliations, "mav")
			if mav.Attr("since") != last {
				t.Errorf("part %d: since %q, want %q", i, mav.Attr("since"), last)
			}
			last = mav.Attr("until")
			if _, known := a.ids.Decode(a.versionScope(), last); known != (last == until) {
				t.Errorf("part %d: until %q", i, last)
			}
			for range c.Node().Children(ns.MUCUser, "item") {
				total++
			}
		}
		if last != until || total != len(items) {
			t.Errorf("ends at %q with %d items", last, total)
		}
	})
	<-done
}

// XEP-0424: a retraction that could not be stored has retracted nothing; in a room without an archive there is nothing to check against.
func TestTakeBack(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven)
	w.join(guest, coven, "Bob")
	said := w.ask(guest, "<message to='"+coven+"' type='groupchat' id='m1'><body>x</body></message>")
	id := stanzaid.Of(said.Payload, jid.MustParse(coven))
	retract := "<message to='" + coven + "' type='groupchat' id='r%d'><retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'/></message>"
	broken := w.breakStore(errBroken)
	if got := outcome(w.ask(guest, fmt.Sprintf(retract, 1))); got != "resource-constraint" {
		t.Errorf("with a full disk: %s", got)
	}
	broken.Store(false)
	if got := outcome(w.ask(ownr, fmt.Sprintf(retract, 2))); got != "forbidden" {
		t.Errorf("somebody else: %s", got)
	}
	if got := outcome(w.ask(guest, fmt.Sprintf(retract, 3))); got != "groupchat" {
		t.Errorf("the author: %s", got)
	}
	if got := outcome(w.ask(guest, fmt.Sprintf(retract, 4))); got != "item-not-found" {
		t.Errorf("again: %s", got)
	}
	bare := newWorld(t, Options{NoArchive: true})
	bare.open(ownr, "Alice", coven)
	if got := outcome(bare.ask(ownr, fmt.Sprintf(retract, 5))); got != "groupchat" {
		t.Errorf("without an archive: %s", got)
	}
}

// The keys to sort by of XEP-0433 §6.1.
const (
	orderSeats   = "{" + ns.ChannelSearchOrder + "}nusers"
	orderAddress = "{" + ns.ChannelSearchOrder + "}address"
)

// XEP-0433 §6.1: pages of either order show every public room once.
func TestSearchPages(t *testing.T) {
	w := newWorld(t, Options{})
	want := map[string]bool{}
	for i := range 23 {
		at := fmt.Sprintf("r%02d@rooms.example.org", i)
		w.open(ownr, "Alice", at, "muc#roomconfig_publicroom", fmt.Sprint(min(1, (i+1)%5)))
		if (i+1)%5 != 0 {
			want[at] = true
		}
		for j := range i % 4 {
			w.join(fmt.Sprintf("u%d@example.org/x", j), at, fmt.Sprint("u", j))
		}
		if i%3 == 0 {
			w.do(ownr, "<presence type='unavailable' to='"+at+"/Alice'/>")
		}
	}
	for _, key := range []string{orderSeats, orderAddress} {
		got, after, last := map[string]bool{}, "", 1<<30
		for page := 0; page < 20; page++ {
			x := "<iq type='get' id='s' to='rooms.example.org'><search xmlns='" + ns.ChannelSearch + "'><set xmlns='http://jabber.org/protocol/rsm'><max>4</max>"
			if after != "" {
				x += "<after>" + after + "</after>"
			}
			x += "</set><x xmlns='jabber:x:data' type='submit'><field var='all'><value>1</value></field><field var='key'><value>" + key + "</value></field></x></search></iq>"
			st := parseStanza(t, x)
			st.From = jid.MustParse(guest)
			q, _ := st.Query()
			res, err := w.m.search(context.Background(), &module.Request{IQ: st, Query: q, Unit: journal.NewUnit(journal.Lane{})})
			if err != nil {
				t.Fatal(err)
			}
			after = ""
			for n := range res.Elements() {
				if n.Name.Local == "set" {
					if l := n.Child(ns.RSM, "last"); l != nil {
						after = l.TextContent()
					}
					continue
				}
				at := n.Attr("address")
				if got[at] || !want[at] {
					t.Errorf("%s: %s", key, at)
				}
				got[at] = true
				seats := 0
				_, _ = fmt.Sscan(n.Child(ns.ChannelSearch, "nusers").TextContent(), &seats)
				if key == orderSeats && seats > last {
					t.Errorf("%s with %d after %d", at, seats, last)
				}
				last = seats
			}
			if after == "" {
				break
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d rooms, want %d", key, len(got), len(want))
		}
	}
}

// XEP-0317: what one person wears, and how many wear something, is bounded.
func TestHatsAreBounded(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven)
	do := func(node string, fields ...string) string {
		x := ""
		for i := 0; i < len(fields); i += 2 {
			x += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
		}
		return outcome(w.ask(ownr, "<iq type='set' id='h' to='"+coven+"'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:"+node+"'><x xmlns='jabber:x:data' type='submit'>"+x+"</x></command></iq>"))
	}
	for i := range room.MaxHatsWorn + 1 {
		uri := fmt.Sprint("urn:x:", i)
		if got := do("create", hat.FieldURI, uri, hat.FieldTitle, "Hat"); got != "result" {
			t.Fatalf("hat %d: %s", i, got)
		}
		want := "result"
		if i == room.MaxHatsWorn {
			want = "resource-constraint"
		}
		if got := do("assign", hat.FieldURI, uri, hat.FieldJID, "bob@example.org"); got != want {
			t.Errorf("hat %d: %s, want %s", i, got, want)
		}
	}
	broken := w.breakStore(errBroken)
	if got := do("unassign", hat.FieldURI, "urn:x:0", hat.FieldJID, "bob@example.org"); got != "resource-constraint" {
		t.Errorf("with a full disk: %s", got)
	}
	broken.Store(false)
	if got := do("unassign", hat.FieldURI, "urn:x:0", hat.FieldJID, "bob@example.org"); got != "result" {
		t.Errorf("she still wears it: %s", got)
	}
}
