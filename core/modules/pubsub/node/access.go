package node

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Affiliation is what somebody is to a node for good (XEP-0060 §4.1).
type Affiliation string

// The affiliations.
const (
	Owner       Affiliation = "owner"
	Publisher   Affiliation = "publisher"
	PublishOnly Affiliation = "publish-only"
	Member      Affiliation = "member"
	None        Affiliation = "none"
	Outcast     Affiliation = "outcast"
)

var affiliations = []Affiliation{Owner, Publisher, PublishOnly, Member, None, Outcast}

// ParseAffiliation reads an affiliation.
func ParseAffiliation(s string) (Affiliation, bool) {
	return Affiliation(s), slices.Contains(affiliations, Affiliation(s))
}

// Relation is what somebody is to a node at the moment.
type Relation struct {
	Affiliation Affiliation
	Subscribed  bool // has a subscription that is in force
	// Presence tells whether she gets the owner's presence, Groups in which groups of the owner's roster she is.
	Presence bool
	Groups   []string
}

// MayRetrieve tells whether somebody may read items, and get notifications (XEP-0060 §4.1, §4.5, §6.5.9).
func (c *Config) MayRetrieve(r Relation) error {
	switch r.Affiliation {
	case Owner, Publisher, Member:
		return nil
	case Outcast, PublishOnly: // §6.5.9.10, §4.1
		return Forbidden("You may not read this node.")
	}
	switch c.Access {
	case Open:
		return nil
	case Authorize:
		if r.Subscribed {
			return nil
		}
		return Refuse(stanza.NotAuthorized, "", "not-subscribed", "This node is read by its subscribers only.") // §6.5.9.3
	}
	return c.admits(r)
}

// admits answers for presence, roster and whitelist (§6.1.3.2 to §6.1.3.4).
func (c *Config) admits(r Relation) error {
	switch c.Access {
	case Presence:
		if r.Presence {
			return nil
		}
		return Refuse(stanza.NotAuthorized, "", "presence-subscription-required", "This node is for those who see the owner's presence.")
	case Roster:
		if r.Presence && slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(c.Groups, g) }) {
			return nil
		}
		return Refuse(stanza.NotAuthorized, "", "not-in-roster-group", "This node is for some groups of the owner's contacts.")
	}
	return Refuse(stanza.NotAllowed, "", "closed-node", "This node is for those on its list.")
}

// MaySubscribe tells whether somebody may subscribe; pending: an owner has to approve (XEP-0060 §6.1.3, §6.1.4).
func (c *Config) MaySubscribe(r Relation) (pending bool, err error) {
	switch {
	case r.Affiliation == Owner || r.Affiliation == Publisher || r.Affiliation == Member:
		if !c.Subscribe && r.Affiliation != Owner {
			return false, Unsupported("subscribe", "This node takes no subscriptions.")
		}
		return false, nil
	case r.Affiliation == Outcast || r.Affiliation == PublishOnly: // §6.1.3.8
		return false, Forbidden("You may not subscribe to this node.")
	case !c.Subscribe: // §6.1.3.10
		return false, Unsupported("subscribe", "This node takes no subscriptions.")
	case c.Access == Open:
		return false, nil
	case c.Access == Authorize:
		return true, nil
	}
	return false, c.admits(r)
}

// MayPublish: XEP-0060 §7.1.3.1, §4.1.
func (c *Config) MayPublish(r Relation) bool {
	switch r.Affiliation {
	case Owner, Publisher, PublishOnly:
		return true
	case Outcast:
		return false
	}
	switch c.Publish {
	case ByAnyone:
		return true
	case BySubscribers:
		return r.Subscribed
	}
	return false
}

// MayRetract tells whether somebody may delete an item that publisher has published (XEP-0060 §7.2.3.1, table 1).
func (c *Config) MayRetract(r Relation, own bool) bool {
	switch r.Affiliation {
	case Owner, Publisher:
		return true
	}
	return own && c.MayPublish(r)
}

// MayAssociate tells whether somebody may put nodes into the collection (XEP-0248 §7.2: children_association_policy).
func (c *Config) MayAssociate(a Affiliation, bare string) bool {
	if a == Owner {
		return true
	}
	switch c.ChildrenPolicy {
	case ChildrenAll:
		return a != Outcast
	case ChildrenWhitelist:
		return slices.Contains(c.ChildrenWhitelist, bare)
	}
	return false
}
