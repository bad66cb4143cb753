package pubsub

import (
	"fmt"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// items: XEP-0060 §6.5. The newest comes first.
func (o *op) items() (*xmlstream.Node, error) {
	if err := o.load(); err != nil {
		return nil, err
	}
	if err := o.mayRetrieve(); err != nil {
		return nil, err
	}
	if o.rec.Config.Kind == node.Collection {
		if len(o.verb.Nodes) > 0 { // XEP-0248 §6.2.3
			return nil, node.Unsupported("retrieve-items", "Items of a collection are not asked for by their ids; ask the nodes in it.")
		}
		return o.collectionItems()
	}
	if !o.rec.Config.Persist { // §6.5.9.4
		return nil, node.Unsupported("persistent-items", "This node keeps no items.")
	}
	ids, err := itemIDs(o.verb)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		return o.someItems(ids)
	}
	return o.pageOfItems()
}

// mayRetrieve: §6.5.9; a subscription that is named must be the sender's (§6.5.9.1, §6.5.9.2).
func (o *op) mayRetrieve() error {
	if err := o.rec.Config.MayRetrieve(o.rel); err != nil {
		return o.hidden(err)
	}
	list, err := o.m.subs(o.ctx, o.svc, o.rec, o.from.Bare(), true)
	if err != nil {
		return err
	}
	id, of := o.verb.Attr("subid"), map[string]int{}
	for i := range list {
		of[list[i].JID]++
		switch {
		case list[i].ID == id:
			return nil
		case id == "" && of[list[i].JID] > 1:
			return node.Refuse(stanza.BadRequest, "", "subid-required", "You have several subscriptions; say by which.")
		}
	}
	if id == "" {
		return nil
	}
	return node.Refuse(stanza.NotAcceptable, "", "invalid-subid", "There is no such subscription.")
}

// hidden answers somebody who may not read a node. That an account keeps something for itself alone is told to nobody.
func (o *op) hidden(err error) error {
	if o.svc.account && o.rec.Config.Access == node.Whitelist && o.rel.Affiliation == node.None {
		return o.missing()
	}
	return err
}

// someItems: §6.5.7 and §6.5.9.11; those that are not there are left out if others are (§6.5.7).
func (o *op) someItems(ids []string) (*xmlstream.Node, error) {
	out := xmlstream.NewNode(ns.PubSub, "items", "node", o.name)
	stale, found := o.m.expired(&o.rec.Config), 0
	for _, id := range ids {
		it, err := o.m.item(o.ctx, o.svc, o.rec, id)
		if err != nil {
			return nil, err
		}
		if it == nil || orderKey(it.Seq) < stale {
			continue
		}
		n, err := it.node(ns.PubSub, true, o.rec.Config.ItemReply == node.ReplyPublisher)
		if err != nil {
			return nil, err
		}
		out.Add(n)
		found++
	}
	if found == 0 {
		return nil, node.NotFound("There is no such item.")
	}
	return o.reply(out), nil
}

// page is one page of the order, which is read from the newest to the oldest.
type page struct {
	rows  []storage.Row
	first int // index of the first; -1: not known
}

// pageOfItems: §6.5.2 to §6.5.6, with RSM (§6.5.4) and max_items (§6.5.7 in older versions).
func (o *op) pageOfItems() (*xmlstream.Node, error) {
	req, err := rsm.Parse(o.query)
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The page that is asked for cannot be understood.")
	}
	limit, err := o.maxItems(req.Limit(maxPage))
	if err != nil {
		return nil, err
	}
	p, err := o.page(req, limit)
	if err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.PubSub, "items", "node", o.name)
	rows, err := o.fill(out, p.rows, req.Backward)
	if err != nil {
		return nil, err
	}
	res := o.reply(out)
	if req.Given || len(rows) < o.rec.Count && o.verb.Attr("max_items") == "" { // §6.5.4: it says that there is more
		set := rsm.Result{Index: -1, Count: o.rec.Count}
		if len(rows) > 0 {
			set.First, set.Last, set.Index = string(rows[0].Value), string(rows[len(rows)-1].Value), p.first
		}
		res.Add(set.Node())
	}
	return res, nil
}

// maxItems bounds a page by what the request says (§6.5.7).
func (o *op) maxItems(limit int) (int, error) {
	s := o.verb.Attr("max_items")
	if s == "" {
		return limit, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, stanza.NewError(stanza.BadRequest, "max_items is a number.")
	}
	return min(limit, int(n)), nil
}

// fill adds the items of a page as far as they fit into a stanza, and returns the rows of those. What does not fit is what the next page in
// the direction of reading begins with; one item fits always.
func (o *op) fill(out *xmlstream.Node, rows []storage.Row, backward bool) ([]storage.Row, error) {
	list := make([]*item, len(rows))
	at := func(i int) int { // the i-th in the direction of reading
		if backward {
			return len(rows) - 1 - i
		}
		return i
	}
	bytes, n := 0, 0
	for ; n < len(rows); n++ {
		id := string(rows[at(n)].Value)
		it, err := o.m.item(o.ctx, o.svc, o.rec, id)
		if err != nil {
			return nil, err
		}
		if it == nil {
			return nil, fmt.Errorf("pubsub: an item of %s is in the order and not there", o.name)
		}
		if bytes += len(it.Payload) + len(id); n > 0 && bytes > maxPageBytes {
			break
		}
		list[at(n)] = it
	}
	if backward {
		rows, list = rows[len(rows)-n:], list[len(list)-n:]
	} else {
		rows, list = rows[:n], list[:n]
	}
	for _, it := range list {
		e, err := it.node(ns.PubSub, true, o.rec.Config.ItemReply == node.ReplyPublisher)
		if err != nil {
			return nil, err
		}
		out.Add(e)
	}
	return rows, nil
}

// page reads rows: each way of asking is one range.
func (o *op) page(req rsm.Request, limit int) (page, error) {
	owner, stale := o.svc.owner(o.rec.Gen), o.m.expired(&o.rec.Config)
	from, to, p := stale, "", page{first: -1}
	if limit == 0 {
		return p, nil
	}
	if req.After != "" { // behind it, that is older
		k, err := o.place(req.After)
		if err != nil {
			return p, err
		}
		to = k
	}
	if req.Backward {
		if req.Before != "" {
			k, err := o.place(req.Before)
			if err != nil {
				return p, err
			}
			from = k + "0" // newer than it
		}
		return o.backward(p, owner, from, to, limit)
	}
	skip := max(req.Index, 0)
	if skip > 0 {
		return p, node.Unsupported("rsm", "Items are asked for by their ids, not by numbers.") // XEP-0059 §2.6
	}
	rows, err := o.m.t.order.Range(o.ctx, owner, from, to, limit, true)
	if err != nil {
		return p, fmt.Errorf("pubsub: read items: %w", err)
	}
	p.rows = rows
	if req.After == "" {
		p.first = 0
	}
	return p, nil
}

// backward reads the page that ends before an item, or the last one (XEP-0059 §2.3, §2.5).
func (o *op) backward(p page, owner, from, to string, limit int) (page, error) {
	rows, err := o.m.t.order.Range(o.ctx, owner, from, to, limit, false)
	if err != nil {
		return p, fmt.Errorf("pubsub: read items: %w", err)
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	p.rows = rows
	return p, nil
}

// place is an item's key in the order.
func (o *op) place(id string) (string, error) {
	it, err := o.m.item(o.ctx, o.svc, o.rec, id)
	if err != nil {
		return "", err
	}
	if it == nil {
		return "", node.NotFound("The page begins at an item that is not there.") // XEP-0059 §2.2
	}
	return orderKey(it.Seq), nil
}
