package pubsub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// common are the features of XEP-0060 §10 that both kinds of service have.
func common() []string {
	return []string{
		"access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist", "config-node", "config-node-max",
		"create-and-configure", "create-nodes", "delete-items", "delete-nodes", "instant-nodes", "item-ids", "manage-subscriptions",
		"leased-subscription", "member-affiliation", "meta-data", "modify-affiliations", "multi-items", "multi-subscribe", "outcast-affiliation", "persistent-items",
		"presence-notifications",
		"publish", "publish-node-full", "publish-only-affiliation", "publish-options", "publisher-affiliation", "purge-nodes", "retract-items",
		"retrieve-affiliations", "retrieve-default", "retrieve-default-sub", "retrieve-items", "retrieve-subscriptions", "rsm", "subscribe",
		"subscription-notifications", "subscription-options",
	}
}

func features(account bool) []string {
	more := []string{"collections", "multi-collections", "get-pending"}
	if account {
		more = []string{"auto-create", "auto-subscribe", "filtered-notifications", "last-published", "presence-subscribe", "pubsub-on-a-jid"}
	}
	out := []string{ns.PubSub}
	for _, f := range append(common(), more...) {
		out = append(out, ns.PubSub+"#"+f)
	}
	return out
}

// source answers discovery (XEP-0060 §5).
type source struct{ m *Module }

var _ module.DiscoSource = source{}

// DiscoInfo implements module.DiscoSource: §5.1, §5.3, §5.4.
func (s source) DiscoInfo(ctx context.Context, asker, target jid.JID, name string) (module.DiscoInfo, bool, error) {
	svc := s.m.at(target)
	var out module.DiscoInfo
	switch {
	case svc == nil || svc.account && name == "":
		return out, false, nil
	case name == "":
		out.Identities = []module.Identity{{Category: "pubsub", Type: "service", Name: "Publish-subscribe of " + svc.name}}
		out.Features = append(features(false), ns.RSM, ns.Commands)
		return out, true, nil
	case name == ns.PubSubGetPending && !svc.account:
		out.Identities = []module.Identity{{Category: "automation", Type: "command-node", Name: "Subscriptions to decide on"}}
		out.Features = []string{ns.Commands, ns.Form}
		return out, true, nil
	}
	r, err := s.m.find(ctx, svc, name)
	if err != nil || r == nil {
		return out, false, err
	}
	if ok, err := s.m.visible(ctx, svc, r, asker); err != nil || !ok {
		return out, false, err
	}
	title := r.Config.Title
	out.Identities = []module.Identity{{Category: "pubsub", Type: r.Config.Kind, Name: title}}
	out.Features = []string{ns.DiscoInfo, ns.DiscoItems, ns.PubSub}
	meta := r.Config.Metadata()
	meta.Add(form.Field{Var: "pubsub#creator", Type: form.JIDSingle, Values: []string{r.Creator}},
		form.Field{Var: "pubsub#creation_date", Type: form.TextSingle, Values: []string{time.Unix(r.Created, 0).UTC().Format(time.RFC3339)}},
		form.Field{Var: "pubsub#num_subscribers", Type: form.TextSingle, Values: []string{fmt.Sprint(r.Subs)}})
	owner := form.Field{Var: "pubsub#owner", Type: form.JIDMulti}
	for _, j := range s.m.owners(ctx, svc, r) {
		owner.Values = append(owner.Values, j.String())
	}
	meta.Add(owner)
	publishers, err := s.m.affiliated(ctx, svc, r, node.Publisher)
	if err != nil {
		return out, false, err
	}
	if len(publishers) > 0 {
		fd := form.Field{Var: "pubsub#publisher", Type: form.JIDMulti}
		for _, j := range publishers {
			fd.Values = append(fd.Values, j.String())
		}
		meta.Add(fd)
	}
	out.Forms = []*xmlstream.Node{meta.Node()}
	return out, true, nil
}

// visible tells whether somebody may know of a node: those of a whitelist only who is on it (XEP-0503 §3), those of an account who may read them.
func (m *Module) visible(ctx context.Context, svc *service, r *record, who jid.JID) (bool, error) {
	if !svc.account && r.Config.Access != node.Whitelist {
		return true, nil
	}
	rel, err := m.relation(ctx, svc, r, who)
	if err != nil {
		return false, err
	}
	if rel.Affiliation == node.PublishOnly {
		return true, nil
	}
	return r.Config.MayRetrieve(rel) == nil, nil
}

// DiscoItems implements module.DiscoSource: nodes (§5.2, XEP-0248 §5.2) and items (§5.5).
func (s source) DiscoItems(ctx context.Context, asker, target jid.JID, name, after string, limit int) ([]module.DiscoItem, int, bool, error) {
	svc := s.m.at(target)
	if svc == nil {
		return nil, 0, false, nil
	}
	after = strings.TrimPrefix(after, svc.name+"#") // the key of a page is address and node
	if name == "" {
		return s.nodes(ctx, svc, asker, after, limit)
	}
	r, err := s.m.find(ctx, svc, name)
	if err != nil || r == nil {
		return nil, 0, false, err
	}
	rel, err := s.m.relation(ctx, svc, r, asker)
	if err != nil {
		return nil, 0, false, err
	}
	if err := r.Config.MayRetrieve(rel); err != nil {
		if svc.account && r.Config.Access == node.Whitelist && rel.Affiliation == node.None { // as for items: nobody is told that it is there
			return nil, 0, false, nil
		}
		return nil, 0, svc.account, err
	}
	if r.Config.Kind == node.Collection {
		return s.children(ctx, svc, r, asker)
	}
	to := ""
	if after != "" {
		it, err := s.m.item(ctx, svc, r, after)
		if err != nil {
			return nil, 0, false, err
		}
		if it == nil {
			return nil, 0, false, node.NotFound("The page begins at an item that is not there.")
		}
		to = orderKey(it.Seq)
	}
	var items []module.DiscoItem
	if limit > 0 {
		rows, err := s.m.t.order.Range(ctx, svc.owner(r.Gen), s.m.expired(&r.Config), to, limit, true)
		if err != nil {
			return nil, 0, false, fmt.Errorf("pubsub: list items: %w", err)
		}
		for _, row := range rows {
			items = append(items, module.DiscoItem{JID: svc.jid, Name: string(row.Value), Key: string(row.Value)})
		}
	}
	return items, r.Count, true, nil
}

// nodes lists a page of a service's nodes: of a host those that are in no collection (XEP-0248 §5.2).
func (s source) nodes(ctx context.Context, svc *service, asker jid.JID, after string, limit int) ([]module.DiscoItem, int, bool, error) {
	var out []module.DiscoItem
	from := ""
	if after != "" {
		from = after + "\x01"
	}
	for limit > 0 && len(out) < limit {
		rows, err := s.m.t.node.Range(ctx, svc.name, from, "", limit, false)
		if err != nil {
			return nil, 0, false, fmt.Errorf("pubsub: list nodes: %w", err)
		}
		for _, row := range rows {
			r, err := decodeRecord(row.Key, row.Value)
			if err != nil {
				return nil, 0, false, err
			}
			ok, err := s.first(ctx, svc, r, asker)
			if err != nil {
				return nil, 0, false, err
			}
			if ok && len(out) < limit {
				out = append(out, module.DiscoItem{JID: svc.jid, Node: r.Name, Name: r.Config.Title})
			}
		}
		if len(rows) < limit {
			break
		}
		from = rows[len(rows)-1].Key + "\x01"
	}
	return out, -1, !svc.account || len(out) > 0, nil
}

func (s source) first(ctx context.Context, svc *service, r *record, asker jid.JID) (bool, error) {
	parents, err := s.m.edges(ctx, svc, r.Name, linkParent)
	if err != nil || len(parents) > 0 && !svc.account {
		return false, err
	}
	return s.m.visible(ctx, svc, r, asker)
}

func (s source) children(ctx context.Context, svc *service, r *record, asker jid.JID) ([]module.DiscoItem, int, bool, error) {
	names, err := s.m.edges(ctx, svc, r.Name, linkChild)
	if err != nil {
		return nil, 0, false, err
	}
	var out []module.DiscoItem
	for _, n := range names {
		c, err := s.m.find(ctx, svc, n)
		if err != nil {
			return nil, 0, false, err
		}
		if c == nil {
			continue
		}
		if ok, err := s.m.visible(ctx, svc, c, asker); err != nil || !ok {
			continue
		}
		out = append(out, module.DiscoItem{JID: svc.jid, Node: n, Name: c.Config.Title})
	}
	return out, len(out), true, nil
}
