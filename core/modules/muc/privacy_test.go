package muc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
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
)

// watched is a semi-anonymous room in which people do whatever they can, and somebody reads what each of them is sent.
type watched struct {
	*world
	rnd    *rand.Rand
	people []string            // full JIDs; the first owns the room
	nicks  []string            // under which each is in the room, or was
	said   []string            // ids that the room gave
	ids    []string            // occupant ids
	since  []string            // version of the lists that each has
	tokens []string            // invitations
	kinds  map[string]int      // of what has been received
	asked  map[string][]string // requests that wait for an answer
}

const watchedPeople = 6

func newWatched(t *testing.T, seed uint64) *watched {
	t.Helper()
	w := &watched{world: newWorld(t, Options{JoinsPerMinute: -1, Renames: room.Rate{Size: -1}}), kinds: map[string]int{}, asked: map[string][]string{}}
	w.rnd = rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that is the same each time
	for i := range watchedPeople {
		w.people = append(w.people, fmt.Sprintf("secret%d@example.org/hidden%d", i, i))
		w.nicks = append(w.nicks, fmt.Sprint("Nick", i))
		w.since = append(w.since, "")
		w.addAccount(bareOf(w.people[i]))
	}
	w.open(w.people[0], w.nicks[0], coven, "muc#roomconfig_publicroom", "1", "muc#roomconfig_roomname", "Coven", "muc#roomconfig_forwardmentions", "1",
		"muc#roomconfig_changesubject", "1")
	for _, x := range []string{"create", "assign"} {
		for _, p := range w.people[1:4] {
			w.do(w.people[0], hats(x, formField(hat.FieldURI, "urn:x:1")+formField(hat.FieldTitle, "Helper")+formField(hat.FieldJID, bareOf(p))))
		}
	}
	return w
}

func bareOf(full string) string { return jid.MustParse(full).Bare().String() }

// privileged are those who see addresses: moderators in the room, and admins.
func (w *watched) privileged(into map[string]bool) {
	done := make(chan bool)
	w.m.post(w.m.hosts["rooms.example.org"], jid.MustParse(coven), func(a *actor) {
		defer close(done)
		for _, full := range w.people {
			who := jid.MustParse(full)
			if a.room == nil || a.room.Affiliation(who) >= room.Admin || a.room.ActorOf(who).Role == room.Moderator {
				into[bareOf(full)] = true
			}
		}
	})
	<-done
}

var address = regexp.MustCompile(`secret\d@example\.org|hidden\d`)

// inspect reads all that was delivered since the last step.
func (w *watched) inspect(step string, may map[string]bool) {
	w.t.Helper()
	for _, full := range w.people {
		for _, who := range []string{full, bareOf(full)} {
			for _, st := range w.take(who) {
				w.learn(full, st)
				if may[bareOf(full)] {
					continue
				}
				text := st.With(st.From, jid.JID{}).String()
				for _, found := range address.FindAllString(text, -1) {
					if !strings.Contains(full, found) {
						w.t.Errorf("%s: %s learns of %s:\n%s", step, full, found, st)
					}
				}
			}
		}
	}
}

// learn keeps what later steps can use.
func (w *watched) learn(full string, st *stanza.Stanza) {
	kind := st.Kind.String() + " " + st.Type
	for c := range st.Payload.All() {
		w.kinds[kind+" "+c.Name().Space+" "+c.Name().Local]++
	}
	if c, ok := st.Child(ns.OccupantID, "occupant-id"); ok && len(w.ids) < 50 {
		w.ids = append(w.ids, c.Attr("id"))
	}
	if id := stanzaid.Of(st.Payload, jid.MustParse(coven)); id != "" && len(w.said) < 50 {
		w.said = append(w.said, id)
	}
	if c, ok := st.Child(ns.MUCTokenInvite, "token"); ok {
		w.tokens = append(w.tokens, c.Text())
	}
	if c, ok := st.Child(ns.MUCUser, "x"); ok {
		if mav := c.Node().Child(ns.MUCAffiliations, "mav"); mav != nil {
			w.since[w.index(full)] = mav.Attr("until")
		}
	}
	if st.IsRequest() {
		w.asked[full] = append(w.asked[full], st.ID+" "+st.From.String())
	}
}

func (w *watched) index(full string) int {
	for i, p := range w.people {
		if p == full {
			return i
		}
	}
	return 0
}

// pick returns one of a list, "none" of an empty one.
func (w *watched) pick(list ...string) string {
	if len(list) == 0 {
		return "none"
	}
	return list[w.rnd.IntN(len(list))]
}

func iq(typ, to, payload string) string {
	return fmt.Sprintf("<iq type='%s' id='q' to='%s'>%s</iq>", typ, to, payload)
}

func hats(node, fields string) string {
	return iq("set", coven, "<command xmlns='"+ns.Commands+"' node='urn:xmpp:hats:commands:"+node+"'><x xmlns='jabber:x:data' type='submit'>"+fields+"</x></command>")
}

func formField(name, value string) string {
	return "<field var='" + name + "'><value>" + value + "</value></field>"
}

const askForVoice = "<message id='v' to='" + coven + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + ns.MUCRequest +
	"</value></field><field var='muc#role'><value>participant</value></field></x></message>"

// actions are what people do. Each returns a stanza; i is who does it.
var actions = []struct {
	name string
	make func(w *watched, i int) string
}{
	{"enter", (*watched).enter}, {"enter", (*watched).enter}, {"enter", (*watched).enter}, {"enter", (*watched).enter},
	{"leave", func(w *watched, i int) string {
		return "<presence type='unavailable' to='" + coven + "/" + w.nicks[i] + "'><status>bye</status></presence>"
	}},
	{"show", func(w *watched, i int) string {
		return "<presence to='" + coven + "/" + w.nicks[i] + "'><show>" + w.pick("away", "dnd", "xa") + "</show></presence>"
	}},
	{"rename", func(w *watched, i int) string {
		w.nicks[i] = fmt.Sprintf("Nick%d.%d", i, w.rnd.IntN(3))
		return "<presence to='" + coven + "/" + w.nicks[i] + "'/>"
	}},
	{"say", (*watched).say}, {"say", (*watched).say}, {"say", (*watched).say},
	{"whisper", func(w *watched, _ int) string {
		return "<message type='chat' id='p' to='" + coven + "/" + w.pick(w.nicks...) + "'><body>psst</body></message>"
	}},
	{"subject", func(*watched, int) string {
		return "<message type='groupchat' id='s' to='" + coven + "'><subject>Fire</subject></message>"
	}},
	{"mention", (*watched).mention}, {"mention", (*watched).mention},
	{"retract", func(w *watched, _ int) string {
		return fmt.Sprintf("<message type='groupchat' id='r%d' to='%s'><retract xmlns='%s' id='%s'/></message>", w.rnd.IntN(1e6), coven, ns.Retract, w.pick(w.said...))
	}},
	{"moderate", func(w *watched, _ int) string {
		return iq("set", coven, "<moderate xmlns='"+ns.Moderate+"' id='"+w.pick(w.said...)+"'><retract xmlns='"+ns.Retract+"'/></moderate>")
	}},
	{"ask an occupant", (*watched).ask1}, {"ask an occupant", (*watched).ask1}, {"ask an occupant", (*watched).ask1},
	{"answer", (*watched).answer}, {"answer", (*watched).answer}, {"answer", (*watched).answer},
	{"picture of the room", func(w *watched, _ int) string {
		return w.pick(iq("get", coven, "<vCard xmlns='vcard-temp'/>"),
			iq("set", coven, "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>"+w.pick("AAAA", "BBBB")+"</BINVAL></PHOTO></vCard>"))
	}},
	{"lists", func(w *watched, _ int) string {
		return iq("get", coven, "<query xmlns='"+ns.MUCAdmin+"'><item "+w.pick("affiliation='owner'", "affiliation='admin'", "affiliation='member'", "affiliation='outcast'",
			"role='moderator'", "role='participant'", "role='visitor'")+"/></query>")
	}},
	{"affiliation", func(w *watched, _ int) string {
		return iq("set", coven, "<query xmlns='"+ns.MUCAdmin+"'><item affiliation='"+w.pick("none", "member", "member", "admin", "outcast")+"' jid='"+bareOf(w.pick(w.people[1:]...))+"'/></query>")
	}},
	{"role", func(w *watched, _ int) string {
		return iq("set", coven, "<query xmlns='"+ns.MUCAdmin+"'><item role='"+w.pick("none", "visitor", "participant", "moderator")+"' nick='"+w.pick(w.nicks[1:]...)+"'/></query>")
	}},
	{"configuration", func(w *watched, _ int) string {
		return iq("set", coven, "<query xmlns='"+ns.MUCOwner+"'><x xmlns='jabber:x:data' type='submit'>"+w.pick(formField("muc#roomconfig_moderatedroom", w.pick("0", "1")),
			formField("muc#roomconfig_allowinvites", w.pick("0", "1")), formField("muc#roomconfig_slow_mode_duration", w.pick("0", "0", "30")),
			formField("muc#roomconfig_presencebroadcast", w.pick("moderator", "participant")), formField("x-muc#roomconfig_registration", w.pick("open", "approval")))+"</x></query>")
	}},
	{"token", func(w *watched, _ int) string {
		return w.pick(iq("set", coven, "<request xmlns='"+ns.MUCTokenInvite+"'/>"), iq("get", coven, "<tokens xmlns='"+ns.MUCTokenInvite+"'/>"),
			iq("set", coven, "<revoke xmlns='"+ns.MUCTokenInvite+"'>"+w.pick(w.tokens...)+"</revoke>"))
	}},
	{"register", func(w *watched, i int) string {
		return w.pick(iq("get", coven, "<query xmlns='"+ns.Register+"'/>"), iq("set", coven, "<query xmlns='"+ns.Register+"'><x xmlns='jabber:x:data' type='submit'>"+
			formField("FORM_TYPE", ns.MUCRegister)+formField("muc#register_roomnick", fmt.Sprint("Nick", i))+"</x></query>"), iq("set", coven, "<query xmlns='"+ns.Register+"'><remove/></query>"))
	}},
	{"voice", func(*watched, int) string { return askForVoice }},
	{"hats", func(w *watched, _ int) string {
		uri := formField(hat.FieldURI, "urn:x:1")
		return w.pick(hats("create", uri+formField(hat.FieldTitle, w.pick("Teacher", "Helper"))), hats("list", ""), hats("list-assigned", ""),
			hats("assign", uri+formField(hat.FieldJID, bareOf(w.pick(w.people...)))), hats("unassign", uri+formField(hat.FieldJID, bareOf(w.pick(w.people...)))), hats("destroy", uri))
	}},
	{"wrong", func(w *watched, _ int) string {
		return w.pick("<message type='normal' id='x' to='"+coven+"'><body>x</body></message>", "<message type='groupchat' id='x' to='"+coven+"/"+w.pick(w.nicks...)+"'><body>x</body></message>",
			"<presence to='"+coven+"/"+w.pick(w.nicks...)+"'><x xmlns='"+ns.MUC+"'/></presence>")
	}},
}

func (w *watched) enter(i int) string {
	mav := "<mav xmlns='" + ns.MUCAffiliations + "' since='" + w.since[i] + "'/>"
	password := ""
	if len(w.tokens) > 0 && w.rnd.IntN(4) == 0 {
		password = "<password>" + w.pick(w.tokens...) + "</password>"
	}
	return "<presence to='" + coven + "/" + w.nicks[i] + "'><x xmlns='" + ns.MUC + "'>" + w.pick("", mav) + password + "</x></presence>"
}

func (w *watched) say(int) string {
	return fmt.Sprintf("<message type='groupchat' id='m%d' to='%s'><body>hello</body></message>", w.rnd.IntN(1e9), coven)
}

// ask1 asks one occupant something.
func (w *watched) ask1(int) string {
	return iq("get", coven+"/"+w.pick(w.nicks...), w.pick("<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:version'/>", "<vCard xmlns='vcard-temp'/>"))
}

// mention names somebody by her reserved nick or her occupant id, not by an address: that would be the author's own doing.
func (w *watched) mention(int) string {
	return fmt.Sprintf("<message type='groupchat' id='n%d' to='%s'><body>you</body>%s</message>", w.rnd.IntN(1e9), coven,
		w.pick(fmt.Sprintf("<reference xmlns='%s' type='mention' uri='xmpp:%s/Nick%d'/>", ns.Reference, coven, w.rnd.IntN(watchedPeople)),
			"<mention xmlns='"+ns.Mentions+"' occupantid='"+w.pick(w.ids...)+"'/>"))
}

// answer answers what an occupant, or the room, has asked: with something, or with an error in which a server has put its name and the address.
func (w *watched) answer(i int) string {
	list := w.asked[w.people[i]]
	if len(list) == 0 {
		return w.say(i)
	}
	id, from, _ := strings.Cut(list[0], " ")
	w.asked[w.people[i]] = list[1:]
	return w.pick("<iq type='result' id='"+id+"' to='"+from+"'><query xmlns='jabber:iq:version'><name>x</name></query></iq>",
		"<iq type='error' id='"+id+"' to='"+from+"'><error type='cancel' by='"+bareOf(w.people[i])+"'><feature-not-implemented xmlns='"+ns.Stanzas+"'/></error></iq>")
}

// sweep lets each of them ask for all that can be asked for.
func (w *watched) sweep(step string) {
	w.t.Helper()
	for i, who := range w.people {
		list := []string{hats("list", ""), hats("list-assigned", ""), iq("get", coven, "<tokens xmlns='"+ns.MUCTokenInvite+"'/>"),
			iq("get", coven, "<query xmlns='"+ns.Register+"'/>"), iq("get", coven, "<query xmlns='"+ns.MUCOwner+"'/>"), iq("get", coven, "<vCard xmlns='vcard-temp'/>"), askForVoice}
		for _, item := range []string{"affiliation='owner'", "affiliation='admin'", "affiliation='member'", "affiliation='outcast'", "role='moderator'", "role='participant'", "role='visitor'"} {
			list = append(list, iq("get", coven, "<query xmlns='"+ns.MUCAdmin+"'><item "+item+"/></query>"))
		}
		for _, nick := range w.nicks {
			list = append(list, iq("get", coven+"/"+nick, "<query xmlns='jabber:iq:version'/>"))
		}
		for _, xml := range list {
			w.act(step+", sweep", w.people[i], xml)
			for n, other := range w.people {
				for len(w.asked[other]) > 0 {
					w.act(step+", answer to "+who, other, w.answer(n))
				}
			}
		}
	}
}

// act is one step, and what everybody is sent because of it.
func (w *watched) act(step, who, xml string) {
	w.t.Helper()
	may := map[string]bool{}
	w.privileged(may)
	w.send(who, xml)
	w.sync()
	w.privileged(may)
	w.inspect(step, may)
}

// inspectFromOutside is what somebody learns who is not in the room: by search and by discovery.
func (w *watched) inspectFromOutside() {
	w.t.Helper()
	const stranger = "stranger@example.net/x"
	ctx := context.Background()
	st := parseStanza(w.t, "<iq type='get' id='s' to='rooms.example.org'><search xmlns='"+ns.ChannelSearch+"'><x xmlns='jabber:x:data' type='submit'>"+formField("all", "1")+"</x></search></iq>")
	st.From = jid.MustParse(stranger)
	q, _ := st.Query()
	found, err := w.m.search(ctx, &module.Request{IQ: st, Query: q, Unit: journal.NewUnit(journal.Lane{})})
	if err != nil {
		w.t.Fatal(err)
	}
	text := found.String()
	if !strings.Contains(text, coven) {
		w.t.Errorf("the room is not found: %s", text)
	}
	for _, node := range []string{"", nodeReserved} {
		info, _, err := discoSource{w.m}.DiscoInfo(ctx, jid.MustParse(stranger), jid.MustParse(coven), node)
		if err != nil {
			w.t.Fatal(err)
		}
		text += fmt.Sprint(info.Identities)
		for _, f := range info.Forms {
			text += f.String()
		}
	}
	for _, node := range []string{"", ns.Commands} {
		items, _, _, err := discoSource{w.m}.DiscoItems(ctx, jid.MustParse(stranger), jid.MustParse(coven), node, "", 100)
		if err != nil {
			w.t.Fatal(err)
		}
		text += fmt.Sprint(items)
	}
	if address.MatchString(text) {
		w.t.Errorf("from outside: %s", text)
	}
}

// attacks row 21: whatever is done in a semi-anonymous room, with whichever feature, nothing that somebody is sent who is no moderator shows an
// address of anybody else.
func TestAddressesStayHidden(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(5) {
		w := newWatched(t, seed)
		w.inspect("", map[string]bool{bareOf(w.people[0]): true})
		for n := range 200 {
			i := w.rnd.IntN(watchedPeople)
			if w.rnd.IntN(3) == 0 {
				i = 0 // who may do most of it
			}
			act := actions[w.rnd.IntN(len(actions))]
			step := fmt.Sprintf("seed %d, step %d: %s by %s", seed, n, act.name, w.people[i])
			w.act(step, w.people[i], act.make(w, i))
			if n%10 == 9 {
				w.clock.advance(15 * time.Second)
			}
			if n%40 == 39 {
				w.sweep(step)
			}
			if t.Failed() {
				return
			}
		}
		w.inspectFromOutside()
		for k, n := range w.kinds {
			kinds[k] += n
		}
	}
	for _, k := range []string{"presence  " + ns.Hats + " hats", "message  " + ns.MUCMentions + " mentions", "message groupchat " + ns.Retract + " retract",
		"iq result " + ns.MUCTokenInvite + " token", "iq result " + ns.MUCTokenInvite + " tokens", "iq result vcard-temp vCard", "presence  " + ns.VCardUpdate + " x",
		"iq result " + ns.MUCAdmin + " query", "iq result " + ns.Commands + " command", "message  " + ns.MUCUser + " x", "iq get jabber:iq:version query",
		"iq result jabber:iq:version query", "message  " + ns.Form + " x", "message chat " + ns.MUCUser + " x", "message groupchat " + ns.Client + " subject"} {
		if kinds[k] == 0 {
			t.Errorf("nobody was sent a %s: the test does not see what it is about", k)
		}
	}
}
