package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The fields of an authorization form (XEP-0060 §8.6).
const (
	authNode  = "pubsub#node"
	authSubID = "pubsub#subid"
	authJID   = "pubsub#subscriber_jid"
	authAllow = "pubsub#allow"
)

// askOwners sends the form to the owners of a node, or to one address (XEP-0060 §8.6).
func (m *Module) askOwners(ctx context.Context, svc *service, r *record, s *node.Subscription, only jid.JID) {
	f := form.New(form.TypeForm, ns.PubSubSubscribeAuthorization)
	f.Title = "Subscription to " + r.Name
	f.Instructions = []string{"Somebody wants to subscribe. Say whether she may."}
	f.Add(form.Field{Var: authSubID, Type: form.Hidden, Values: []string{s.ID}},
		form.Field{Var: authNode, Type: form.TextSingle, Label: "Node", Values: []string{r.Name}},
		form.Field{Var: authJID, Type: form.JIDSingle, Label: "Subscriber", Values: []string{s.JID}},
		form.Field{Var: authAllow, Type: form.Boolean, Label: "May she?", Values: []string{form.FormatBool(false)}})
	to := []jid.JID{only}
	if only.IsZero() {
		to = m.owners(ctx, svc, r)
	}
	for _, owner := range to {
		m.message(ctx, svc, "normal", owner, f.Node())
	}
}

// decision reads a filled-in form; nil: the message has none.
func decision(st *stanza.Stanza) *form.Form {
	if st.Kind != stanza.Message || st.Type == stanza.TypeError {
		return nil
	}
	c, ok := st.Child(ns.Form, "x")
	if !ok {
		return nil
	}
	f, err := form.Parse(c.Node())
	if err != nil || f.FormType() != ns.PubSubSubscribeAuthorization || f.Type == form.TypeForm {
		return nil
	}
	return f
}

// decide carries an owner's decision out (XEP-0060 §8.6). It takes over u.
func (m *Module) decide(ctx context.Context, svc *service, u *journal.Unit, st *stanza.Stanza, f *form.Form) {
	o := &op{m: m, ctx: ctx, svc: svc, from: st.From.Clone(), name: f.Value(authNode), u: u, verb: xmlstream.NewNode(ns.PubSubOwner, "decision")}
	answer := func(_ *xmlstream.Node, err error) {
		if err == nil {
			return
		}
		m.tell(err)
		if reply := st.ErrorReply(err); reply != nil {
			m.d.Router.Send(context.Background(), reply)
		}
	}
	o.start(verb{run: func(o *op) (*xmlstream.Node, error) { return nil, o.decided(f) }}, answer)
}

func (o *op) decided(f *form.Form) error {
	if f.Type == form.TypeCancel { // it stays pending
		return nil
	}
	if o.name == "" {
		return node.NodeRequired()
	}
	if err := o.own(); err != nil {
		return err
	}
	allow, err := form.ParseBool(f.Value(authAllow))
	if err != nil {
		return stanza.NewError(stanza.BadRequest, "The form does not say whether she may.")
	}
	who, err := jid.Parse(f.Value(authJID))
	if err != nil {
		return stanza.NewError(stanza.JIDMalformed, "The subscriber's address is not valid.")
	}
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(s node.Subscription) bool { return s.State == node.Pending && s.ID == f.Value(authSubID) })
	if i < 0 {
		return nil // somebody else has decided
	}
	s := &list[i]
	if s.State = node.Subscribed; !allow {
		s.State = node.NoState
		o.dropSub(s)
	} else if err := o.putSub(s, false); err != nil {
		return err
	}
	o.tellSubscriber(s)
	if rec := o.rec; allow && rec.Config.SendLast != node.SendNever {
		o.after = append(o.after, func() { o.m.sendLastItem(context.Background(), o.svc, rec, who) })
	}
	return o.save()
}

// accountDecision takes an account's decisions on its own nodes, which come as messages to itself.
func (m *Module) accountDecision(ctx context.Context, am *event.AccountMessage) error {
	st := am.Stanza
	if st.From.Bare() != am.Account || !st.To.IsBare() {
		return nil
	}
	f := decision(st)
	if f == nil {
		return nil
	}
	m.decide(ctx, accountService(am.Account), journal.NewUnit(journal.AccountLane(am.Account.String())), st, f)
	return event.Stop
}

// host is one domain of nodes.
type host struct {
	m   *Module
	svc *service
}

// HandleStanza takes what is no request of the table: decisions on subscriptions.
func (h *host) HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if f := decision(st); f != nil && st.To == h.svc.jid {
		u.Lane = journal.AccountLane(st.From.Bare().String())
		h.m.decide(ctx, h.svc, u, st, f)
		return
	}
	switch st.Kind {
	case stanza.Presence:
		h.presence(ctx, st)
	case stanza.Message:
		h.bounced(ctx, st)
	}
	if reply := st.ErrorReply(module.Unsupported()); reply != nil && st.Kind != stanza.Presence {
		h.m.d.Router.Route(ctx, u, reply)
		return
	}
	h.m.d.Journal.Submit(u)
}

// command is XEP-0060 §8.7: the pending subscriptions of a node, by an ad-hoc command (XEP-0050).
func (m *Module) command(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	svc := m.at(req.Target())
	q := req.Query.Node()
	if svc == nil || q.Attr("node") != ns.PubSubGetPending {
		return nil, node.NotFound("There is no such command.")
	}
	out := xmlstream.NewNode(ns.Commands, "command", "node", ns.PubSubGetPending, "sessionid", "pending")
	if q.Attr("action") == "cancel" {
		return out.SetAttr("status", "canceled"), nil
	}
	f, err := submitted(q, ns.PubSubSubscribeAuthorization)
	if err != nil {
		return nil, err
	}
	if f == nil {
		choice, err := m.pendingForm(ctx, svc, req.IQ.From)
		if err != nil {
			return nil, err
		}
		return out.SetAttr("status", "executing").Add(xmlstream.NewNode(ns.Commands, "actions", "execute", "next").
			Add(xmlstream.NewNode(ns.Commands, "next")), choice.Node()), nil
	}
	if err := m.askAgain(ctx, svc, f.Value(authNode), req); err != nil {
		return nil, err
	}
	return out.SetAttr("status", "completed"), nil
}

// pendingForm lists the nodes that the asker owns (§8.7).
func (m *Module) pendingForm(ctx context.Context, svc *service, who jid.JID) (*form.Form, error) {
	rows, err := m.t.of.Range(ctx, svc.person(who), ofAffil(""), "a"+sepAfter, m.o.Nodes, false)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read a person's nodes: %w", err)
	}
	fd := form.Field{Var: authNode, Type: form.ListSingle, Label: "Node"}
	for _, r := range rows {
		if _, what := parseOf(r.Value); node.Affiliation(what) == node.Owner {
			fd.Options = append(fd.Options, form.Option{Value: r.Key[len(ofAffil("")):]})
		}
	}
	return form.New(form.TypeForm, ns.PubSubSubscribeAuthorization).Add(fd), nil
}

// askAgain shows the requests of a node that nobody has decided on, as far as a page of its subscriptions shows them.
func (m *Module) askAgain(ctx context.Context, svc *service, name string, req *module.Request) error {
	r, err := m.find(ctx, svc, name)
	if err != nil {
		return err
	}
	if r == nil {
		return node.NotFound("There is no such node.")
	}
	if a, err := m.affiliation(ctx, svc, r, req.IQ.From); err != nil || a != node.Owner {
		return errors.Join(node.Forbidden("Only an owner of the node may do this."), err)
	}
	from := ""
	for shown := 0; shown < maxPage; {
		rows, err := m.t.sub.Range(ctx, svc.owner(r.ID), from, "", fanoutSlice, false)
		if err != nil {
			return fmt.Errorf("pubsub: read subscriptions: %w", err)
		}
		for _, row := range rows {
			if s, err := decodeSub(row); err == nil && s.State == node.Pending && shown < maxPage {
				shown++
				req.OnCommit(func() { m.askOwners(context.Background(), svc, r, &s, req.IQ.From) })
			}
		}
		if len(rows) < fanoutSlice {
			return nil
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
	return nil
}
