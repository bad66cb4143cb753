package pubsub

import (
	"context"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Rosters is what is asked of the contact lists; core/modules/roster provides it.
type Rosters interface {
	Item(ctx context.Context, owner, contact jid.JID) (storage.RosterItem, error)
	Items(ctx context.Context, owner jid.JID) ([]storage.RosterItem, error)
	Subscribers(ctx context.Context, owner jid.JID) ([]jid.JID, error)
}

// Caps is what is asked of the capabilities of sessions; core/modules/caps provides it. Without it nobody is notified automatically.
type Caps interface {
	// Supports tells whether a session is known to have a feature.
	Supports(ctx context.Context, full jid.JID, feature string) bool
	// Remote returns the sessions of another server's contact that have sent presence to an account here.
	Remote(account, contact jid.JID) []jid.JID
	// WatchCaps registers what is told of features that a session has newly got. account is whom the session of another server has sent its
	// presence to; it is zero for a session here.
	WatchCaps(fn func(ctx context.Context, full, account jid.JID, gained func(feature string) bool))
}

// notifySuffix makes a feature of the wish to get a node's notifications (XEP-0163 §4.2, XEP-0060 §9.2).
const notifySuffix = "+notify"

// automatic returns who is notified of an account's node without a subscription (XEP-0163 §4.1 to §4.3, XEP-0060 §9.1): the account's sessions and
// those of its contacts that have said so by their capabilities, without those in seen.
func (m *Module) automatic(ctx context.Context, svc *service, r *record, seen map[jid.JID]bool) []jid.JID {
	if m.caps == nil {
		return nil
	}
	feature := r.Name + notifySuffix
	var out []jid.JID
	if !seen[svc.jid] {
		out = m.present(ctx, svc.jid, feature, out)
	}
	contacts, err := m.contacts(ctx, svc, r)
	if err != nil {
		m.d.Log.Error("the contacts of an account cannot be read", "account", svc.name, "err", err)
		return out
	}
	for _, c := range contacts {
		switch {
		case seen[c]:
		case m.d.Hosts.IsLocal(c.Domain()):
			out = m.present(ctx, c, feature, out)
		default:
			for _, full := range m.caps.Remote(svc.jid, c) {
				if m.caps.Supports(ctx, full, feature) {
					out = append(out, full)
				}
			}
		}
	}
	return out
}

// present appends the available sessions of an account here that want a feature.
func (m *Module) present(ctx context.Context, bare jid.JID, feature string, out []jid.JID) []jid.JID {
	for _, s := range m.d.Sessions.Of(ctx, bare) {
		if s.Available && m.caps.Supports(ctx, s.JID, feature) {
			out = append(out, s.JID)
		}
	}
	return out
}

// maxListed is how many affiliations of a node are looked at for automatic notifications.
const maxListed = 1000

// contacts are those who may read the node and get the account's presence. The node's list is read once: a private node of somebody with many
// contacts costs nothing.
func (m *Module) contacts(ctx context.Context, svc *service, r *record) ([]jid.JID, error) {
	rows, err := m.t.affil.Range(ctx, svc.owner(r.ID), "", "", maxListed, false)
	if err != nil {
		return nil, err
	}
	closed := r.Config.Access == node.Whitelist || r.Config.Access == node.Authorize
	if closed && len(rows) == 0 {
		return nil, nil
	}
	subscribers, err := m.rosters.Subscribers(ctx, svc.jid)
	if err != nil || len(rows) == 0 && r.Config.Access != node.Roster {
		return subscribers, err
	}
	listed := make(map[string]node.Affiliation, len(rows))
	for _, row := range rows {
		listed[row.Key] = node.Affiliation(row.Value)
	}
	var out []jid.JID
	for _, c := range subscribers {
		rel := node.Relation{Affiliation: node.None, Presence: true}
		if a, ok := listed[c.String()]; ok {
			rel.Affiliation = a
		} else if r.Config.Access == node.Roster {
			if err := m.rosterRelation(ctx, svc.jid, c, &rel); err != nil {
				return nil, err
			}
		}
		if r.Config.MayRetrieve(rel) == nil {
			out = append(out, c)
		}
	}
	return out, nil
}

// capsGained shows last items to a session whose wishes have become known (XEP-0163 §4.3.4).
func (m *Module) capsGained(ctx context.Context, full, account jid.JID, gained func(feature string) bool) {
	ctx = event.WithSession(context.WithoutCancel(ctx), nil)
	if !account.IsZero() {
		m.lastItems(ctx, account.Bare(), full, anyNode, gained)
		return
	}
	m.lastItems(ctx, full.Bare(), full, anyNode, gained)
	m.queue(full.String()).Post(func() {
		items, err := m.rosters.Items(ctx, full.Bare())
		if err != nil {
			m.d.Log.Error("the contacts of an account cannot be read", "account", full.Bare().String(), "err", err)
			return
		}
		for i := range items {
			c, err := jid.Parse(items[i].Contact)
			if err != nil || items[i].Subscription != "to" && items[i].Subscription != "both" || !c.HasLocal() || !m.d.Hosts.IsAccountDomain(c.Domain()) {
				continue
			}
			m.lastItems(ctx, c, full, anyNode, gained)
		}
	})
}

func anyNode(*record) bool { return true }

// lastItems shows the last items of an account's nodes, or some of them, to one session, in their place among the account's notifications.
func (m *Module) lastItems(ctx context.Context, account, full jid.JID, which func(*record) bool, gained func(feature string) bool) {
	svc := accountService(account)
	q := m.queue(svc.key(""))
	q.Post(func() {
		// An account with as many requests waiting has other cares: whoever missed an item asks for it.
		m.locks.run([]string{svc.key("")}, q, func(release func()) {
			defer release()
			m.showLast(ctx, svc, full, which, gained)
		})
	})
}

func (m *Module) showLast(ctx context.Context, svc *service, full jid.JID, which func(*record) bool, gained func(feature string) bool) {
	rows, err := m.t.node.Range(ctx, svc.name, "", "", m.o.Nodes, false)
	if err != nil {
		m.d.Log.Error("the nodes of an account cannot be read", "account", svc.name, "err", err)
		return
	}
	for _, row := range rows {
		if !gained(row.Key + notifySuffix) {
			continue
		}
		r, err := decodeRecord(row.Key, row.Value)
		if err != nil || r.Config.SendLast != node.SendPresence || !which(r) {
			continue
		}
		rel, err := m.relation(ctx, svc, r, full)
		if err != nil || r.Config.MayRetrieve(rel) != nil {
			continue
		}
		m.sendLastItem(ctx, svc, r, full)
	}
}

// opened shows the last item to those who may read an account's node from now on, since its access model is another (XEP-0060 §12.2).
func (o *op) opened(was node.Config) {
	rec := *o.rec
	if !o.svc.account || was.Access == rec.Config.Access || rec.Config.SendLast != node.SendPresence {
		return
	}
	before := *o.rec
	before.Config = was
	had := o.m.automatic(o.ctx, o.svc, &before, nil)
	o.after = append(o.after, func() {
		ctx := context.Background()
		for _, full := range o.m.automatic(ctx, o.svc, &rec, nil) {
			if !slices.Contains(had, full) {
				o.m.sendLastItem(ctx, o.svc, &rec, full)
			}
		}
	})
}

// rosterChanged ends what the change takes away from a contact, and shows last items to one who gets the account's presence from now on, or is in a
// group from now on that a node is for (XEP-0163 §4.3.4, XEP-0060 §12.2).
func (m *Module) rosterChanged(ctx context.Context, c *event.RosterChange) error {
	contact, err := jid.Parse(c.Item.Contact)
	if err != nil {
		return nil
	}
	contact = contact.Clone()
	ctx = event.WithSession(context.WithoutCancel(ctx), nil)
	gets := func(s string) bool { return s == "from" || s == "both" }
	regrouped := !slices.Equal(c.Item.Groups, c.Previous.Groups)
	now := gets(c.Item.Subscription) && !c.Removed
	if before := gets(c.Previous.Subscription); before && (!now || regrouped) {
		m.outOfReach(ctx, c, contact)
	}
	if m.caps == nil || !now || gets(c.Previous.Subscription) && !regrouped {
		return nil
	}
	newly := anyNode
	if gets(c.Previous.Subscription) {
		was := node.Relation{Affiliation: node.None, Presence: true, Groups: slices.Clone(c.Previous.Groups)}
		newly = func(r *record) bool { return r.Config.Access == node.Roster && r.Config.MayRetrieve(was) != nil }
	}
	var sessions []jid.JID
	if m.d.Hosts.IsLocal(contact.Domain()) {
		for _, s := range m.d.Sessions.Of(ctx, contact) {
			if s.Available {
				sessions = append(sessions, s.JID)
			}
		}
	} else {
		sessions = m.caps.Remote(c.Owner, contact)
	}
	for _, full := range slices.Clone(sessions) {
		m.lastItems(ctx, c.Owner.Bare(), full, newly, func(f string) bool { return m.caps.Supports(ctx, full, f) })
	}
	return nil
}
