package mam

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// query answers a question with the messages, each in a stanza of its own, and at the end the description of the page (XEP-0313 §3.2).
func (m *Module) query(ctx context.Context, req *module.Request, src *source) (*xmlstream.Node, error) {
	q, err := m.read(ctx, src, req.Query.Node())
	if err != nil {
		return nil, err
	}
	if q.words != "" {
		return nil, m.find(req, src, q)
	}
	a, err := m.answer(ctx, src, q)
	if err != nil {
		return nil, err
	}
	if req.Session == nil { // results and end take the same way, so that they keep their order
		req.Defer()
		m.d.Journal.Submit(req.Unit)
		m.deliver(req, src, q, a)
		return nil, nil
	}
	m.results(src, q, a, req.IQ.From, req.Session.Send)
	return a.fin(src, q), nil
}

// deliver sends a whole answer by itself.
func (m *Module) deliver(req *module.Request, src *source, q *question, a *answer) {
	send := m.sender(req)
	m.results(src, q, a, req.IQ.From, send)
	send(req.IQ.Result(a.fin(src, q)))
}

// sender is the way back to who asks.
func (m *Module) sender(req *module.Request) func(*stanza.Stanza) {
	if req.Session != nil {
		return req.Session.Send
	}
	return func(st *stanza.Stanza) {
		if st.From.IsZero() {
			st.From = req.Target()
		}
		m.d.Router.Send(context.Background(), st)
	}
}

// results sends the messages in their order, or the other way round (§3.3.4).
func (m *Module) results(src *source, q *question, a *answer, to jid.JID, send func(*stanza.Stanza)) {
	for i := range a.hits {
		h := &a.hits[i]
		if q.flip {
			h = &a.hits[len(a.hits)-1-i]
		}
		st := stanza.NewMessage("", h.node(src, q.id))
		st.From, st.To = src.owner, to // XEP-0313 §7.2: clients look whether it comes from whom they asked
		send(st)
	}
}

// node is one <result/> (§3.2).
func (h *hit) node(src *source, queryID string) *xmlstream.Node {
	n := xmlstream.NewNode(ns.MAM, "result", "id", src.encode(h.ID))
	if queryID != "" {
		n.SetAttr("queryid", queryID)
	}
	st := h.st
	if src.isRoom() {
		st = st.With(st.From, jid.JID{}) // §5.1.3: without "to"
		if src.shows(h.Stored) {
			st = st.WithPayload(st.Payload.With(h.author()...))
		}
	}
	return n.Add(forward.Node(st, delay.Node(jid.JID{}, h.ID.Time(), "")))
}

// author says who is behind the nick (§5.1.3), to those who may know.
func (h *hit) author() []*xmlstream.Node {
	if h.Peer == "" {
		return nil
	}
	affiliation, role, resource := event.ReadArchiveNote(h.Note)
	who := h.Peer
	if resource != "" {
		who += "/" + resource
	}
	item := xmlstream.NewNode(ns.MUCUser, "item", "jid", who)
	if affiliation != "" {
		item.SetAttr("affiliation", affiliation)
	}
	if role != "" {
		item.SetAttr("role", role)
	}
	return []*xmlstream.Node{xmlstream.NewNode(ns.MUCUser, "x").Add(item)}
}

// fin ends the results (§3.3.2).
func (a *answer) fin(src *source, q *question) *xmlstream.Node {
	n := xmlstream.NewNode(ns.MAM, "fin")
	if !a.more {
		n.SetAttr("complete", "true")
	}
	if a.unstable {
		n.SetAttr("stable", "false")
	}
	return n.Add(a.result(src, q).Node())
}
