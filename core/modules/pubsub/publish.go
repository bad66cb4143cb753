package pubsub

import (
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// publish: XEP-0060 §7.1.
func (o *op) publish() (*xmlstream.Node, error) {
	options, err := o.publishOptions()
	if err != nil {
		return nil, err
	}
	if err := o.loadOrMake(options); err != nil {
		return nil, err
	}
	if !o.rec.Config.MayPublish(o.rel) { // §7.1.3.1
		return nil, node.Forbidden("You may not publish to this node.")
	}
	if o.rec.Config.Kind == node.Collection { // §7.1.3.2
		return nil, node.Unsupported("publish", "A collection has no items.")
	}
	if options != nil {
		if err := o.rec.Config.Met(options); err != nil {
			return nil, err
		}
	}
	list, err := o.parseItems()
	if err != nil {
		return nil, err
	}
	gone, err := o.keep(list)
	if err != nil {
		return nil, err
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSub, "publish", "node", o.name)
	for _, it := range list {
		out.Add(xmlstream.NewNode(ns.PubSub, "item", "id", it.ID)) // §7.1.2
	}
	return o.reply(out), o.announce(list, gone)
}

func (o *op) publishOptions() (*form.Form, error) {
	n := o.query.Child(ns.PubSub, "publish-options")
	if n == nil {
		return nil, nil
	}
	f, err := submitted(n, ns.PubSubPublishOptions)
	if err == nil && f != nil {
		err = node.Known(f)
	}
	return f, err
}

// loadOrMake: a node of an account comes into being with its first item (XEP-0163 §3.5, XEP-0060 §7.1.4).
func (o *op) loadOrMake(options *form.Form) error {
	r, err := o.m.find(o.ctx, o.svc, o.name)
	if err != nil {
		return err
	}
	if r != nil {
		o.rec = r
		o.rel, err = o.m.relation(o.ctx, o.svc, r, o.from)
		return err
	}
	if !o.svc.account || o.from.Bare() != o.svc.jid {
		return o.missing()
	}
	return o.make(options)
}

// parseItems reads what is published (XEP-0060 §7.1.3.5, §7.1.3.6).
func (o *op) parseItems() ([]*item, error) {
	c := &o.rec.Config
	var out []*item
	for n := range o.verb.Children(o.verb.Name.Space, "item") {
		it, err := o.parseItem(n)
		if err != nil {
			return nil, err
		}
		// The same id twice: the later one counts.
		out = slices.DeleteFunc(out, func(x *item) bool { return x.ID == it.ID })
		out = append(out, it)
	}
	switch transient := !c.Persist && !c.Payloads; {
	case len(out) > maxPerSet:
		return nil, node.Refuse(stanza.NotAllowed, "", "max-items-exceeded", fmt.Sprintf("At most %d items are published at once.", maxPerSet))
	case len(out) > 1 && c.Persist && len(out) > c.Items(o.m.limits()): // §12.11
		return nil, node.Refuse(stanza.NotAllowed, "", "max-items-exceeded", fmt.Sprintf("The node keeps %d items.", c.Items(o.m.limits())))
	case len(out) == 0 && !transient:
		return nil, node.Refuse(stanza.BadRequest, "", "item-required", "This node takes items.")
	case len(out) > 0 && transient:
		return nil, node.Refuse(stanza.BadRequest, "", "item-forbidden", "This node takes no items.")
	}
	return out, nil
}

func (o *op) parseItem(n *xmlstream.Node) (*item, error) {
	c := &o.rec.Config
	it := &item{ID: n.Attr("id"), Seq: o.m.d.IDs.Next(), Publisher: o.from.String()}
	if it.ID == "" {
		id, err := o.m.newID() // §7.1.2: the service makes one
		if err != nil {
			return nil, err
		}
		it.ID = id
	}
	if !xmlName(it.ID) {
		return nil, stanza.NewError(stanza.NotAcceptable, "An item cannot have this id.")
	}
	var payload []*xmlstream.Node
	for e := range n.Elements() {
		payload = append(payload, e)
	}
	switch {
	case len(payload) > 1:
		return nil, node.Refuse(stanza.BadRequest, "", "invalid-payload", "An item has one payload.")
	case len(payload) == 0 && c.Persist && c.Payloads:
		return nil, node.Refuse(stanza.BadRequest, "", "payload-required", "Items of this node have a payload.")
	case len(payload) == 0:
		return it, nil
	}
	it.Payload = xmlstream.NewFragment(payload[0]).Bytes()
	if len(it.Payload) > c.Payload(o.m.limits()) { // §7.1.3.4
		return nil, node.Refuse(stanza.NotAcceptable, "", "payload-too-big", fmt.Sprintf("A payload may have %d bytes.", c.Payload(o.m.limits())))
	}
	return it, nil
}

// keep adds the rows of new items and takes away what is too much. It returns the ids of items that were removed.
func (o *op) keep(list []*item) ([]string, error) {
	c := &o.rec.Config
	limit := c.Items(o.m.limits())
	if !c.Persist || limit == 0 {
		return nil, o.keepLast(list)
	}
	owner := o.svc.owner(o.rec.Gen)
	mine := map[string]bool{} // order keys of items that are replaced
	for _, it := range list {
		old, err := o.m.item(o.ctx, o.svc, o.rec, it.ID)
		if err != nil {
			return nil, err
		}
		if old != nil {
			if !c.MayRetract(o.rel, o.published(old)) {
				return nil, node.Forbidden("This item is somebody else's.")
			}
			mine[orderKey(old.Seq)] = true
			o.u.Add(storage.DeleteRow{Table: tableOrder, Owner: owner, Key: orderKey(old.Seq)})
			o.rec.Count--
		}
		o.u.Add(storage.PutRow{Table: tableItem, Owner: owner, Key: it.ID, Value: it.encode()},
			storage.PutRow{Table: tableOrder, Owner: owner, Key: orderKey(it.Seq), Value: []byte(it.ID)})
		o.rec.Count++
		o.rec.Last = it.ID
	}
	return o.evict(mine, limit)
}

// published tells whether the sender has published an item.
func (o *op) published(it *item) bool {
	who := o.from.Bare().String()
	return it.Publisher == who || len(it.Publisher) > len(who) && it.Publisher[:len(who)+1] == who+"/"
}

// keepLast keeps the newest item of a transient node if it is sent to those who come (XEP-0060 §4.3).
func (o *op) keepLast(list []*item) error {
	if len(list) == 0 || o.rec.Config.SendLast == node.SendNever {
		return nil
	}
	owner, it := o.svc.owner(o.rec.Gen), list[len(list)-1]
	if o.rec.Last != "" && o.rec.Last != it.ID {
		o.u.Add(storage.DeleteRow{Table: tableItem, Owner: owner, Key: o.rec.Last})
	}
	o.u.Add(storage.PutRow{Table: tableItem, Owner: owner, Key: it.ID, Value: it.encode()})
	o.rec.Last = it.ID
	return nil
}

// evict removes what is over the bound, and what has expired (XEP-0060 §7.1.2.5).
func (o *op) evict(mine map[string]bool, limit int) ([]string, error) {
	c := &o.rec.Config
	over := min(o.rec.Count-limit, directRows) // more only while trim is at work
	if over > 0 && c.Full == node.FullReject {
		return nil, node.Refuse(stanza.Conflict, "", "node-full", "The node has as many items as it may.")
	}
	stale := o.m.expired(c)
	if over <= 0 && stale == "" {
		return nil, nil
	}
	rows, err := o.m.t.order.Range(o.ctx, o.svc.owner(o.rec.Gen), "", "", max(over, 0)+len(mine)+maxPerSet, false)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read items: %w", err)
	}
	var gone []string
	for _, r := range rows {
		if mine[r.Key] || over <= 0 && r.Key >= stale {
			continue
		}
		o.dropItem(r.Key, string(r.Value))
		gone = append(gone, string(r.Value))
		over--
	}
	return gone, nil
}

// announce tells of new items, and of those that had to go.
func (o *op) announce(list []*item, gone []string) error {
	c := &o.rec.Config
	ev := xmlstream.NewNode(ns.PubSubEvent, "items", "node", o.name)
	var nodes []*xmlstream.Node
	for _, it := range list {
		n, err := it.node(ns.PubSubEvent, c.Payloads, c.ItemReply == node.ReplyPublisher)
		if err != nil {
			return err
		}
		ev.Add(n)
		full, err := it.node(ns.PubSub, true, false)
		if err != nil {
			return err
		}
		nodes = append(nodes, full)
	}
	o.notify(node.ForItems, ev)
	// Of a node with one item, the new one says that the old one is gone.
	if len(gone) > 0 && c.Full == node.FullRetract && c.NotifyRetract && c.Items(o.m.limits()) > 1 {
		o.notify(node.ForItems, retraction(o.name, gone))
	}
	o.changed(nodes, gone)
	return nil
}

func retraction(name string, ids []string) *xmlstream.Node {
	ev := xmlstream.NewNode(ns.PubSubEvent, "items", "node", name)
	for _, id := range ids {
		ev.Add(xmlstream.NewNode(ns.PubSubEvent, "retract", "id", id))
	}
	return ev
}
