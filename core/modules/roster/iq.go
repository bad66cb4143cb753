package roster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func formatVersion(v int64) string { return strconv.FormatInt(v, 10) }

func queryNode(version int64) *xmlstream.Node {
	return xmlstream.NewNode(ns.Roster, "query", "ver", formatVersion(version))
}

// itemNode: RFC 6121 §2.1.2.
func itemNode(it storage.RosterItem) *xmlstream.Node {
	n := xmlstream.NewNode(ns.Roster, "item", "jid", it.Contact, "subscription", it.Subscription)
	if it.Name != "" {
		n.SetAttr("name", it.Name)
	}
	if it.Ask {
		n.SetAttr("ask", stanza.TypeSubscribe)
	}
	if it.Approved {
		n.SetAttr("approved", "true")
	}
	for _, g := range it.Groups {
		n.Add(xmlstream.NewNode(ns.Roster, "group").SetText(g))
	}
	return n
}

func removedNode(contact string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Roster, "item", "jid", contact, "subscription", "remove")
}

// get: RFC 6121 §2.1.3, §2.1.4; with "ver", §2.6. The reply goes behind what is under way in the account's lane, so that nothing is shown
// that is not committed.
func (m *Module) get(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	if req.Session != nil {
		req.Session.SetFlag(event.FlagInterested, true) // RFC 6121 §2.2
	}
	owner := req.Target().Bare()
	a, err := m.cache.lock(ctx, owner.String())
	if err != nil {
		return nil, err
	}
	defer m.cache.unlock(a)
	if since, err := strconv.ParseInt(req.Query.Attr("ver"), 10, 64); err == nil && req.Session != nil {
		ok, err := m.changes(ctx, a, owner, since, req)
		if err != nil || ok {
			return nil, err
		}
	}
	q := queryNode(a.version)
	for _, it := range a.items {
		if it.Listed {
			q.Add(itemNode(it))
		}
	}
	return q, nil
}

// changes answers with an empty result and the changes since a version as pushes (RFC 6121 §2.6.3), if that is less than everything.
// false: the whole roster is to be sent.
func (m *Module) changes(ctx context.Context, a *account, owner jid.JID, since int64, req *module.Request) (bool, error) {
	if since == a.version {
		return true, nil
	}
	changed, removed, now, ok, err := m.d.Store.Roster().Since(ctx, a.owner, since)
	if err != nil {
		return false, fmt.Errorf("roster: read changes: %w", err)
	}
	// What is not committed yet is not in the store, and comes as a push of its own.
	if !ok || now < since || len(changed)+len(removed) >= len(a.items) {
		return false, nil
	}
	session := req.Session
	req.OnCommit(func() {
		to := session.Info().JID
		for _, contact := range removed {
			session.Send(pushOf(owner, to, storage.RosterItem{Contact: contact, Version: now}, true))
		}
		for _, it := range changed {
			session.Send(pushOf(owner, to, it, !it.Listed))
		}
	})
	return true, nil
}

// set: RFC 6121 §2.1.5, §2.3, §2.4, §2.5.
func (m *Module) set(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	wanted, remove, err := m.parse(req)
	if err != nil {
		return nil, err
	}
	owner := req.Target().Bare()
	contact, err := jid.Parse(wanted.Contact)
	if err != nil {
		return nil, fmt.Errorf("roster: contact: %w", err)
	}
	req.Defer()
	owners := []jid.JID{owner}
	local := m.d.Hosts.IsAccountDomain(contact.Domain()) && contact.HasLocal()
	if remove && local {
		owners = append(owners, contact)
	}
	req.Unit.Lane = journal.AccountLane(owner.String())
	return nil, m.Update(ctx, req.Unit, owners, func(get func(o, c jid.JID) storage.RosterItem, put func(jid.JID, storage.RosterItem)) error {
		it := get(owner, contact)
		if remove {
			r := &event.RosterRemoval{Owner: owner, Contact: contact, Item: it, Unit: req.Unit}
			if local {
				r.Get, r.Put = get, put
			}
			if err := m.remove(ctx, r, put); err != nil {
				return err
			}
			m.replyAfter(req, owner)
			return nil
		}
		it.Listed, it.Name, it.Groups = true, wanted.Name, wanted.Groups
		m.replyAfter(req, owner)
		put(owner, it)
		return nil
	}, m.d.Journal.Submit)
}

// remove: RFC 6121 §2.5.2; the subscriptions that end with the item are the business of whoever listens.
func (m *Module) remove(ctx context.Context, r *event.RosterRemoval, put func(jid.JID, storage.RosterItem)) error {
	if !r.Item.Listed {
		return stanza.NewError(stanza.ItemNotFound, "This contact is not in the list.") // §2.5.3
	}
	if err := m.d.Events.Roster.Removing.Decide(ctx, r); err != nil {
		return err
	}
	put(r.Owner, storage.RosterItem{Contact: r.Item.Contact, Subscription: "none"})
	return nil
}

// replyAfter answers once the change is committed, before the pushes. Nothing may fail behind it: an error is answered otherwise.
func (m *Module) replyAfter(req *module.Request, owner jid.JID) {
	router := m.d.Router
	req.Unit.After(m.lanes.Lane(owner), func(err error) {
		ctx := context.Background()
		switch {
		case err != nil:
			router.Send(ctx, req.IQ.ErrorReply(&stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait",
				Text: "The server cannot store this now; try again later.", Cause: err}))
		case req.Session != nil:
			req.Session.Send(req.IQ.Result())
		default:
			router.Send(ctx, req.IQ.Result())
		}
	})
}

// parse reads the only item of a roster set (RFC 6121 §2.1.5, §2.3.3).
func (m *Module) parse(req *module.Request) (storage.RosterItem, bool, error) {
	bad := func(c stanza.Condition, text string) (storage.RosterItem, bool, error) {
		return storage.RosterItem{}, false, stanza.NewError(c, text)
	}
	var item *xmlstream.Node
	for n := range req.Query.Node().Children(ns.Roster, "item") {
		if item != nil {
			return bad(stanza.BadRequest, "A roster set has exactly one item.")
		}
		item = n
	}
	if item == nil {
		return bad(stanza.BadRequest, "A roster set has exactly one item.")
	}
	contact, err := jid.Parse(item.Attr("jid"))
	if err != nil {
		return bad(stanza.JIDMalformed, "The contact's address is not valid.")
	}
	contact = contact.Bare().Clone()
	if contact == req.Target().Bare() {
		return bad(stanza.NotAllowed, "One is not one's own contact.")
	}
	it := storage.RosterItem{Contact: contact.String(), Name: item.Attr("name")}
	if item.Attr("subscription") == "remove" {
		return it, true, nil
	}
	if len(it.Name) > m.o.MaxNameBytes {
		return bad(stanza.NotAcceptable, "The name is too long.")
	}
	it.Groups, err = m.groups(item)
	return it, false, err
}

func (m *Module) groups(item *xmlstream.Node) ([]string, error) {
	var groups []string
	seen := map[string]bool{}
	for n := range item.Children(ns.Roster, "group") {
		g := n.TextContent()
		switch {
		case seen[g]:
			return nil, stanza.NewError(stanza.BadRequest, "A group is there twice.")
		case strings.TrimSpace(g) == "":
			return nil, stanza.NewError(stanza.NotAcceptable, "A group has a name.")
		case len(g) > m.o.MaxNameBytes:
			return nil, stanza.NewError(stanza.NotAcceptable, "The name of a group is too long.")
		case len(groups) == m.o.MaxGroups:
			return nil, stanza.NewError(stanza.NotAcceptable, "There are too many groups.")
		}
		seen[g] = true
		groups = append(groups, g)
	}
	return groups, nil
}
