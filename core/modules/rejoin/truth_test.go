package rejoin_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// view is what a client that believes everything has been shown of a room.
type view struct {
	t     *testing.T
	c     *xmpptest.Client
	in    bool
	there map[string]string
	ids   []string
	marks int
	loose bool // being shown the same again is right at the moment
}

// catchUp reads what has come.
func (v *view) catchUp() {
	v.t.Helper()
	v.marks++
	id := "mark" + strconv.Itoa(v.marks)
	v.c.Write("<iq type='get' id='" + id + "'><ping xmlns='" + ns.Ping + "'/></iq>")
	for {
		n := v.c.Next()
		if n.Attr("id") == id {
			return
		}
		v.take(n)
	}
}

func (v *view) take(n *xmlstream.Node) {
	v.t.Helper()
	from := jid.MustParse(n.Attr("from"))
	switch {
	case from.Bare().String() != "coven@far.example":
		v.t.Errorf("the client received %s", n)
	case n.Name.Local == "presence" && n.Attr("type") == stanza.TypeUnavailable:
		if _, ok := v.there[from.Resource()]; !ok {
			v.t.Errorf("somebody left who was not there: %s", n)
		}
		delete(v.there, from.Resource())
		v.in = v.in && from.Resource() != "Alice"
	case n.Name.Local == "presence" && n.Attr("type") == "":
		show := n.Child(ns.Client, "show").TextContent()
		if old, ok := v.there[from.Resource()]; ok && old == show && !v.loose {
			v.t.Errorf("shown again: %s", n)
		}
		v.there[from.Resource()] = show
		v.in = v.in || from.Resource() == "Alice"
	case n.Name.Local == "message" && n.Attr("type") == stanza.TypeGroupchat:
		if id := n.Child(ns.StanzaID, "stanza-id"); id != nil {
			v.ids = append(v.ids, id.Attr("id"))
		} else if !v.loose {
			v.t.Errorf("the subject again: %s", n)
		}
	case n.Attr("type") == stanza.TypeError && n.Name.Local == "message": // to a message of its own while it was lost
	default:
		v.t.Errorf("the client received %s", n)
	}
}

// TestTheClientSeesTheTruth plays long sequences of losses and of what goes on in a room meanwhile: when all is well again the client has seen each message
// once and in order, knows who is there, and was never shown anything twice.
func TestTheClientSeesTheTruth(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			truth(t, seed)
		})
	}
}

func truth(t *testing.T, seed uint64) {
	room := newFarRoom(seed)
	remote := xmpptest.NewRemote("far.example")
	left := make(chan struct{}, 1)
	remote.Answer = func(st *stanza.Stanza) []*stanza.Stanza {
		if st.Type == stanza.TypeUnavailable {
			left <- struct{}{}
		}
		room.mu.Lock()
		defer room.mu.Unlock()
		remote.Queue(room.answer(st)...)
		return []*stanza.Stanza{} // said behind what was queued
	}
	clock := xmpptest.NewClock()
	o := xmpptest.Options{Remote: remote, Clock: clock}
	if seed%2 == 1 {
		o.Modules.Rejoin.Held = 3 // overflows
	}
	s := xmpptest.Start(t, o)
	alice := s.Login(t, "alice@example.org/phone")
	alice.Online()
	v := &view{t: t, c: alice, there: map[string]string{}, loose: true}
	alice.Write("<presence to='coven@far.example/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.Write("<message to='coven@far.example' type='groupchat' id='first'><body>hail</body></message>")
	settle := func() { v.catchUp(); s.Settle(t); v.catchUp() }
	settle()
	v.loose = false
	first := v.ids[0]
	with := func(fn func() []*stanza.Stanza) {
		room.mu.Lock()
		remote.Queue(fn()...)
		room.mu.Unlock()
		remote.Flush()
	}
	for i := range 250 {
		pass, speak := false, false
		with(func() []*stanza.Stanza {
			pass, speak = room.rnd.IntN(14) == 0, room.rnd.IntN(10) == 0
			switch room.rnd.IntN(16) {
			case 0:
				return room.forget(false)
			case 1:
				return room.forget(true)
			}
			return room.event()
		})
		if speak {
			alice.Write("<message to='coven@far.example' type='groupchat' id='a" + strconv.Itoa(i) + "'><body>double</body></message>")
		}
		if pass {
			settle()
			clock.Pass(13 * time.Minute)
			settle()
		}
	}
	for range 8 { // after more than six losses in an hour nothing more is tried for a while
		settle()
		clock.Pass(13 * time.Minute)
	}
	settle()
	check(t, room, v, first)
	alice.Close()
	<-left // the session is over when the room hears of it
	s.Settle(t)
	if st := s.Module("rejoin").(*rejoin.Module).Stats(); st.Seats != 0 || st.Known != 0 || st.Held != 0 || st.Asking != 0 {
		t.Errorf("something stays when nobody is there: %+v", st)
	} else if st.Healed == 0 || st.Filled == 0 {
		t.Errorf("nothing was healed: %+v", st)
	}
}

func check(t *testing.T, room *farRoom, v *view, first string) {
	t.Helper()
	room.mu.Lock()
	defer room.mu.Unlock()
	if v.in != !room.client.IsZero() {
		t.Fatalf("the client believes to be in the room: %v; it is: %v", v.in, !room.client.IsZero())
	}
	var want []string
	for _, s := range room.said {
		if len(want) > 0 || s.id == first {
			want = append(want, s.id)
		}
	}
	if v.in && !slices.Equal(v.ids, want) {
		t.Errorf("the client has seen\n%v, said was\n%v", v.ids, want)
	}
	if !v.in {
		return
	}
	delete(v.there, "Alice")
	if len(v.there) != len(room.others) {
		t.Errorf("the client sees %v, there are %v", v.there, room.others)
	}
	for nick, show := range room.others {
		if v.there[nick] != show {
			t.Errorf("%s shows %q, the client sees %q", nick, show, v.there[nick])
		}
	}
}
