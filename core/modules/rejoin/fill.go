package rejoin

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// fill fetches what was missed from the room's archive (XEP-0313).
func (s *seat) fill() {
	s.state = filling
	if s.r.given == nil {
		s.r.given = map[string]bool{s.r.after: true}
	}
	s.page(rsm.Request{Max: s.size(), After: s.r.after, Index: -1})
}

// size is how many messages a page has.
func (s *seat) size() int { return min(pageSize, s.p.a.m.o.Messages) }

// page asks for one page.
func (s *seat) page(set rsm.Request) {
	r := s.r
	r.pages++
	r.got, r.news, r.missed = 0, 0, false
	r.query = s.token + strconv.Itoa(r.pages)
	f := form.New(form.TypeSubmit, ns.MAM)
	oldest := s.p.a.m.d.Clock.Now().Add(-s.p.a.m.o.Age)
	switch {
	case r.byTime && r.begin.After(oldest):
		f.Text("start", delay.Format(r.begin))
	case r.begin.Before(oldest):
		f.Text("start", delay.Format(oldest))
	}
	q := xmlstream.NewNode(ns.MAM, "query", "queryid", r.query)
	q.Add(f.Node(), set.Node())
	s.request(stanza.NewIQ(stanza.TypeSet, "", q), s.p.room, s.paged)
}

// paged is the end of a page: XEP-0313 §4.3.
func (s *seat) paged(answer *stanza.Stanza) {
	r, size := s.r, s.size()
	if e := answer.ErrorFrom(); e != nil {
		if e.Condition == stanza.ItemNotFound && !r.byTime && r.count == 0 { // what was seen last has expired
			r.byTime, r.after = true, ""
			s.page(rsm.Request{Max: size, Index: -1})
			return
		}
		if s.p.a.m.d.Log.Info("a room's archive could not be read", "room", s.p.room.String(), "err", e); r.missed && !r.again {
			r.again = true
			s.page(rsm.Request{Max: size, After: r.after, Index: -1})
			return
		}
		s.settle()
		return
	}
	left := s.p.a.m.o.Messages - r.count
	more := r.news > 0 && left > 0 && !isComplete(answer)
	want := size // what was dropped here may be read beyond the bound
	if left > 0 {
		want = min(size, left)
	}
	switch {
	case r.pages > s.p.a.m.o.Messages/size+4: // a room that goes on for ever
		s.settle()
	case r.jumped && r.missed, !r.jumped && left > size && (more || r.missed):
		s.page(rsm.Request{Max: want, After: r.after, Index: -1})
	case !r.jumped && (more || r.missed): // the rest is too much: the newest of it, and the client asks for the others itself
		r.jumped = true
		s.page(rsm.Request{Max: want, Backward: true, Index: -1})
	default:
		s.settle()
	}
}

func isComplete(answer *stanza.Stanza) bool {
	fin, ok := answer.Child(ns.MAM, "fin")
	if !ok {
		return true // it does not say what follows
	}
	v := fin.Attr("complete")
	return v == "true" || v == "1"
}

// stray keeps results of our queries that come too late from the client; those of its own pass.
func (s *seat) stray(in *incoming) bool {
	res, _ := in.st.Child(ns.MAM, "result")
	return !strings.HasPrefix(res.Attr("queryid"), s.token)
}

// result is one message of the archive (XEP-0313 §4.2). The room is foreign: what it may not say is not passed on.
func (s *seat) result(in *incoming) bool {
	if s.stray(in) {
		return true
	}
	r, m := s.r, s.p.a.m
	res, _ := in.st.Child(ns.MAM, "result")
	id := res.Attr("id")
	if in.st.From != s.p.room || res.Attr("queryid") != r.query || r.got >= s.size() || r.count >= m.o.Messages+pageSize || id == "" || len(id) > maxID {
		return false
	}
	if r.got++; r.given[id] {
		return false
	}
	id = strings.Clone(id)
	r.given[id] = true
	r.count++
	r.news++
	r.after = id
	st := s.archivedMessage(res, id)
	if st == nil || r.byTime && s.inRecent(st) {
		return false
	}
	s.note(st)
	m.stats.filled.Add(1)
	return s.show(st)
}

func (s *seat) inRecent(st *stanza.Stanza) bool {
	h := messageHash(st)
	for _, k := range s.recent {
		if k == h {
			return true
		}
	}
	return false
}

// archivedMessage returns a message of the archive as the room would have said it; nil if it is none that everybody in the room has got.
func (s *seat) archivedMessage(res xmlstream.Child, id string) *stanza.Stanza {
	msg, stamp, err := forward.Parse(res.Node().Child(ns.Forward, "forwarded"))
	m := s.p.a.m
	switch {
	case err != nil, msg.Kind != stanza.Message, msg.Type != stanza.TypeGroupchat, msg.From.Bare() != s.p.room:
		return nil
	case stamp.At.IsZero(), m.d.Clock.Now().Sub(stamp.At) > m.o.Age:
		return nil
	}
	payload := stanzaid.Strip(msg.Payload, func(by jid.JID) bool { return by == s.p.room })
	payload = payload.Without(func(c xmlstream.Child) bool {
		return c.Is(ns.Delay, "delay") || c.Is(ns.MAM, "result") || c.Is(ns.MAM, "fin") ||
			c.Is(ns.MUCUser, "x") // it would show who is behind a nick (XEP-0313 §5.1.3)
	})
	msg = msg.With(msg.From, s.full)
	msg.Payload = payload.With(stanzaid.Node(s.p.room, id), delay.Node(s.p.room, stamp.At, ""))
	return msg
}
