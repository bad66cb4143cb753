package pubsub

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
)

// service is a host, or an account as a host of its own nodes.
type service struct {
	jid     jid.JID
	name    string // of jid
	account bool
}

func accountService(bare jid.JID) *service {
	return &service{jid: bare, name: bare.String(), account: true}
}

// at returns the service of an address, nil if there is none.
func (m *Module) at(to jid.JID) *service {
	if h := m.hosts[to.Domain()]; h != nil {
		if to.HasLocal() || to.IsFull() {
			return nil
		}
		return h.svc
	}
	if to.HasLocal() && m.d.Hosts.IsAccountDomain(to.Domain()) {
		return accountService(to.Bare())
	}
	return nil
}

// key is what a change of a node holds: the account, or the node.
func (s *service) key(name string) string {
	if s.account {
		return s.name
	}
	return s.name + "/" + name
}

// graph is what a change of the edges between nodes holds beside the nodes.
func (s *service) graph() string { return s.key("") }

// defaults is the configuration of a node that is made without further words.
func (m *Module) defaults(s *service) node.Config {
	c := node.Service()
	if s.account {
		c = node.Account()
	}
	c.MaxItems = min(c.MaxItems, m.o.Items)
	return c
}

// owners is the address whose roster the presence and roster models ask: the account's, or that of who made the node.
func (s *service) holder(r *record) jid.JID {
	if s.account {
		return s.jid
	}
	j, err := jid.Parse(r.Creator)
	if err != nil {
		return jid.JID{}
	}
	return j
}

// relation finds out what somebody is to a node. What a model does not ask is not looked up.
func (m *Module) relation(ctx context.Context, svc *service, r *record, who jid.JID) (node.Relation, error) {
	var rel node.Relation
	var err error
	if rel.Affiliation, err = m.affiliation(ctx, svc, r, who); err != nil || rel.Affiliation != node.None {
		return rel, err
	}
	c := &r.Config
	if c.Access == node.Authorize || c.Publish == node.BySubscribers {
		list, err := m.subs(ctx, svc, r, who.Bare(), true)
		if err != nil {
			return rel, err
		}
		for i := range list {
			rel.Subscribed = rel.Subscribed || list[i].State == node.Subscribed
		}
	}
	if c.Access == node.Presence || c.Access == node.Roster {
		err = m.rosterRelation(ctx, svc.holder(r), who, &rel)
	}
	return rel, err
}

func (m *Module) rosterRelation(ctx context.Context, holder, who jid.JID, rel *node.Relation) error {
	if holder.IsZero() || !m.d.Hosts.IsAccountDomain(holder.Domain()) {
		return nil
	}
	it, err := m.rosters.Item(ctx, holder, who.Bare())
	if err != nil {
		return fmt.Errorf("pubsub: ask roster: %w", err)
	}
	rel.Presence = it.Subscription == "from" || it.Subscription == "both" || who.Bare() == holder.Bare()
	rel.Groups = it.Groups
	return nil
}

// queueCount is how many queues share the nodes.
const queueCount = 16

// queue is where a key's waiting requests and its notifications run.
func (m *Module) queue(key string) *journal.Queue {
	h := uint32(2166136261) // FNV-1a
	for i := 0; i < len(key); i++ {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return m.queues[h%queueCount]
}
