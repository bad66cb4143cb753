package room

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Actor is who asks for something: perhaps an occupant, perhaps somebody outside with an affiliation.
type Actor struct {
	Bare        jid.JID
	Affiliation Affiliation
	Role        Role // NoRole if she is not in the room
	Nick        string
	// Service is the gateway or an administrator of the server: everything is allowed but to leave a room without an owner.
	Service bool
}

// ActorOf returns who a full JID is to the room.
func (r *Room) ActorOf(full jid.JID) Actor {
	a := Actor{Bare: full.Bare(), Affiliation: r.Affiliation(full)}
	o := r.sessions[full]
	if o == nil { // XEP-0045 §8: it is the bare JID that counts; any occupant of hers lends her role
		for _, c := range r.ByBare(full.Bare()) {
			if o == nil || c.Role > o.Role {
				o = c
			}
		}
	}
	if o != nil && !o.Puppet {
		a.Role, a.Nick = o.Role, o.Nick
	}
	return a
}

// MayReadList tells whether the actor may read one of the lists (XEP-0045 §9.2, §9.5, §10.5, §10.8, and attacks on privacy: a list shows
// real JIDs).
func (r *Room) MayReadList(a Actor, list Affiliation) error {
	ok := a.Service || a.Affiliation == Owner
	switch list {
	case Outcast:
		ok = ok || a.Affiliation >= Admin
	case Member:
		// §9.5: in a non-anonymous room members may read it, otherwise admins only; getmemberlist may open it to roles.
		ok = ok || a.Affiliation >= Admin || r.Config.NonAnonymous && a.Affiliation >= Member || slices.Contains(r.Config.MemberListRoles, a.Role)
	case Admin, Owner:
		ok = ok || r.Config.NonAnonymous && a.Affiliation >= Member
	default:
		return stanza.NewError(stanza.BadRequest, "there is no such list")
	}
	if ok {
		return nil
	}
	return stanza.NewError(stanza.Forbidden, "you may not read this list")
}

// MayReadRoles tells whether the actor may read the occupants of a role (XEP-0045 §8.5, §9.8).
func (r *Room) MayReadRoles(a Actor, role Role) error {
	switch {
	case a.Service, role == Moderator && a.Affiliation >= Admin, role != Moderator && (a.Role == Moderator || a.Affiliation >= Admin):
		return nil
	}
	return stanza.NewError(stanza.Forbidden, "you may not read this list")
}

// CheckRole decides on a change of an occupant's role (XEP-0045 §5.1.3, §8.2 to §8.4, §9.6, §9.7).
func (r *Room) CheckRole(a Actor, target *Occupant, want Role) error {
	t := r.Affiliation(target.Bare)
	switch {
	case a.Service:
		return nil
	case a.Role != Moderator && a.Affiliation < Admin:
		return stanza.NewError(stanza.Forbidden, "only moderators may do this")
	case want == NoRole && t > a.Affiliation: // §8.2
		return stanza.NewError(stanza.NotAllowed, "you cannot remove somebody with a higher affiliation")
	case want == NoRole && target.Role == Moderator && a.Affiliation < Admin && target.Bare != a.Bare: // §5.1.3: moderators are removed by admins
		return stanza.NewError(stanza.NotAllowed, "only admins may remove a moderator")
	case want != NoRole && want < target.Role && t >= Admin: // §8.4, §9.7: voice and moderation of admins and owners cannot be revoked
		return stanza.NewError(stanza.NotAllowed, "this cannot be taken from an admin or owner")
	case (want == Moderator || target.Role == Moderator && want != NoRole) && a.Affiliation < Admin: // §9.6, §9.7
		return stanza.NewError(stanza.Forbidden, "only admins may make and unmake moderators")
	case want == Visitor && target.Role == Participant && t > None && t >= a.Affiliation: // §8.4
		return stanza.NewError(stanza.NotAllowed, "you cannot revoke the voice of somebody with your own or a higher affiliation")
	}
	return nil
}

// AffiliationChange is one requested change of a list.
type AffiliationChange struct {
	Target      string // bare JID, or a domain for a ban
	Affiliation Affiliation
	Nick        *string // reserved nick; nil: keep, "" : remove
	Reason      string
}

// Lists are kept in memory and stored: what one room's people can put there is bounded (attacks row 27).
const (
	maxEntries = 10000
	maxReason  = 2048 // bytes
)

// CheckPlace tells whether the lists have room for so many more entries.
func (r *Room) CheckPlace(more int) error {
	if more > 0 && len(r.entries)+more > maxEntries {
		return stanza.NewError(stanza.ResourceConstraint, "the lists of this room are full")
	}
	return nil
}

// CheckAffiliations decides on a request as a whole: if one change is refused, none is made (XEP-0045 §9.2).
func (r *Room) CheckAffiliations(a Actor, changes []AffiliationChange) error {
	owners, more := r.Owners(), 0
	for i := range changes {
		c := &changes[i]
		old := None
		if e, ok := r.entries[c.Target]; ok {
			old = e.Affiliation
		} else if c.Affiliation != None && !a.Service {
			more++
		}
		if len(c.Reason) > maxReason && !a.Service {
			return stanza.NewError(stanza.NotAcceptable, "the reason is too long")
		}
		if err := checkAffiliation(a, old, c); err != nil {
			return err
		}
		if c.Nick != nil && *c.Nick != "" {
			if owner, ok := r.reserved[fold(*c.Nick)]; ok && owner != c.Target || !visible(*c.Nick) || len(*c.Nick) > maxNick {
				return stanza.NewError(stanza.Conflict, "this nick cannot be reserved")
			}
		}
		owners += btoi(c.Affiliation == Owner) - btoi(old == Owner)
	}
	if owners == 0 && r.Owners() > 0 { // §10.4
		return stanza.NewError(stanza.Conflict, "a room needs an owner")
	}
	return r.CheckPlace(more)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func checkAffiliation(a Actor, old Affiliation, c *AffiliationChange) error {
	if a.Service {
		return nil
	}
	self := c.Target == a.Bare.String()
	switch {
	case a.Affiliation < Admin && self && old == Member && c.Affiliation == None:
		return nil // a member may give up her membership
	case a.Affiliation < Admin:
		return stanza.NewError(stanza.Forbidden, "only admins and owners may do this") // §9
	case self && c.Affiliation == Outcast:
		return stanza.NewError(stanza.Conflict, "you cannot ban yourself") // §9.1
	case c.Affiliation == Outcast && a.Affiliation < Owner && old >= a.Affiliation:
		return stanza.NewError(stanza.NotAllowed, "you cannot ban somebody with your own or a higher affiliation") // §9.1, §5.2.2
	case a.Affiliation < Owner && (c.Affiliation >= Admin || old >= Admin):
		return stanza.NewError(stanza.Forbidden, "only owners may do this") // §10.3 to §10.8
	}
	return nil
}

// Effect is what a change of affiliations does to somebody in the room.
type Effect struct {
	Occupant *Occupant
	// Role is the new role; NoRole: she is out, with Status (301 banned, 321 no longer a member of a members-only room).
	Role   Role
	Status int
	Change AffiliationChange
}

// Apply writes changes to the lists and returns what they do to occupants; the occupants themselves are not changed yet.
func (r *Room) Apply(changes []AffiliationChange) []Effect {
	var out []Effect
	for _, c := range changes {
		before := map[*Occupant]Affiliation{}
		for _, o := range r.order {
			if o.Bare.String() == c.Target || c.Affiliation == Outcast && o.Bare.Domain() == c.Target {
				before[o] = r.Affiliation(o.Bare)
			}
		}
		if old := r.entryAffiliation(c.Target); old != c.Affiliation {
			r.SetVoice(c.Target, NoRole) // what a moderator had made of the old one
		}
		r.SetEntry(c.Target, r.Line(c))
		for _, o := range r.order {
			old, hit := before[o]
			if !hit {
				continue
			}
			now := r.Affiliation(o.Bare)
			e := Effect{Occupant: o, Role: roleAfter(old, now, o.Role, r.Config.Moderated), Change: c}
			switch {
			case now == Outcast:
				e.Role, e.Status = NoRole, 301 // §9.1
			case now < Member && r.Config.MembersOnly && !o.Puppet:
				e.Role, e.Status = NoRole, 321 // §9.4
			case now == old:
				continue
			}
			out = append(out, e)
		}
	}
	return out
}

// Line is the entry that a change leads to.
func (r *Room) Line(c AffiliationChange) Entry {
	e := r.entries[c.Target]
	e.Affiliation, e.Reason = c.Affiliation, c.Reason
	if c.Nick != nil {
		e.Nick = *c.Nick
	}
	if c.Affiliation == Outcast {
		e.Nick = "" // §9.1
	}
	return e
}

// Outsiders returns the occupants that may no longer stay once the room is members-only (XEP-0045 §10.2, status 322).
func (r *Room) Outsiders() []*Occupant {
	var out []*Occupant
	for _, o := range r.order {
		if !o.Puppet && r.Affiliation(o.Bare) < Member {
			out = append(out, o)
		}
	}
	return out
}
