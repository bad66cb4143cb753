package pubsub

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// retract: XEP-0060 §7.2.
func (o *op) retract() (*xmlstream.Node, error) {
	if err := o.load(); err != nil {
		return nil, err
	}
	if !o.rec.Config.Persist || o.rec.Config.Kind == node.Collection { // §7.2.3.5
		return nil, node.Unsupported("persistent-items", "This node keeps no items.")
	}
	ids, err := itemIDs(o.verb)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 { // §7.2.3.4
		return nil, node.Refuse(stanza.BadRequest, "", "item-required", "No item is named.")
	}
	gone := map[string]bool{}
	last := false
	for _, id := range ids {
		it, err := o.m.item(o.ctx, o.svc, o.rec, id)
		if err != nil {
			return nil, err
		}
		own := it != nil && o.published(it)
		if !o.rec.Config.MayRetract(o.rel, own) { // §7.2.3.1: also of items that are not there, so that nobody can look
			return nil, node.Forbidden("You may not delete this item.")
		}
		if it == nil {
			return nil, node.NotFound("There is no such item.")
		}
		if !gone[id] {
			o.dropItem(orderKey(it.Seq), id)
			gone[id] = true
			last = last || id == o.rec.Last
		}
	}
	if last {
		if err := o.findLast(gone); err != nil {
			return nil, err
		}
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	if n := o.verb.Attr("notify"); n == "1" || n == "true" || o.rec.Config.NotifyRetract { // §7.2.2.1
		o.notify(node.ForItems, retraction(o.name, ids))
	}
	o.changed(nil, ids)
	return nil, nil
}

// findLast makes the newest item that is left the last one.
func (o *op) findLast(gone map[string]bool) error {
	rows, err := o.m.t.order.Range(o.ctx, o.svc.owner(o.rec.Gen), "", "", len(gone)+1, true)
	if err != nil {
		return fmt.Errorf("pubsub: read items: %w", err)
	}
	o.rec.Last = ""
	for _, r := range rows {
		if !gone[string(r.Value)] {
			o.rec.Last = string(r.Value)
			break
		}
	}
	return nil
}

// itemIDs reads the ids that a request names.
func itemIDs(at *xmlstream.Node) ([]string, error) {
	var out []string
	for n := range at.Children(ns.PubSub, "item") {
		id := n.Attr("id")
		if id == "" {
			return nil, node.Refuse(stanza.BadRequest, "", "item-required", "An item is named by its id.")
		}
		out = append(out, id)
	}
	if len(out) > maxPerSet {
		return nil, stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("At most %d items are named at once.", maxPerSet))
	}
	return out, nil
}
