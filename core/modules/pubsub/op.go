package pubsub

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// op is one request, or one call by another module, on its way.
type op struct {
	m     *Module
	ctx   context.Context
	svc   *service
	from  jid.JID
	name  string          // of the node
	query *xmlstream.Node // <pubsub/>
	verb  *xmlstream.Node
	u     *journal.Unit
	rec   *record
	rel   node.Relation
	after []func() // notifications, once it is committed

	linked map[string]int // edges that the request adds to each collection
	above  []ancestor     // of a node that is deleted: read before its edges go
}

// verb is one row of the table of requests.
type verb struct {
	run func(*op) (*xmlstream.Node, error)
	// optional: a request without a node is about all of them and holds nothing.
	optional bool
	// root: without a node it is about the root of a host (XEP-0248 §8.1).
	root bool
	// graph tells whether a request touches the edges of collections.
	graph func(*op) bool
}

type verbKey struct{ space, typ, local string }

func always(*op) bool { return true }

// verbs is the table.
func verbs() map[verbKey]verb {
	const get, set = stanza.TypeGet, stanza.TypeSet
	return map[verbKey]verb{
		{ns.PubSub, get, "subscriptions"}:      {run: (*op).mySubscriptions, optional: true},
		{ns.PubSub, get, "affiliations"}:       {run: (*op).myAffiliations, optional: true},
		{ns.PubSub, get, "options"}:            {run: (*op).getOptions, root: true},
		{ns.PubSub, get, "default"}:            {run: (*op).defaultOptions, optional: true},
		{ns.PubSub, get, "items"}:              {run: (*op).items},
		{ns.PubSub, set, "create"}:             {run: (*op).create, graph: (*op).namesGraph},
		{ns.PubSub, set, "subscribe"}:          {run: (*op).subscribe, root: true},
		{ns.PubSub, set, "unsubscribe"}:        {run: (*op).unsubscribe, root: true},
		{ns.PubSub, set, "options"}:            {run: (*op).setOptions, root: true},
		{ns.PubSub, set, "publish"}:            {run: (*op).publish},
		{ns.PubSub, set, "retract"}:            {run: (*op).retract},
		{ns.PubSubOwner, get, "configure"}:     {run: (*op).getConfig},
		{ns.PubSubOwner, get, "default"}:       {run: (*op).defaultConfig, optional: true},
		{ns.PubSubOwner, get, "subscriptions"}: {run: (*op).listSubscriptions},
		{ns.PubSubOwner, get, "affiliations"}:  {run: (*op).listAffiliations},
		{ns.PubSubOwner, set, "configure"}:     {run: (*op).setConfig, graph: (*op).namesGraph},
		{ns.PubSubOwner, set, "delete"}:        {run: (*op).deleteNode, graph: always},
		{ns.PubSubOwner, set, "purge"}:         {run: (*op).purge},
		{ns.PubSubOwner, set, "subscriptions"}: {run: (*op).setSubscriptions},
		{ns.PubSubOwner, set, "affiliations"}:  {run: (*op).setAffiliations},
		{ns.PubSubOwner, set, "collection"}:    {run: (*op).associate, graph: always},
	}
}

// find returns the verb of a request: the first child that is one, since others stand beside it (<options/>, <configure/>).
func (m *Module) verbOf(q *xmlstream.Node, typ string) (*xmlstream.Node, verb) {
	var v verb
	var at *xmlstream.Node
	for c := range q.Elements() {
		found, ok := m.verbs[verbKey{c.Name.Space, typ, c.Name.Local}]
		if !ok || c.Name.Space != q.Name.Space {
			continue
		}
		if at == nil || at.Name.Local == "options" || at.Name.Local == "configure" {
			at, v = c, found
		}
	}
	return at, v
}

// handle takes a request of either namespace.
func (m *Module) handle(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	svc := m.at(req.Target())
	if svc == nil {
		return nil, module.Unsupported()
	}
	q := req.Query.Node()
	at, v := m.verbOf(q, req.IQ.Type)
	if at == nil {
		return nil, unknownVerb(q)
	}
	o := &op{m: m, ctx: ctx, svc: svc, from: req.IQ.From.Clone(), name: at.Attr("node"), query: q, verb: at, u: req.Unit}
	if err := o.named(v); err != nil {
		return nil, err
	}
	req.Defer()
	reply := func(st *stanza.Stanza) {
		if req.Session != nil {
			req.Session.Send(st)
			return
		}
		m.d.Router.Send(context.Background(), st)
	}
	o.start(v, func(n *xmlstream.Node, err error) {
		switch {
		case err != nil:
			m.tell(err)
			if st := req.IQ.ErrorReply(err); st != nil {
				reply(withRest(st, o, err))
			}
		case n != nil:
			reply(req.IQ.Result(n))
		default:
			reply(req.IQ.Result())
		}
	})
	return nil, nil
}

// tell logs what is the server's fault.
func (m *Module) tell(err error) {
	if se := stanza.AsError(err); se.Cause != nil {
		m.d.Log.Error("a publish-subscribe request failed", "err", err)
	}
}

func unknownVerb(q *xmlstream.Node) error {
	for c := range q.Elements() {
		if c.Name.Space == q.Name.Space {
			return node.Unsupported(c.Name.Local, "This is not supported here.")
		}
	}
	return stanza.NewError(stanza.BadRequest, "The request says nothing.")
}

// named sees to it that a request has a node where it needs one; creating one may leave the name to the service (XEP-0060 §8.1.2).
func (o *op) named(v verb) error {
	switch {
	case o.name == "" && o.verb.Name.Local == "create":
		id, err := o.m.newID()
		o.name = id
		return err
	case o.name == "" && (v.optional || v.root && !o.svc.account):
		return nil
	case o.name == "" && o.verb.Name.Local == "delete": // XEP-0248 §7.4.3.1: the root
		return stanza.NewError(stanza.NotAllowed, "The root of all nodes cannot be deleted.")
	case o.name == "":
		return node.NodeRequired()
	case !xmlName(o.name):
		return stanza.NewError(stanza.NotAcceptable, "A node cannot have this name.")
	}
	return nil
}

// start runs the verb once its keys are held. done is told the outcome once it is durable; it runs in the node's queue or, if nothing has to wait,
// in the caller's goroutine.
func (o *op) start(v verb, done func(*xmlstream.Node, error)) {
	var keys []string
	if o.name != "" || v.root {
		keys = append(keys, o.svc.key(o.name))
	}
	if v.graph != nil && v.graph(o) {
		keys = append(keys, o.svc.graph())
	}
	q := o.m.queue(o.svc.key(o.name))
	ok := o.m.locks.run(keys, q, func(release func()) { o.perform(v, q, release, done) })
	if !ok {
		o.finish(q, nil, stanza.NewError(stanza.ResourceConstraint, "Too many requests wait for this node; try again later."), func() {}, done)
	}
}

func (o *op) perform(v verb, q journal.Poster, release func(), done func(*xmlstream.Node, error)) {
	mark := o.u.Mark()
	n, err := o.call(v)
	if err != nil && !isPartly(err) {
		o.u.Back(mark)
		o.after = nil
	}
	o.finish(q, n, err, release, done)
}

// finish submits the unit. The result goes before what it brings about, and the keys are given back behind both.
func (o *op) finish(q journal.Poster, n *xmlstream.Node, err error, release func(), done func(*xmlstream.Node, error)) {
	o.u.After(q, func(failed error) {
		defer release()
		if failed != nil && (err == nil || isPartly(err)) {
			err = &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "The server cannot store this now; try again later.", Cause: failed}
		}
		done(n, err)
		if err != nil && !isPartly(err) {
			return
		}
		for _, fn := range o.after {
			fn()
		}
	})
	o.m.d.Journal.Submit(o.u)
}

// call keeps the keys from being held for ever by a panic.
func (o *op) call(v verb) (n *xmlstream.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			o.m.d.Log.Error("a publish-subscribe request panicked", "panic", p, "stack", string(debug.Stack()))
			n, err = nil, fmt.Errorf("pubsub: panic: %v", p)
		}
	}()
	// What is routed from here on is the service's, not the session's whose request it is.
	o.ctx = event.WithSession(context.WithoutCancel(o.ctx), nil)
	return v.run(o)
}

// load reads the node and what the sender is to it.
func (o *op) load() error {
	r, err := o.m.find(o.ctx, o.svc, o.name)
	if err != nil {
		return err
	}
	if r == nil {
		return o.missing()
	}
	o.rec = r
	o.rel, err = o.m.relation(o.ctx, o.svc, r, o.from)
	return err
}

// missing is the answer where a node does not exist. Of an account a stranger does not even learn that (RFC 6120 §13.11).
func (o *op) missing() error {
	if o.svc.account && o.from.Bare() != o.svc.jid {
		rel := node.Relation{}
		if err := o.m.rosterRelation(o.ctx, o.svc.jid, o.from, &rel); err != nil {
			return err
		}
		if !rel.Presence {
			return module.Unsupported()
		}
	}
	return node.NotFound("There is no such node.")
}

// own is load for what only owners may (XEP-0060 §8).
func (o *op) own() error {
	if err := o.load(); err != nil {
		return err
	}
	if o.rel.Affiliation != node.Owner {
		return node.Forbidden("Only an owner of the node may do this.")
	}
	return nil
}

// save adds the node's row.
func (o *op) save() error {
	row, err := o.svc.put(o.rec)
	if err == nil {
		o.u.Add(row)
	}
	return err
}

// reply returns the wrapper of a result.
func (o *op) reply(children ...*xmlstream.Node) *xmlstream.Node {
	return xmlstream.NewNode(o.query.Name.Space, "pubsub").Add(children...)
}
