package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
)

// OrphanPolicy says what becomes of a room when the account of its only owner is deleted (XEP-0045 §5.2: a room needs an owner).
type OrphanPolicy string

// The policies.
const (
	OrphanHeir    OrphanPolicy = "heir"    // an admin becomes its owner; without one it waits for an administrator of the server
	OrphanDestroy OrphanPolicy = "destroy" // an admin becomes its owner; without one it ends when nobody is in it any more
	OrphanKeep    OrphanPolicy = "keep"    // it waits for an administrator of the server
)

// succession is what becomes of a room whose owner's account was deleted; the zero value is nothing.
type succession struct {
	heir    string       // bare JID of the admin who becomes its owner
	config  *room.Config // nil: as it is
	destroy bool
}

// succession decides. Of several admins the first by address is taken, so that it does not depend on who happens to be there.
func (a *actor) succession(u *journal.Unit, who jid.JID, was room.Affiliation) succession {
	var s succession
	policy := a.m.o.Ownerless
	for _, l := range a.room.List(room.Owner) {
		if l.JID != who.String() {
			return a.inherit(s, who)
		}
	}
	if was != room.Owner || a.room.Config.Origin != "" || policy == OrphanKeep {
		return s
	}
	for _, l := range a.room.List(room.Admin) {
		if l.JID != who.String() && a.mayInherit(u, l.JID) {
			s.heir = l.JID
			return a.inherit(s, who)
		}
	}
	switch {
	case policy != OrphanDestroy:
	case a.room.Len() == 0:
		s.destroy = true
	case a.room.Config.Persistent: // it ends with its last occupant
		c := a.room.Config.Clone()
		c.Persistent, c.Keeper = false, ""
		s.config = &c
	}
	return s
}

// mayInherit asks those who may object to a new owner, such as the bridge of a linked room.
func (a *actor) mayInherit(u *journal.Unit, bare string) bool {
	heir, err := jid.Parse(bare)
	if err != nil || !heir.HasLocal() {
		return false
	}
	mark := u.Mark()
	v := &event.RoomAffiliation{Room: a.jid, Target: heir, Affiliation: room.Owner.String(), PreviousAffiliation: room.Admin.String(), Unit: u}
	if err := decide(a, &a.m.ev.Affiliation, v, nil); err != nil {
		u.Back(mark)
		return false
	}
	return true
}

// inherit lets the room count for its new owner, if it counted for the one who is gone (§14.6).
func (a *actor) inherit(s succession, who jid.JID) succession {
	if a.room.Config.Keeper != who.String() {
		return s
	}
	c := a.room.Config.Clone()
	c.Keeper = s.heir
	if s.heir == "" {
		for _, l := range a.room.List(room.Owner) {
			if l.JID != who.String() {
				c.Keeper = l.JID
				break
			}
		}
	}
	s.config = &c
	return s
}

// succeed commits what was decided together with the rest of the unit.
func (a *actor) succeed(in *inbound, s succession, done func(error)) {
	if s.destroy {
		a.endRoom(in.u, "The account of the last owner was deleted.", done)
		return
	}
	if s.config != nil {
		a.saveConfig(in.u, *s.config)
	}
	a.commit(in.u, func(err error) {
		if err == nil && s.config != nil {
			a.room.Config = *s.config
			a.room.Version++
		}
		done(err)
	})
}
