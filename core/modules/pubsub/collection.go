package pubsub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The edges of the graph of collections (XEP-0248), by name and from both sides. Whoever changes them holds the service's graph key.
const (
	linkParent = "p" + sep
	linkChild  = "c" + sep
)

// maxChildren is what children_max=max stands for.
const maxChildren = 1000

func (s *service) links(name string) string { return s.name + "/" + name }

// namesGraph tells whether a form says something about edges, or of what they depend on.
func (o *op) namesGraph() bool {
	if o.svc.account {
		return false
	}
	for _, at := range []*xmlstream.Node{o.verb, o.query.Child(ns.PubSub, "configure")} {
		f, err := submitted(at, ns.PubSubNodeConfig)
		if err != nil || f == nil {
			continue
		}
		for _, fd := range f.Fields {
			if fd.Var == node.FieldCollection || fd.Var == node.FieldChildren || fd.Var == "pubsub#node_type" {
				return true
			}
		}
	}
	return false
}

// edges reads one side of a node's edges.
func (m *Module) edges(ctx context.Context, svc *service, name, side string) ([]string, error) {
	rows, err := m.t.link.Range(ctx, svc.links(name), side, strings.TrimSuffix(side, sep)+sepAfter, maxChildren, false)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read collection: %w", err)
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.TrimPrefix(r.Key, side)
	}
	return out, nil
}

// addEdges puts the edges into a configuration form (XEP-0248 §7.2.1).
func (o *op) addEdges(f *form.Form) error {
	if o.svc.account {
		return nil
	}
	parents, err := o.m.edges(o.ctx, o.svc, o.name, linkParent)
	if err != nil {
		return err
	}
	f.Add(form.Field{Var: node.FieldCollection, Type: form.TextMulti, Label: "The collections it is in", Values: parents})
	if o.rec.Config.Kind != node.Collection {
		return nil
	}
	children, err := o.m.edges(o.ctx, o.svc, o.name, linkChild)
	f.Add(form.Field{Var: node.FieldChildren, Type: form.TextMulti, Label: "The nodes in it", Values: children})
	return err
}

// setEdges changes the edges as a form says (XEP-0248 §7.2).
func (o *op) setEdges(f *form.Form) error {
	if f == nil || o.svc.account {
		return nil
	}
	if fd, ok := f.Field(node.FieldCollection); ok {
		if err := o.setSide(linkParent, fd.Values, func(parent string) error { return o.link(parent, o.name) }, o.parentGone); err != nil {
			return err
		}
	}
	fd, ok := f.Field(node.FieldChildren)
	if !ok {
		return nil
	}
	if len(named(fd.Values)) > 0 && o.rec.Config.Kind != node.Collection { // §7.2.3.1
		return node.Refuse(stanza.NotAllowed, "", "invalid-options", "A leaf has no children.")
	}
	return o.setSide(linkChild, fd.Values, func(child string) error { return o.link(o.name, child) },
		func(child string) { o.unlink(o.name, child, &o.rec.Config) })
}

func named(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
}

func (o *op) setSide(side string, values []string, add func(string) error, remove func(string)) error {
	want := named(values)
	if len(want) > maxChildren {
		return node.Refuse(stanza.NotAllowed, "", "max-nodes-exceeded", "These are too many nodes.")
	}
	have, err := o.m.edges(o.ctx, o.svc, o.name, side)
	if err != nil {
		return err
	}
	for _, n := range have {
		if !slices.Contains(want, n) {
			remove(n)
		}
	}
	for i, n := range want {
		if slices.Contains(have, n) || slices.Contains(want[:i], n) {
			continue
		}
		if err := add(n); err != nil {
			return err
		}
	}
	return nil
}

// side returns the node of a name, which may be the one at hand with what the request has changed of it.
func (o *op) side(name string) (*record, error) {
	if name == o.name && o.rec != nil {
		return o.rec, nil
	}
	r, err := o.m.find(o.ctx, o.svc, name)
	if err == nil && r == nil {
		err = node.NotFound("There is no node " + name + ".")
	}
	return r, err
}

func (o *op) affiliationTo(r *record) (node.Affiliation, error) {
	if r == o.rec {
		return o.rel.Affiliation, nil
	}
	return o.m.affiliation(o.ctx, o.svc, r, o.from)
}

// link adds an edge if it may be (XEP-0248 §7.2.3, §7.5.3). Who puts somebody's node into a collection must own it, since its items are shown there.
func (o *op) link(parent, child string) error {
	p, err := o.side(parent)
	if err != nil {
		return err
	}
	c, err := o.side(child)
	if err != nil {
		return err
	}
	if p.Config.Kind != node.Collection {
		return node.Refuse(stanza.NotAllowed, "", "invalid-options", "Only a collection has children.")
	}
	ap, err := o.affiliationTo(p)
	if err != nil {
		return err
	}
	ac, err := o.affiliationTo(c)
	if err != nil {
		return err
	}
	if ac != node.Owner || !p.Config.MayAssociate(ap, o.from.Bare().String()) {
		return node.Forbidden("You may not put this node into that collection.")
	}
	if err := o.roomFor(p); err != nil {
		return err
	}
	if err := o.acyclic(parent, child); err != nil {
		return err
	}
	o.u.Add(storage.PutRow{Table: tableLink, Owner: o.svc.links(parent), Key: linkChild + child},
		storage.PutRow{Table: tableLink, Owner: o.svc.links(child), Key: linkParent + parent})
	o.edgeChanged(p, "associate", child, c)
	return nil
}

func (o *op) roomFor(p *record) error {
	limit := p.Config.ChildrenMax
	if limit == node.Max || limit > maxChildren {
		limit = maxChildren
	}
	have, err := o.m.edges(o.ctx, o.svc, p.Name, linkChild)
	if err != nil {
		return err
	}
	if o.linked[p.Name]+len(have) >= limit { // §7.2.3.3
		return node.Refuse(stanza.NotAllowed, "", "max-nodes-exceeded", "The collection has as many nodes as it may.")
	}
	if o.linked == nil {
		o.linked = map[string]int{}
	}
	o.linked[p.Name]++
	return nil
}

// acyclic: XEP-0248 §7.2.3.5. What is above is bounded in depth and number, so that a notification is too.
func (o *op) acyclic(parent, child string) error {
	above, err := o.m.above(o.ctx, o.svc, parent)
	if err != nil {
		return err
	}
	if parent == child || slices.ContainsFunc(above, func(a ancestor) bool { return a.name == child }) {
		return node.Refuse(stanza.NotAllowed, "", "invalid-options", "A collection cannot be inside itself.")
	}
	if len(above) >= maxAbove || len(above) > 0 && above[len(above)-1].depth >= maxDepth {
		return node.Refuse(stanza.NotAllowed, "", "max-nodes-exceeded", "Collections cannot be as deep as that.")
	}
	return nil
}

func (o *op) parentGone(parent string) {
	var c *node.Config
	if r, err := o.m.find(o.ctx, o.svc, parent); err == nil && r != nil {
		c = &r.Config
	}
	o.unlink(parent, o.name, c)
}

// unlink removes an edge; c is the collection's configuration, nil if nobody is to be told.
func (o *op) unlink(parent, child string, c *node.Config) {
	o.u.Add(storage.DeleteRow{Table: tableLink, Owner: o.svc.links(parent), Key: linkChild + child},
		storage.DeleteRow{Table: tableLink, Owner: o.svc.links(child), Key: linkParent + parent})
	if c != nil {
		o.edgeChanged(&record{Name: parent, Config: *c}, "dissociate", child, nil)
	}
}

// edgeChanged tells the subscribers of a collection (XEP-0248 §5.3.2).
func (o *op) edgeChanged(p *record, what, child string, meta *record) {
	if !p.Config.NotifyConfig {
		return
	}
	e := xmlstream.NewNode(ns.PubSubEvent, what, "node", child)
	if meta != nil {
		e.Add(meta.Config.Metadata().Node())
	}
	ev := xmlstream.NewNode(ns.PubSubEvent, "collection", "node", p.Name).Add(e)
	name := p.Name
	o.after = append(o.after, func() {
		ctx := context.Background()
		if r, err := o.m.find(ctx, o.svc, name); err == nil && r != nil {
			o.m.tellAll(ctx, o.svc, r, node.ForNodes, ev, nil)
		}
	})
}

// cutEdges removes a deleted node from the graph; its children stay (XEP-0248 §8.2).
func (o *op) cutEdges() error {
	if o.svc.account {
		return nil
	}
	var err error
	if o.above, err = o.m.above(o.ctx, o.svc, o.name); err != nil {
		return err
	}
	parents, err := o.m.edges(o.ctx, o.svc, o.name, linkParent)
	if err != nil {
		return err
	}
	for _, p := range parents {
		o.parentGone(p)
	}
	children, err := o.m.edges(o.ctx, o.svc, o.name, linkChild)
	for _, c := range children {
		o.unlink(o.name, c, nil)
	}
	return err
}

// associate: XEP-0248 §7.5, §7.6.
func (o *op) associate() (*xmlstream.Node, error) {
	if o.svc.account {
		return nil, node.Unsupported("collections", "An account has no collections.")
	}
	if err := o.load(); err != nil {
		return nil, err
	}
	n := 0
	for c := range o.verb.Elements() {
		child := c.Attr("node")
		n++
		switch {
		case child == "":
			return nil, node.NodeRequired()
		case c.Name == xmlstream.Name{Space: ns.PubSubOwner, Local: "associate"}:
			if err := o.link(o.name, child); err != nil {
				return nil, err
			}
		case c.Name == xmlstream.Name{Space: ns.PubSubOwner, Local: "dissociate"}:
			if err := o.dissociate(child); err != nil {
				return nil, err
			}
		}
	}
	if n != 1 {
		return nil, stanza.NewError(stanza.BadRequest, "One node is associated at a time.")
	}
	return nil, nil
}

// dissociate: by an owner of either node (XEP-0248 §7.6.3).
func (o *op) dissociate(child string) error {
	have, err := o.m.edges(o.ctx, o.svc, o.name, linkChild)
	if err != nil {
		return err
	}
	if !slices.Contains(have, child) {
		return stanza.NewError(stanza.BadRequest, "This node is not in the collection.")
	}
	if o.rel.Affiliation != node.Owner {
		c, err := o.side(child)
		if err != nil {
			return err
		}
		if a, err := o.affiliationTo(c); err != nil || a != node.Owner {
			return node.Forbidden("You may not take this node out of the collection.")
		}
	}
	o.unlink(o.name, child, &o.rec.Config)
	return nil
}

// ancestor is a collection above a node.
type ancestor struct {
	name  string
	depth int
}

// above returns the collections above a node, the nearest first.
func (m *Module) above(ctx context.Context, svc *service, name string) ([]ancestor, error) {
	if svc.account {
		return nil, nil
	}
	var out []ancestor
	level := []string{name}
	for depth := 1; depth <= maxDepth && len(level) > 0; depth++ {
		var next []string
		for _, n := range level {
			parents, err := m.edges(ctx, svc, n, linkParent)
			if err != nil {
				return nil, err
			}
			for _, p := range parents {
				if len(out) < maxAbove && !slices.ContainsFunc(out, func(a ancestor) bool { return a.name == p }) {
					out = append(out, ancestor{p, depth})
					next = append(next, p)
				}
			}
		}
		level = next
	}
	return out, nil
}
