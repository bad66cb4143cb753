package pubsub

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// wrap wraps what happened (XEP-0060 §7.1.2.1).
func wrap(n *xmlstream.Node) *xmlstream.Node {
	return xmlstream.NewNode(ns.PubSubEvent, "event").Add(n)
}

// notify has the subscribers told once the request is committed. what is node.ForItems or node.ForNodes (XEP-0248 §6.1).
func (o *op) notify(what string, ev *xmlstream.Node) { o.after = append(o.after, o.telling(what, ev)) }

func (o *op) telling(what string, ev *xmlstream.Node) func() {
	return func() {
		rec := *o.rec
		o.m.tellAll(context.Background(), o.svc, &rec, what, ev, o.above)
	}
}

// stanzaOf makes a notification.
func (m *Module) stanzaOf(svc *service, typ string, payload ...*xmlstream.Node) *stanza.Stanza {
	if typ == "normal" {
		typ = "" // RFC 6121 §5.2.2
	}
	st := stanza.NewMessage(typ, payload...)
	st.From = svc.jid
	if id, err := m.newID(); err == nil {
		st.ID = id
	}
	return st
}

// later keeps a notification that is no headline for people here who are away (XEP-0060 §12.7); nil: it is not kept.
func (m *Module) later(ctx context.Context, st *stanza.Stanza) func(jid.JID) {
	if st.Type == stanza.TypeHeadline {
		return nil
	}
	return func(to jid.JID) {
		if !to.IsBare() || !to.HasLocal() {
			return
		}
		// It has no body, and is not a matter of archives and of the publisher's other devices (XEP-0334 §4).
		var nodes []*xmlstream.Node
		nodes = append(nodes, st.Payload.Nodes()...)
		for _, hint := range []string{"store", "no-permanent-store", "no-copy"} {
			nodes = append(nodes, xmlstream.NewNode(ns.Hints, hint))
		}
		m.d.Router.Send(ctx, st.WithPayload(xmlstream.NewFragment(nodes...)).With(st.From, to))
	}
}

// message sends one notification to one address.
func (m *Module) message(ctx context.Context, svc *service, typ string, to jid.JID, payload ...*xmlstream.Node) {
	st := m.stanzaOf(svc, typ, payload...)
	m.d.Router.Fanout(ctx, st, []jid.JID{to}, m.later(ctx, st))
}

// telling is one notification on its way to many.
type telling struct {
	m    *Module
	svc  *service
	rec  *record
	ev   *xmlstream.Node
	seen map[jid.JID]bool // accounts: who has a subscription of her own and gets no automatic one
}

// tellAll tells the subscribers of a node, those of the collections above it, and of an account's node whoever has asked by her capabilities.
func (m *Module) tellAll(ctx context.Context, svc *service, rec *record, what string, ev *xmlstream.Node, above []ancestor) {
	if !rec.Config.Deliver {
		return
	}
	t := &telling{m: m, svc: svc, rec: rec, ev: ev, seen: map[jid.JID]bool{}}
	t.subscribers(ctx, rec, what, 0)
	if svc.account {
		t.send(ctx, m.automatic(ctx, svc, rec, t.seen))
		return
	}
	if above == nil {
		var err error
		if above, err = m.above(ctx, svc, rec.Name); err != nil {
			m.d.Log.Error("the collections of a node cannot be read", "service", svc.name, "node", rec.Name, "err", err)
		}
	}
	for _, a := range above {
		c, err := m.find(ctx, svc, a.name)
		if err != nil || c == nil || !c.Config.Deliver {
			continue
		}
		t.subscribers(ctx, c, what, a.depth)
	}
	t.tellRoot(ctx, what, above)
}

// subscribers goes through a list in slices (attacks row 29). An address with several subscriptions gets one notification that names them
// (XEP-0060 §7.1.2.4).
func (t *telling) subscribers(ctx context.Context, at *record, what string, depth int) {
	from := ""
	now := t.m.d.Clock.Now()
	var last string // an address whose subscriptions may go on in the next slice
	var ids []string
	var alone []jid.JID
	flush := func() {
		j, err := jid.Parse(last)
		if err != nil || len(ids) == 0 || !t.allowed(ctx, at, what, j) {
			return
		}
		t.seen[j.Bare()] = true
		if len(ids) == 1 {
			alone = append(alone, j)
			return
		}
		t.sendWith(ctx, at, depth, []jid.JID{j}, ids)
	}
	for {
		rows, err := t.m.t.sub.Range(ctx, t.svc.owner(at.ID), from, "", fanoutSlice, false)
		if err != nil {
			t.m.d.Log.Error("the subscriptions of a node cannot be read", "service", t.svc.name, "node", at.Name, "err", err)
			return
		}
		for _, r := range rows {
			s, err := decodeSub(r)
			if err != nil || !s.Wants(what, depth, now) || !t.attends(ctx, &s) {
				continue
			}
			if s.JID != last {
				flush()
				last, ids = s.JID, nil
			}
			ids = append(ids, s.ID)
		}
		if len(rows) < fanoutSlice {
			flush()
			t.sendWith(ctx, at, depth, alone, nil)
			return
		}
		t.sendWith(ctx, at, depth, alone, nil)
		alone, from = nil, rows[len(rows)-1].Key+"\x01"
	}
}

// allowed checks again what can change without the node being asked: the owner's roster, and the lists of a node in a collection. An outcast of the
// node gets nothing by way of a collection either (XEP-0060 §4.1).
func (t *telling) allowed(ctx context.Context, at *record, what string, who jid.JID) bool {
	if c := &at.Config; c.Access != node.Open && c.Access != node.Authorize {
		rel, err := t.m.relation(ctx, t.svc, at, who)
		if err != nil || c.MayRetrieve(rel) != nil {
			return false
		}
	}
	if at == t.rec {
		return true
	}
	if what == node.ForNodes { // that a node is there is told as discovery tells it
		ok, err := t.m.visible(ctx, t.svc, t.rec, who)
		if err != nil || !ok || t.rec.Config.Access == node.Whitelist {
			return err == nil && ok
		}
		a, err := t.m.affiliation(ctx, t.svc, t.rec, who)
		return err == nil && a != node.Outcast
	}
	rel, err := t.m.relation(ctx, t.svc, t.rec, who)
	return err == nil && t.rec.Config.MayRetrieve(rel) == nil
}

func (t *telling) attends(ctx context.Context, s *node.Subscription) bool {
	j, err := jid.Parse(s.JID)
	return err == nil && t.m.attends(ctx, t.svc, &t.rec.Config, s, j)
}

func (t *telling) send(ctx context.Context, to []jid.JID) {
	for len(to) > 0 {
		n := min(len(to), fanoutSlice)
		t.m.d.Router.Fanout(ctx, t.m.stanzaOf(t.svc, t.rec.Config.Message, wrap(t.ev)), to[:n], nil)
		to = to[n:]
	}
}

// sendWith adds the headers of XEP-0131: the collection by which it comes (XEP-0248 §5.3.1) and the ids of the subscriptions (XEP-0060 §7.1.2.4).
func (t *telling) sendWith(ctx context.Context, at *record, depth int, to []jid.JID, ids []string) {
	if len(to) == 0 {
		return
	}
	payload := []*xmlstream.Node{wrap(t.ev)}
	headers := xmlstream.NewNode(ns.Headers, "headers")
	if depth > 0 {
		headers.Add(xmlstream.NewNode(ns.Headers, "header", "name", "Collection").SetText(at.Name))
	}
	for _, id := range ids {
		headers.Add(xmlstream.NewNode(ns.Headers, "header", "name", "SubID").SetText(id))
	}
	if len(headers.Nodes) > 0 {
		payload = append(payload, headers)
	}
	st := t.m.stanzaOf(t.svc, t.rec.Config.Message, payload...)
	keep := t.m.later(ctx, st)
	if t.rec.Config.Present {
		keep = nil
	}
	t.m.d.Router.Fanout(ctx, st, to, keep)
}

// sendLastItem shows the newest item to one address (XEP-0060 §6.1.7, XEP-0163 §4.3.4), with the time at which it was published.
func (m *Module) sendLastItem(ctx context.Context, svc *service, r *record, to jid.JID) {
	if r.Last == "" || !r.Config.Deliver {
		return
	}
	it, err := m.item(ctx, svc, r, r.Last)
	if err != nil || it == nil || orderKey(it.Seq) < m.expired(&r.Config) {
		return
	}
	n, err := it.node(ns.PubSubEvent, r.Config.Payloads, r.Config.ItemReply == node.ReplyPublisher)
	if err != nil {
		m.d.Log.Error("an item cannot be read", "service", svc.name, "node", r.Name, "err", err)
		return
	}
	ev := wrap(xmlstream.NewNode(ns.PubSubEvent, "items", "node", r.Name).Add(n))
	m.message(ctx, svc, r.Config.Message, to, ev, delay.Node(jid.JID{}, it.Seq.Time(), ""))
}
