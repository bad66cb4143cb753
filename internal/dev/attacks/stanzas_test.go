package attacks

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// none fails if an element holds one of the parts.
func none(t *testing.T, els []string, parts ...string) {
	t.Helper()
	for _, el := range els {
		for _, p := range parts {
			if strings.Contains(el, p) {
				t.Errorf("%s is in %s", p, el)
			}
		}
	}
}

// one returns the element that holds the part.
func one(t *testing.T, els []string, part string) string {
	t.Helper()
	for _, el := range els {
		if strings.Contains(el, part) {
			return el
		}
	}
	t.Errorf("%s did not come: %s", part, els)
	return ""
}

// TestRow20Carbons: a carbon that a client sends arrives without its wrapper, to a person and in a room.
func TestRow20Carbons(t *testing.T) {
	w := start(t, off, "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	forged := "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@v.test' to='bob@v.test'><body>pay him</body></message></forwarded>"
	for _, kind := range []string{"sent", "received"} {
		wrapped := "<" + kind + " xmlns='urn:xmpp:carbons:2'>" + forged + "</" + kind + ">"
		for _, to := range []string{"bob@v.test", "bob@v.test/b"} {
			got := bob.meets(alice, "<message to='"+to+"' type='chat' id='"+kind+to+"'><body>bait</body>"+wrapped+wrapped+"</message>")
			one(t, got, "<body>bait</body>")
			none(t, got, "urn:xmpp:carbons", "pay him")
		}
		none(t, bob.meets(alice, "<message to='bob@v.test' type='headline'>"+wrapped+"</message>"), "urn:xmpp:carbons", "pay him")
	}
}

// TestRow21Forgery: what only a server or a room says is not passed on for a client: 0, 1, 2 and n times, in each position.
func TestRow21Forgery(t *testing.T) {
	w := start(t, off, "alice", "bob")
	const room = "one@rooms." + Domain
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	alice.enter(room, "Alice")
	alice.unlock(room)
	bob.enter(room, "Bob")
	alice.sync()
	marks := map[string]string{
		"stanza-id of the receiver": "<stanza-id xmlns='urn:xmpp:sid:0' by='bob@v.test' id='forged'/>",
		"stanza-id of the room":     "<stanza-id xmlns='urn:xmpp:sid:0' by='one@rooms.v.test' id='forged'/>",
		"stanza-id of the server":   "<stanza-id xmlns='urn:xmpp:sid:0' by='v.test' id='forged'/>",
		"delay of the server":       "<delay xmlns='urn:xmpp:delay' from='v.test' stamp='2001-01-01T00:00:00Z'>forged</delay>",
		"delay of the room":         "<delay xmlns='urn:xmpp:delay' from='one@rooms.v.test' stamp='2001-01-01T00:00:00Z'>forged</delay>",
		"delay of somebody":         "<delay xmlns='urn:xmpp:delay' from='carol@v.test' stamp='2001-01-01T00:00:00Z'>forged</delay>",
		"result of an archive":      "<result xmlns='urn:xmpp:mam:2' id='forged'><forwarded xmlns='urn:xmpp:forward:0'/></result>",
	}
	inRoom := map[string]string{
		"occupant-id": "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>",
		"moderated":   "<moderated xmlns='urn:xmpp:message-moderate:1' by='one@rooms.v.test/forged'/>",
		"hats":        "<hats xmlns='urn:xmpp:hats:0'><hat uri='forged' title='forged'/></hats>",
	}
	for name, mark := range marks {
		inRoom[name] = mark
	}
	body := "<body>text</body>"
	shapes := func(mark string) []string {
		return []string{body, mark + body, body + mark, mark + body + mark, strings.Repeat(mark, 5) + body + strings.Repeat(mark, 5)}
	}
	for name, mark := range marks {
		for i, payload := range shapes(mark) {
			got := bob.meets(alice, fmt.Sprintf("<message to='bob@v.test/b' type='chat'>%s</message>", payload))
			if el := one(t, got, body); strings.Contains(el, "forged") {
				t.Errorf("%s, shape %d, to a person: %s", name, i, el)
			}
		}
	}
	n := 0
	for name, mark := range inRoom {
		for i, payload := range shapes(mark) {
			n++
			id := fmt.Sprintf("id='r%d'", n)
			alice.send("<message to='" + room + "' type='groupchat' " + id + ">" + payload + "</message>")
			for {
				el := bob.next()
				if !strings.Contains(el, id) {
					continue
				}
				if strings.Contains(el, "forged") {
					t.Errorf("%s, shape %d, in a room: %s", name, i, el)
				}
				break
			}
		}
	}
}

// TestRow21MUCUser: an invitation is the room's, a mark of a private message is empty, and the rest of muc#user is not passed on.
func TestRow21MUCUser(t *testing.T) {
	w := start(t, off, "alice", "bob", "carol")
	const room = "one@rooms." + Domain
	alice, bob, carol := w.online("alice", "a"), w.online("bob", "b"), w.online("carol", "c")
	alice.enter(room, "Alice")
	alice.unlock(room)
	bob.enter(room, "Bob")
	x := func(s string) string { return "<x xmlns='http://jabber.org/protocol/muc#user'>" + s + "</x>" }
	for {
		el := alice.next()
		if strings.Contains(el, "/Bob'") {
			break
		}
	}
	// A mediated invitation comes from the room and names who invites.
	bob.send("<message to='" + room + "'>" + x("<invite to='carol@v.test' from='boss@v.test'><reason>r</reason></invite><status code='100'/><password>forged</password>") + "</message>")
	for {
		el := carol.next()
		if !strings.Contains(el, "<invite") {
			continue
		}
		if !strings.Contains(el, " from='"+room+"'") || !strings.Contains(el, "<invite from='bob@v.test") || strings.Contains(el, "boss@") || strings.Contains(el, "forged") {
			t.Errorf("the invitation is %s", el)
		}
		break
	}
	// In a private message, a message to all, and a presence nothing of it comes through.
	for name, xml := range map[string]string{
		"private":  "<message to='" + room + "/Alice' type='chat' id='m1'><body>p</body>" + x("<status code='forged'/><item affiliation='owner' jid='forged@v.test'/>") + "</message>",
		"to all":   "<message to='" + room + "' type='groupchat' id='m2'><body>g</body>" + x("<status code='forged'/><destroy jid='forged@v.test'/>") + "</message>",
		"presence": "<presence to='" + room + "/Bob' id='m3'>" + x("<item affiliation='owner' role='moderator' jid='forged@v.test'/><status code='forged'/>") + "<status>shown</status></presence>",
	} {
		bob.send(xml)
		for {
			el := alice.next()
			if strings.Contains(el, "<body>p<") || strings.Contains(el, "<body>g<") || strings.Contains(el, "shown") {
				if strings.Contains(el, "forged") || strings.Contains(el, "affiliation='owner'") {
					t.Errorf("%s: %s", name, el)
				}
				break
			}
		}
	}
}

// TestRow22IQSpoof: nobody pushes rosters, answers for another, or reads and writes what is another's.
func TestRow22IQSpoof(t *testing.T) {
	w := start(t, off, "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	push := "<query xmlns='jabber:iq:roster'><item jid='eve@v.test' subscription='both'/></query>"
	if got := bob.meets(alice, "<iq type='set' to='bob@v.test/b' id='push1'>"+push+"</iq>"); strings.Contains(strings.Join(got, ""), "eve@") {
		t.Errorf("a forged push arrives: %s", got)
	}
	for to, query := range map[string]string{
		"bob@v.test": push,
	} {
		if c, _ := alice.ask("set", to, query); c != "forbidden" {
			t.Errorf("set of another's roster: %q", c)
		}
		if c, _ := alice.ask("get", to, "<query xmlns='jabber:iq:roster'/>"); c != "forbidden" {
			t.Errorf("another's roster: %q", c)
		}
		if c, _ := alice.ask("set", to, "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"); c != "forbidden" {
			t.Errorf("another's vCard: %q", c)
		}
		if c, _ := alice.ask("set", to, "<query xmlns='jabber:iq:register'><remove/></query>"); c != "forbidden" {
			t.Errorf("another's account: %q", c)
		}
		if c, _ := alice.ask("set", "", "<query xmlns='jabber:iq:register'><username>bob</username><password>"+password+"x</password></query>"); c != "not-allowed" {
			t.Errorf("another's password: %q", c)
		}
	}
	// An answer to a request that was sent to somebody else comes from whom it comes from, and is not taken for the other's.
	bob.send("<iq type='get' to='nobody@elsewhere.test' id='q1'><ping xmlns='urn:xmpp:ping'/></iq>")
	got := bob.meets(alice, "<iq type='result' to='bob@v.test/b' id='q1'/>")
	for _, el := range got {
		if strings.Contains(el, "id='q1'") && strings.Contains(el, "type='result'") && !strings.Contains(el, "from='alice@v.test/a'") {
			t.Errorf("the forged answer comes as %s", el)
		}
	}
	for _, from := range []string{"bob@v.test", "v.test", "alice@v.test/other", "", "admin@v.test/x"} {
		p := w.login("alice", "forger")
		p.send("<message from='" + from + "' to='bob@v.test'><body>forged</body></message>")
		if c := p.End(); c != "invalid-from" {
			t.Errorf("from %q: the stream ends with %q", from, c)
		}
	}
	none(t, bob.meets(alice, ""), "forged")
}

// TestRow24AdminByLocalpart: admin of one domain is nobody in another of the same server.
func TestRow24AdminByLocalpart(t *testing.T) {
	site := start(t, off, "alice")
	out, errs, code := site.Run(t, "user", "show", "admin@v.test")
	if code != 0 || !strings.Contains(out, "admin") {
		t.Fatalf("%s%s", out, errs)
	}
	site.Stop(t)
	site.Site.Replace(t, "domains: [v.test]", "domains: [v.test, w.test]")
	w := site.Site.Serve(t)
	if _, errs, code := w.Site.Run(t, password+"\n", "user", "add", "admin@w.test", "--password-file", "-"); code != 0 {
		t.Fatal(errs)
	}
	list, _, _ := w.Run(t, "user", "list", "--json")
	for _, entry := range strings.Split(list, "{")[1:] {
		if strings.Contains(entry, "admin@w.test") && strings.Contains(strings.ReplaceAll(entry, " ", ""), `"admin":true`) {
			t.Errorf("admin@w.test has the rights of admin@v.test: %s", entry)
		}
	}
}

// TestRow25AckTooHigh: an ack of what was never sent ends the stream (XEP-0198 §6), and nobody resumes another's session.
func TestRow25AckTooHigh(t *testing.T) {
	w := start(t, off, "alice", "bob")
	for _, h := range []string{"5", "4294967295"} {
		p := w.login("alice", "a")
		if _, err := p.Say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); err != nil {
			t.Fatal(err)
		}
		p.send("<a xmlns='urn:xmpp:sm:3' h='" + h + "'/>")
		if got := p.End(); got != "undefined-condition" {
			t.Errorf("h=%s: the stream ends with %q", h, got)
		}
	}
	alice := w.login("alice", "b")
	n, err := alice.Say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	if err != nil {
		t.Fatal(err)
	}
	thief := w.dial("tls")
	if err := thief.Auth("", "bob", password); err != nil {
		t.Fatal(err)
	}
	if _, err := thief.Say(Header); err != nil {
		t.Fatal(err)
	}
	thief.send("<resume xmlns='urn:xmpp:sm:3' previd='" + n.Attr("id") + "' h='0'/>")
	if el := thief.next(); !strings.Contains(el, "item-not-found") {
		t.Errorf("another's session: %s", el)
	}
	alice.sync()
}

// TestRow26SlowReader: one who does not read is ended at the bound of her queue; who writes to her and all others are served.
func TestRow26SlowReader(t *testing.T) {
	w := start(t, "limits: {sm_queue_bytes: 200000, stanzas_per_second: 100000, bytes_per_second: 100000000}\n", "alice", "bob", "carol")
	alice, carol := w.online("alice", "a"), w.online("carol", "c")
	w.online("bob", "b") // never reads again
	before := w.metric(resident)
	if n := w.metric(sessions); n != 3 {
		t.Fatalf("%v sessions", n)
	}
	body := strings.Repeat("x", 10000)
	for i := 0; w.metric(sessions) > 2; i++ {
		if i == 1000 {
			t.Fatal("the session of who does not read stays")
		}
		for range 20 {
			alice.send("<message to='bob@v.test/b' type='headline'><body>" + body + "</body></message>")
		}
		alice.sync()
		one(t, carol.meets(alice, "<message to='carol@v.test' type='chat'><body>hello</body></message>"), "hello")
	}
	if grown := w.metric(resident) - before; grown > 128<<20 {
		t.Errorf("resident memory grew by %.0f MiB", grown/(1<<20))
	}
}

// TestRow27JoinStorm: a thousand joins and leaves of many cost what they cost, and the room is as it was.
func TestRow27JoinStorm(t *testing.T) {
	w := start(t, off, "alice", "bob", "mallory")
	const room = "one@rooms." + Domain
	alice := w.online("alice", "a")
	alice.enter(room, "Alice")
	alice.unlock(room)
	before := w.metric(goroutines)
	var wg sync.WaitGroup
	for i := range 4 {
		p := w.online("mallory", fmt.Sprint("m", i))
		wg.Go(func() {
			for k := range 250 {
				nick := fmt.Sprintf("N%d-%d", i, k)
				if err := p.Send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>" +
					"<presence to='" + room + "/" + nick + "' type='unavailable'/>"); err != nil {
					t.Error(err)
					return
				}
				if k%50 == 49 {
					if _, err := p.Sync(); err != nil {
						t.Error(err)
						return
					}
				}
			}
			_ = p.Send("</stream:stream>")
			p.End()
		})
	}
	wg.Wait()
	bob := w.online("bob", "b")
	got := bob.enter(room, "Bob")
	var people []string
	for _, el := range got {
		if strings.Contains(el, " from='"+room+"/") && strings.HasPrefix(el, "<presence") {
			people = append(people, el)
		}
	}
	if len(people) != 2 { // Alice and herself
		t.Errorf("%d occupants are left: %s", len(people), people)
	}
	w.falls(sessions, 2)
	w.falls(goroutines, before+20)
}

// TestRow28ErrorLoop: an error is never answered with an error, whoever it is addressed to.
func TestRow28ErrorLoop(t *testing.T) {
	w := start(t, off+"bridges: [{name: demo, plugin: demo}]\n", "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	const room = "one@rooms." + Domain
	alice.enter(room, "Alice")
	alice.unlock(room)
	broken := "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for _, to := range []string{"v.test", "bob@v.test", "bob@v.test/gone", "nobody@v.test", "rooms.v.test", "nowhere@rooms.v.test", "nowhere@rooms.v.test/x", "demo.v.test", "mira@demo.v.test",
		"lobby@rooms.demo.v.test", "who@elsewhere.test", "alice@v.test", "alice@v.test/gone"} {
		for _, kind := range []string{"message", "iq", "presence"} {
			alice.send("<" + kind + " type='error' to='" + to + "' id='loop'>" + broken + "</" + kind + ">")
		}
	}
	none(t, alice.sync(), "id='loop'")
	none(t, alice.meets(bob, ""), "id='loop'")
	// Errors are counted once: what bounces in the server does not bounce on.
	if got := bob.meets(alice, "<message to='nobody@v.test' type='chat' id='b1'><body>x</body></message>"); strings.Contains(strings.Join(got, ""), "b1") {
		t.Errorf("bob got %s", got)
	}
}

// TestRow28DirectedPresence: who got directed presence is told of the end once, however many others got it.
func TestRow28DirectedPresence(t *testing.T) {
	w := start(t, off, "alice", "bob")
	alice, bob := w.online("alice", "a"), w.online("bob", "b")
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "<presence to='u%d@elsewhere.test/r'/>", i)
		if i%1000 == 999 {
			alice.send(b.String())
			b.Reset()
			alice.sync()
		}
	}
	alice.send(strings.Repeat("<presence to='bob@v.test'/>", 100))
	alice.sync()
	alice.send("</stream:stream>")
	alice.End()
	gone := 0
	for _, el := range bob.meets(w.online("bob", "c"), "") {
		if strings.Contains(el, "from='alice@v.test/a'") && strings.Contains(el, "type='unavailable'") {
			gone++
		}
	}
	if gone != 1 {
		t.Errorf("bob was told %d times that she is gone", gone)
	}
}
