package pubsub

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// getConfig: XEP-0060 §8.2.1, §8.2.2.
func (o *op) getConfig() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	f := o.rec.Config.Form(form.TypeForm)
	if err := o.addEdges(f); err != nil {
		return nil, err
	}
	return o.reply(xmlstream.NewNode(ns.PubSubOwner, "configure", "node", o.name).Add(f.Node())), nil
}

// defaultConfig: XEP-0060 §8.3; those of a collection are asked for by type (XEP-0248 §7.3), or by a form as before version 0.4.
func (o *op) defaultConfig() (*xmlstream.Node, error) {
	c := o.m.defaults(o.svc)
	if o.verb.Attr("type") == node.Collection {
		c.Kind = node.Collection
	}
	if f, err := submitted(o.verb, ns.PubSubNodeConfig); err == nil && f != nil && f.Value("pubsub#node_type") == node.Collection {
		c.Kind = node.Collection
	}
	return o.reply(xmlstream.NewNode(ns.PubSubOwner, "default").Add(c.Form(form.TypeForm).Node())), nil
}

// setConfig: XEP-0060 §8.2.4, §8.2.5.
func (o *op) setConfig() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	f, err := submitted(o.verb, ns.PubSubNodeConfig)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return nil, stanza.NewError(stanza.BadRequest, "There is no form.")
	case f.Type == form.TypeCancel:
		return nil, nil // §8.2.4: nothing changes
	case f.Type != form.TypeSubmit:
		return nil, stanza.NewError(stanza.BadRequest, "This form is not filled in.")
	}
	was := o.rec.Config
	if o.rec.Config, err = was.Submit(f, o.m.limits()); err != nil {
		return nil, err
	}
	if err := o.changeKind(was.Kind); err != nil {
		return nil, err
	}
	if err := o.setEdges(f); err != nil {
		return nil, err
	}
	if err := o.trim(); err != nil {
		return nil, err
	}
	o.opened(was)
	if was.Expire != o.rec.Config.Expire {
		o.listExpiry()
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	if o.rec.Config.NotifyConfig { // §8.2.5.3
		ev := xmlstream.NewNode(ns.PubSubEvent, "configuration", "node", o.name)
		if o.rec.Config.Payloads {
			ev.Add(o.rec.Config.Form(form.TypeResult).Node())
		}
		o.notify(node.ForNodes, ev)
	}
	return nil, nil
}

// changeKind: XEP-0248 §7.2.3.4, §7.2.4.
func (o *op) changeKind(was string) error {
	switch now := o.rec.Config.Kind; {
	case was == now:
		return nil
	case was == node.Collection || o.svc.account:
		return node.Refuse(stanza.NotAllowed, "", "invalid-options", "The node's type cannot become "+now+".")
	}
	return o.empty()
}

// empty takes all items away: a few at once, many behind the unit.
func (o *op) empty() error {
	if o.rec.Count == 0 && o.rec.Last == "" {
		return nil
	}
	o.discard(o.svc.owner(o.rec.Gen), o.rec.Count)
	o.rec.Gen, o.rec.Count, o.rec.Last = int64(o.m.d.IDs.Next()), 0, ""
	return nil
}

// discard removes the items of an owner of rows that nothing refers to any more.
func (o *op) discard(owner string, count int) {
	if count <= directRows {
		o.u.Add(storage.DeleteRows{Table: tableItem, Owner: owner}, storage.DeleteRows{Table: tableOrder, Owner: owner})
		return
	}
	o.u.Add(storage.PutRow{Table: tableTrash, Owner: trashOwner, Key: trashItems + owner})
	o.after = append(o.after, o.m.sweepTrash)
}

// trim removes what a smaller bound leaves no room for (XEP-0060 §16.4.4: max_items).
func (o *op) trim() error {
	over := o.rec.Count - o.rec.Config.Items(o.m.limits())
	if o.rec.Config.Kind == node.Collection || over <= 0 {
		return nil
	}
	if o.rec.Config.Items(o.m.limits()) == 0 {
		return o.empty()
	}
	rows, err := o.m.t.order.Range(o.ctx, o.svc.owner(o.rec.Gen), "", "", min(over, directRows), false)
	if err != nil {
		return fmt.Errorf("pubsub: trim node: %w", err)
	}
	for _, row := range rows {
		o.dropItem(row.Key, string(row.Value))
	}
	if over > directRows { // the rest in slices, behind what others want of the node
		svc, name := o.svc, o.name
		o.after = append(o.after, func() { o.m.service(svc, name, "trim", (*op).trimmed) })
	}
	return nil
}

// trimmed is a further slice of trim.
func (o *op) trimmed() error {
	var err error
	if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil || o.rec == nil {
		return err
	}
	if err := o.trim(); err != nil || o.u.Empty() {
		return err
	}
	return o.save()
}

// dropItem adds the rows that remove one item.
func (o *op) dropItem(order, id string) {
	owner := o.svc.owner(o.rec.Gen)
	o.u.Add(storage.DeleteRow{Table: tableOrder, Owner: owner, Key: order}, storage.DeleteRow{Table: tableItem, Owner: owner, Key: id})
	o.rec.Count--
}

// deleteNode: XEP-0060 §8.4.
func (o *op) deleteNode() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	ev := o.deletion()
	if r := o.verb.Child(ns.PubSubOwner, "redirect"); r != nil { // §8.4.2
		uri := r.Attr("uri")
		if uri == "" || len(uri) > maxName {
			return nil, stanza.NewError(stanza.BadRequest, "A redirection has an address.")
		}
		ev.Add(xmlstream.NewNode(ns.PubSubEvent, "redirect", "uri", uri))
		if err := o.leaveWord(uri); err != nil {
			return nil, err
		}
	}
	return nil, o.removeAndTell(ev)
}

// remove adds the rows that delete a node. Its lists follow behind the unit.
func (o *op) remove() error {
	o.u.Add(storage.DeleteRow{Table: tableNode, Owner: o.svc.name, Key: o.name},
		storage.PutRow{Table: tableTrash, Owner: trashOwner, Key: trashNode + o.svc.owner(o.rec.ID), Value: []byte(o.svc.name + sep + o.name)})
	o.discard(o.svc.owner(o.rec.Gen), o.rec.Count)
	if o.rec.Config.Expire > 0 {
		o.u.Add(storage.DeleteRow{Table: tableExpire, Owner: expireOwner, Key: expireKey(o.svc, o.name)})
	}
	if err := o.cutEdges(); err != nil {
		return err
	}
	o.after = append(o.after, o.m.sweepTrash)
	return nil
}

// purge: XEP-0060 §8.5.
func (o *op) purge() (*xmlstream.Node, error) {
	if err := o.own(); err != nil {
		return nil, err
	}
	if !o.rec.Config.Persist || o.rec.Config.Kind == node.Collection { // §8.5.3.3
		return nil, node.Unsupported("persistent-items", "This node keeps no items.")
	}
	return nil, o.purgeItems()
}

func (o *op) purgeItems() error {
	if err := o.empty(); err != nil {
		return err
	}
	if err := o.save(); err != nil {
		return err
	}
	if o.rec.Config.NotifyRetract {
		o.notify(node.ForItems, xmlstream.NewNode(ns.PubSubEvent, "purge", "node", o.name))
	}
	o.changed(nil, nil)
	return nil
}

// deletion is what the subscribers of a deleted node are told (§8.4.2).
func (o *op) deletion() *xmlstream.Node {
	return xmlstream.NewNode(ns.PubSubEvent, "delete", "node", o.name)
}
