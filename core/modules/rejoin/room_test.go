package rejoin_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// farRoom is a room of another server with one client of ours: as much of XEP-0045 and XEP-0313 as the module needs, and with whatever a room can do
// between two stanzas.
type farRoom struct {
	mu     sync.Mutex
	at     jid.JID
	rnd    *rand.Rand
	client jid.JID // zero: nobody of ours is in the room
	nick   string
	others map[string]string // what they show, by nick
	said   []saying
	pings  int
	joins  int
	shows  int // every change is one
	page   int // most that a page of the archive has
}

type saying struct {
	id, nick, body string
	at             time.Time
}

func newFarRoom(seed uint64) *farRoom {
	return &farRoom{at: jid.MustParse("coven@far.example"), rnd: rand.New(rand.NewPCG(seed, 1)), others: map[string]string{"Hecate": "chat"}, page: 7}
}

func (f *farRoom) occupant(nick string) jid.JID {
	j, err := f.at.WithResource(nick)
	if err != nil {
		panic(err)
	}
	return j
}

func (f *farRoom) presence(nick, show, typ string, codes ...string) *stanza.Stanza {
	x := xmlstream.NewNode(ns.MUCUser, "x")
	x.AddNew("item", "affiliation", "none", "role", "participant")
	for _, c := range codes {
		x.AddNew("status", "code", c)
	}
	st := stanza.NewPresence(typ, xmlstream.NewNode(ns.Client, "show").SetText(show), x)
	return st.With(f.occupant(nick), f.client)
}

func (f *farRoom) message(s saying) *stanza.Stanza {
	st := stanza.NewMessage(stanza.TypeGroupchat, xmlstream.NewNode(ns.Client, "body").SetText(s.body), stanzaid.Node(f.at, s.id))
	st.ID = "m" + s.id
	return st.With(f.occupant(s.nick), f.client)
}

// answer is what the room does with a stanza. mu is held.
func (f *farRoom) answer(st *stanza.Stanza) []*stanza.Stanza {
	out := []*stanza.Stanza{}
	switch {
	case st.Kind == stanza.Presence && st.Type == stanza.TypeUnavailable:
		if st.From == f.client {
			out = append(out, f.presence(f.nick, "", stanza.TypeUnavailable, "110"))
			f.client = jid.JID{}
		}
	case st.Kind == stanza.Presence && st.Type == "":
		f.joins++
		f.client, f.nick = st.From, st.To.Resource()
		for nick, show := range f.others {
			out = append(out, f.presence(nick, show, ""))
		}
		out = append(out, f.presence(f.nick, "", "", "100", "110"))
		subject := stanza.NewMessage(stanza.TypeGroupchat, xmlstream.NewNode(ns.Client, "subject").SetText("spells"))
		out = append(out, subject.With(f.occupant("Hecate"), f.client))
		out = append(out, f.chatter()...)
	case st.Kind == stanza.IQ:
		out = append(out, f.iq(st)...)
	case st.Kind == stanza.Message && st.From != f.client:
		out = append(out, st.ErrorReply(stanza.NewError(stanza.NotAcceptable, "")))
	case st.Kind == stanza.Message && st.Type == stanza.TypeGroupchat:
		out = append(out, f.say(f.nick, st.Body())...)
	}
	return out
}

func (f *farRoom) iq(st *stanza.Stanza) []*stanza.Stanza {
	q, _ := st.Query()
	switch {
	case q.Is(ns.Ping, "ping"):
		f.pings++
		if st.From != f.client {
			return []*stanza.Stanza{st.ErrorReply(stanza.NewError(stanza.NotAcceptable, ""))}
		}
		return []*stanza.Stanza{st.Result()}
	case q.Is(ns.DiscoInfo, "query"):
		n := xmlstream.NewNode(ns.DiscoInfo, "query")
		n.AddNew("feature", "var", ns.MAM)
		return []*stanza.Stanza{st.Result(n)}
	case q.Is(ns.MAM, "query"):
		return f.archive(st, q.Node())
	}
	return nil
}

// archive answers a query, and goes on talking before, within and behind the page.
func (f *farRoom) archive(st *stanza.Stanza, q *xmlstream.Node) []*stanza.Stanza {
	req, err := rsm.Parse(q)
	if err != nil {
		return []*stanza.Stanza{st.ErrorReply(stanza.NewError(stanza.BadRequest, ""))}
	}
	out := f.chatter()
	page, res, err := rsm.Slice(f.said, func(s saying) string { return s.id }, req, f.page)
	if err != nil {
		return append(out, st.ErrorReply(stanza.NewError(stanza.ItemNotFound, "")))
	}
	for _, s := range page {
		m := f.message(s)
		m.To = jid.JID{}
		r := xmlstream.NewNode(ns.MAM, "result", "queryid", q.Attr("queryid"), "id", s.id)
		r.Add(forward.Node(m, delay.Node(jid.JID{}, s.at, "")))
		out = append(out, (&stanza.Stanza{Kind: stanza.Message, Payload: xmlstream.NewFragment(r)}).With(f.at, st.From))
		if f.rnd.IntN(4) == 0 {
			out = append(out, f.chatter()...)
		}
	}
	fin := xmlstream.NewNode(ns.MAM, "fin")
	if res.Index+len(page) >= res.Count || len(page) == 0 {
		fin.SetAttr("complete", "true")
	}
	fin.Add(res.Node())
	return append(append(out, st.Result(fin)), f.chatter()...)
}

// chatter is what happens in the room by itself.
func (f *farRoom) chatter() []*stanza.Stanza {
	var out []*stanza.Stanza
	for range f.rnd.IntN(3) {
		out = append(out, f.event()...)
	}
	return out
}

// event is one thing that somebody else does.
func (f *farRoom) event() []*stanza.Stanza {
	nick := "w" + strconv.Itoa(f.rnd.IntN(6))
	_, here := f.others[nick]
	switch f.rnd.IntN(4) {
	case 0, 1:
		return f.say("Hecate", fmt.Sprintf("line %d", len(f.said)))
	case 2:
		if here {
			delete(f.others, nick)
			return f.tell(f.presence(nick, "", stanza.TypeUnavailable))
		}
	}
	f.shows++
	show := strconv.Itoa(f.shows)
	f.others[nick] = show
	return f.tell(f.presence(nick, show, ""))
}

func (f *farRoom) say(nick, body string) []*stanza.Stanza {
	s := saying{id: "s" + strconv.Itoa(len(f.said)), nick: nick, body: body, at: time.Now()}
	f.said = append(f.said, s)
	return f.tell(f.message(s))
}

// tell is a stanza for our client, if it is in the room.
func (f *farRoom) tell(st *stanza.Stanza) []*stanza.Stanza {
	if f.client.IsZero() {
		return nil
	}
	return []*stanza.Stanza{st}
}

// forget loses the client; with a word or without.
func (f *farRoom) forget(word bool) []*stanza.Stanza {
	var out []*stanza.Stanza
	if word {
		out = f.tell(f.presence(f.nick, "", stanza.TypeUnavailable, "110", "332"))
	}
	f.client = jid.JID{}
	return out
}
