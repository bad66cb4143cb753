package pubsub

import (
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// itemOverhead is what an item costs beside its payload and id: it bounds how many there are in an answer.
const itemOverhead = 64

// maxBelow is how many nodes below a collection are looked at for their items.
const maxBelow = 1000

// collectionItems: XEP-0248 §6.2: the items of the leaves below a collection, an <items/> for each leaf that has any and that the asker may read.
// Pages are of leaves, by their names; a leaf with more items than fit gives its newest, and is asked itself for the rest.
func (o *op) collectionItems() (*xmlstream.Node, error) {
	req, err := rsm.Parse(o.query)
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The page that is asked for cannot be understood.")
	}
	each, err := o.maxItems(maxPage)
	if err != nil {
		return nil, err
	}
	names, err := o.leaves()
	if err != nil {
		return nil, err
	}
	names = between(names, req)
	var lists []*xmlstream.Node
	room, more := maxPageBytes, false
	for _, name := range names {
		n, used, whole, err := o.leafItems(name, each, room)
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		if len(lists) == req.Limit(maxPage) || len(lists) > 0 && (!whole || used > room) {
			more = true
			break
		}
		lists = append(lists, n)
		room -= used
	}
	if req.Backward {
		slices.Reverse(lists)
	}
	reply := o.reply(lists...)
	if req.Given || more {
		res := rsm.Result{Index: -1, Count: -1}
		if len(lists) > 0 {
			res.First, res.Last = lists[0].Attr("node"), lists[len(lists)-1].Attr("node")
		}
		reply.Add(res.Node())
	}
	return reply, nil
}

// between returns the names that a request for a page is about, in the direction of reading.
func between(names []string, req rsm.Request) []string {
	names = slices.DeleteFunc(names, func(n string) bool {
		return req.After != "" && n <= req.After || req.Before != "" && n >= req.Before
	})
	if req.Backward {
		slices.Reverse(names)
	}
	return names
}

// leaves returns the names of the leaves below a collection, in order.
func (o *op) leaves() ([]string, error) {
	seen := map[string]bool{o.name: true}
	var out []string
	level := []string{o.name}
	for depth := 0; depth <= maxDepth && len(level) > 0; depth++ {
		var next []string
		for _, n := range level {
			children, err := o.m.edges(o.ctx, o.svc, n, linkChild)
			if err != nil {
				return nil, err
			}
			if len(children) == 0 && n != o.name {
				out = append(out, n)
			}
			for _, c := range children {
				if !seen[c] {
					seen[c] = true
					next = append(next, c)
				}
			}
		}
		if len(seen) > maxBelow {
			return nil, node.Unsupported("retrieve-items", "There are too many nodes below this collection; ask them.")
		}
		level = next
	}
	slices.Sort(out)
	return out, nil
}

// leafItems reads the newest items of a leaf as far as they fit; nil: there are none for the asker. Nobody holds the leaf: what is removed while
// it is read is left out.
func (o *op) leafItems(name string, limit, room int) (n *xmlstream.Node, used int, whole bool, err error) {
	r, err := o.m.find(o.ctx, o.svc, name)
	if err != nil || r == nil || r.Config.Kind != node.Leaf || !r.Config.Persist {
		return nil, 0, false, err
	}
	rel, err := o.m.relation(o.ctx, o.svc, r, o.from)
	if err != nil || r.Config.MayRetrieve(rel) != nil {
		return nil, 0, false, err
	}
	rows, err := o.m.t.order.Range(o.ctx, o.svc.owner(r.Gen), o.m.expired(&r.Config), "", limit, true)
	if err != nil {
		return nil, 0, false, fmt.Errorf("pubsub: read items: %w", err)
	}
	n = xmlstream.NewNode(ns.PubSub, "items", "node", name)
	for _, row := range rows {
		it, err := o.m.item(o.ctx, o.svc, r, string(row.Value))
		if err != nil {
			return nil, 0, false, err
		}
		if it == nil {
			continue
		}
		size := len(it.Payload) + len(it.ID) + itemOverhead
		if used > 0 && used+size > room {
			return n, used, false, nil
		}
		used += size
		e, err := it.node(ns.PubSub, true, r.Config.ItemReply == node.ReplyPublisher)
		if err != nil {
			return nil, 0, false, err
		}
		n.Add(e)
	}
	if len(n.Nodes) == 0 {
		return nil, 0, true, nil
	}
	return n, used, true, nil
}
