package adhoc

import (
	"context"
	"sort"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// source lists the commands (XEP-0050 §3.1, §3.2).
type source struct{ m *Module }

// DiscoInfo implements module.DiscoSource.
func (s source) DiscoInfo(ctx context.Context, asker, _ jid.JID, node string) (module.DiscoInfo, bool, error) {
	if node == ns.Commands {
		return module.DiscoInfo{Identities: []module.Identity{{Category: "automation", Type: "command-list", Name: "Commands"}}}, true, nil
	}
	c, ok := s.m.offered(ctx, asker, node)
	if !ok {
		return module.DiscoInfo{}, false, nil
	}
	return module.DiscoInfo{Identities: []module.Identity{{Category: "automation", Type: "command-node", Name: c.Title}},
		Features: []string{ns.Commands, ns.Form}}, true, nil
}

// DiscoItems implements module.DiscoSource.
func (s source) DiscoItems(ctx context.Context, asker, target jid.JID, node, after string, limit int) ([]module.DiscoItem, int, bool, error) {
	if node != ns.Commands {
		return nil, 0, false, nil
	}
	list := s.m.o.Source.Commands(ctx, asker.Bare())
	sort.Slice(list, func(i, k int) bool { return list[i].Node < list[k].Node })
	var out []module.DiscoItem
	for _, c := range list {
		if c.Node > after && len(out) < limit {
			out = append(out, module.DiscoItem{JID: target, Node: c.Node, Name: c.Title, Key: c.Node})
		}
	}
	return out, len(list), true, nil
}
