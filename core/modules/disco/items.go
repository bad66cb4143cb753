package disco

import (
	"context"
	"errors"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// items: XEP-0030 §4, in pages if that is asked for or there are many (XEP-0059).
func (m *Module) items(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	target, node := req.Target(), req.Query.Attr("node")
	scope := m.scope(target)
	if err := m.admit(ctx, req, scope); err != nil {
		return nil, err
	}
	page, err := rsm.Parse(req.Query.Node())
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The page that is asked for cannot be understood.")
	}
	list, res, known, err := m.page(ctx, req.IQ.From, target, scope, node, page)
	switch {
	case errors.Is(err, rsm.ErrNotFound):
		return nil, stanza.NewError(stanza.ItemNotFound, "The page begins at an item that is not there.") // XEP-0059 §2.2
	case err != nil:
		return nil, err
	case !known:
		return nil, unknownNode()
	}
	q := xmlstream.NewNode(ns.DiscoItems, "query")
	if node != "" {
		q.SetAttr("node", node)
	}
	for _, it := range list {
		n := xmlstream.NewNode(ns.DiscoItems, "item", "jid", it.JID.String())
		if it.Node != "" {
			n.SetAttr("node", it.Node)
		}
		if it.Name != "" {
			n.SetAttr("name", it.Name)
		}
		q.Add(n)
	}
	if page.Given || res.Count > len(list) || res.Count < 0 {
		q.Add(res.Node())
	}
	return q, nil
}

// page collects the items of a page: those of the first source that knows the address, or else the services of the server.
func (m *Module) page(ctx context.Context, asker, target jid.JID, scope module.Scope, node string, page rsm.Request) ([]module.DiscoItem, rsm.Result, bool, error) {
	for _, src := range m.reg.Sources[scope] {
		items, res, ok, err := sourced(ctx, src, asker, target, node, page)
		if err != nil || ok {
			return items, res, ok, err
		}
	}
	if node != "" {
		return nil, rsm.Result{}, false, nil
	}
	items, res, err := rsm.Slice(m.hosts(scope, target), key, page, pageSize)
	return items, res, m.isStatic(scope, target), err
}

// sourced is a page of what a source knows. A source pages forwards; for what else may be asked its list is read whole, unless it is long.
func sourced(ctx context.Context, src module.DiscoSource, asker, target jid.JID, node string, page rsm.Request) ([]module.DiscoItem, rsm.Result, bool, error) {
	limit, after, most := page.Limit(pageSize), page.After, page.Limit(pageSize)
	whole := page.Backward || page.Index >= 0 || limit == 0
	if whole {
		after, most = "", pageSize+1
	}
	items, total, ok, err := src.DiscoItems(ctx, asker, target, node, after, most)
	switch long := len(items) > pageSize && len(items) != total; {
	case err != nil || !ok:
		return nil, rsm.Result{}, false, err
	case long && limit == 0: // XEP-0059 §2.7: too many to be counted
		return nil, rsm.Result{Index: -1, Count: total}, true, nil
	case long && whole: // XEP-0059 §2.6
		return nil, rsm.Result{}, false, stanza.NewError(stanza.FeatureNotImplemented, "The list is too long to be read from elsewhere than its start.")
	case whole, len(items) == total && complete(items, page.After):
		items, res, err := rsm.Slice(items, key, page, pageSize)
		return items, res, true, err
	}
	res := rsm.Result{Index: -1, Count: total}
	if len(items) > 0 {
		res.First, res.Last = key(items[0]), key(items[len(items)-1])
	}
	return items, res, true, nil
}

// complete tells whether as many items as there are are all of them, and not only those behind one that is not among them.
func complete(items []module.DiscoItem, after string) bool {
	return after == "" || slices.ContainsFunc(items, func(it module.DiscoItem) bool { return key(it) == after })
}

// hosts are the services that an account domain lists.
func (m *Module) hosts(scope module.Scope, target jid.JID) []module.DiscoItem {
	var items []module.DiscoItem
	if scope != module.ScopeServer {
		return nil
	}
	for _, h := range m.reg.Hosts {
		if h.ListedIn != target.Domain() {
			continue
		}
		if j, err := jid.New("", h.Name, ""); err == nil {
			items = append(items, module.DiscoItem{JID: j, Name: h.Title})
		}
	}
	return items
}

// key names an item in a page.
func key(it module.DiscoItem) string {
	if it.Key != "" {
		return it.Key
	}
	if it.Node == "" {
		return it.JID.String()
	}
	return it.JID.String() + "#" + it.Node
}
