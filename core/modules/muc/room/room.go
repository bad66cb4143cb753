package room

import (
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Entry is one line of a room's lists.
type Entry struct {
	Affiliation Affiliation
	Nick        string // reserved nick (XEP-0045 §7.12), "" none
	Reason      string
}

// Subject is the subject of a room with who set it, and when.
type Subject struct {
	Text string    `json:"text,omitempty"`
	Lang string    `json:"lang,omitempty"`
	Nick string    `json:"nick,omitempty"` // "": the room itself
	ID   string    `json:"occupant,omitempty"`
	At   time.Time `json:"at,omitzero"` // zero: never set
}

// Room is the state of one room.
type Room struct {
	JID     jid.JID
	Config  Config
	Subject Subject
	Secret  []byte
	Created time.Time
	Version int64

	entries  map[string]Entry  // bare JID or domain -> entry; none is absent
	reserved map[string]string // folded reserved nick -> bare JID
	nicks    map[string]*Occupant
	sessions map[jid.JID]*Occupant
	bares    map[jid.JID][]*Occupant
	order    []*Occupant
	voices   map[string]Role // bare JID -> visitor or participant, where a moderator has decided otherwise than the affiliation
	puppets  int
	seen     seen
}

// seen are the occupants whose role is broadcast, in the order of their entering: what somebody who enters a room with hidden roles is shown. It is
// made when it is needed, so that entering a room of thousands who are not shown does not cost a look at each.
type seen struct {
	valid  bool
	hidden []Role // the roles that it leaves out
	list   []*Occupant
}

// New returns an empty room.
func New(at jid.JID, c Config, secret []byte) *Room {
	return &Room{JID: at, Config: c, Secret: secret,
		entries: map[string]Entry{}, reserved: map[string]string{}, nicks: map[string]*Occupant{}, sessions: map[jid.JID]*Occupant{},
		bares: map[jid.JID][]*Occupant{}, voices: map[string]Role{}}
}

// Entry returns the line of a bare JID.
func (r *Room) Entry(who jid.JID) (Entry, bool) {
	e, ok := r.entries[who.Bare().String()]
	return e, ok
}

// Affiliation returns what a person is to the room. A ban may name a whole domain (XEP-0045 §9.2).
func (r *Room) Affiliation(who jid.JID) Affiliation {
	if e, ok := r.entries[who.Bare().String()]; ok {
		return e.Affiliation
	}
	if e, ok := r.entries[who.Domain()]; ok && e.Affiliation == Outcast {
		return Outcast
	}
	return None
}

// SetEntry writes a line; an affiliation of None removes it.
func (r *Room) SetEntry(bare string, e Entry) {
	if old, ok := r.entries[bare]; ok && old.Nick != "" && r.reserved[fold(old.Nick)] == bare {
		delete(r.reserved, fold(old.Nick))
	}
	if e.Affiliation == None {
		delete(r.entries, bare)
		return
	}
	r.entries[bare] = e
	if e.Nick != "" && e.Affiliation != Outcast { // XEP-0045 §9.1: a ban takes the reserved nick away
		r.reserved[fold(e.Nick)] = bare
	}
}

// Listed is an entry with its JID.
type Listed struct {
	JID string
	Entry
}

// List returns the entries of one affiliation in the order of their JIDs.
func (r *Room) List(a Affiliation) []Listed {
	var out []Listed
	for j, e := range r.entries {
		if e.Affiliation == a {
			out = append(out, Listed{j, e})
		}
	}
	slices.SortFunc(out, func(a, b Listed) int {
		switch {
		case a.JID < b.JID:
			return -1
		case a.JID > b.JID:
			return 1
		}
		return 0
	})
	return out
}

// JIDs returns the JIDs of one list.
func (r *Room) JIDs(a Affiliation) []string {
	var out []string
	for _, l := range r.List(a) {
		out = append(out, l.JID)
	}
	return out
}

// Owners returns how many owners there are.
func (r *Room) Owners() int {
	n := 0
	for _, e := range r.entries {
		if e.Affiliation == Owner {
			n++
		}
	}
	return n
}

// Occupants returns the occupants in the order of their entering; the slice must not be changed.
func (r *Room) Occupants() []*Occupant { return r.order }

// Len returns the number of occupants, puppets included.
func (r *Room) Len() int { return len(r.order) }

// SessionCount returns the number of sessions.
func (r *Room) SessionCount() int { return len(r.sessions) }

// ByNick returns the occupant of a nick, nil if there is none.
func (r *Room) ByNick(nick string) *Occupant {
	if o := r.nicks[fold(nick)]; o != nil && o.Nick == nick {
		return o
	}
	return nil
}

// BySession returns the occupant that a full JID is in the room as, nil if it is not.
func (r *Room) BySession(full jid.JID) *Occupant { return r.sessions[full] }

// People returns the number of occupants that are no puppets.
func (r *Room) People() int { return len(r.order) - r.puppets }

// ByBare returns the occupants of a person; the slice must not be changed.
func (r *Room) ByBare(bare jid.JID) []*Occupant { return r.bares[bare] }

// Puppet returns the puppet of a JID, nil if it is not in the room.
func (r *Room) Puppet(bare jid.JID) *Occupant {
	for _, o := range r.bares[bare] {
		if o.Puppet {
			return o
		}
	}
	return nil
}

// insert makes o an occupant.
func (r *Room) insert(o *Occupant) {
	r.nicks[fold(o.Nick)] = o
	r.bares[o.Bare] = append(slices.Clip(r.bares[o.Bare]), o)
	r.order = append(r.order, o)
	if r.seen.valid && !slices.Contains(r.seen.hidden, o.Role) {
		r.seen.list = append(r.seen.list, o)
	}
	if o.Puppet {
		r.puppets++
	}
}

// SeesJIDs tells whether an occupant is shown the real JIDs of others (XEP-0045 §7.2.3, §7.2.4).
func (r *Room) SeesJIDs(o *Occupant) bool { return r.Config.NonAnonymous || o.Role == Moderator }

// ShownTo returns the occupants that a viewer is shown (muc#roomconfig_presencebroadcast), in the order of their entering; the slice must not be
// changed. Moderators see everybody: otherwise they could not give voice to those who are hidden.
func (r *Room) ShownTo(viewer *Occupant) []*Occupant {
	if viewer.Role == Moderator || len(r.Config.HiddenRoles) == 0 {
		return r.order
	}
	if s := &r.seen; !s.valid || !slices.Equal(s.hidden, r.Config.HiddenRoles) {
		*s = seen{valid: true, hidden: slices.Clone(r.Config.HiddenRoles)}
		for _, o := range r.order {
			if r.Config.Broadcasts(o.Role) {
				s.list = append(s.list, o)
			}
		}
	}
	return r.seen.list
}

// Enter adds a session under a nick. The occupant is made if the nick is free, else the session joins the occupant that has it (it must be the
// same person: Admit has checked that). fresh tells that the occupant is new.
func (r *Room) Enter(full jid.JID, nick string, role Role) (o *Occupant, fresh bool) {
	if o = r.nicks[fold(nick)]; o == nil {
		o = &Occupant{Nick: nick, Bare: full.Bare(), ID: OccupantID(r.Secret, full.Bare().String()), Role: role}
		r.insert(o)
		fresh = true
	}
	if !o.HasSession(full) {
		o.Sessions = append(o.Sessions, full)
		r.sessions[full] = o
		o.changed()
	}
	return o, fresh
}

// EnterPuppet adds a puppet; its nick must be free.
func (r *Room) EnterPuppet(o *Occupant) {
	o.Puppet = true
	r.insert(o)
}

// Leave removes one session of an occupant. last tells that the occupant left with it.
func (r *Room) Leave(full jid.JID) (o *Occupant, last bool) {
	o = r.sessions[full]
	if o == nil {
		return nil, false
	}
	delete(r.sessions, full)
	o.Sessions = slices.DeleteFunc(slices.Clone(o.Sessions), func(s jid.JID) bool { return s == full })
	o.changed()
	if len(o.Sessions) > 0 {
		return o, false
	}
	r.Remove(o)
	return o, true
}

// Remove removes an occupant with all its sessions, which stay named in it.
func (r *Room) Remove(o *Occupant) {
	for _, s := range o.Sessions {
		delete(r.sessions, s)
	}
	if r.nicks[fold(o.Nick)] == o {
		delete(r.nicks, fold(o.Nick))
	}
	left := slices.DeleteFunc(slices.Clone(r.bares[o.Bare]), func(c *Occupant) bool { return c == o })
	if r.bares[o.Bare] = left; len(left) == 0 {
		delete(r.bares, o.Bare)
	}
	if i := slices.Index(r.order, o); i >= 0 {
		r.order = slices.Delete(r.order, i, i+1)
		r.seen.valid = r.seen.valid && slices.Contains(r.seen.hidden, o.Role)
		if o.Puppet {
			r.puppets--
		}
	}
}

// Rename gives an occupant another nick, which must be free or differ from the old one in case only.
func (r *Room) Rename(o *Occupant, nick string) {
	delete(r.nicks, fold(o.Nick))
	o.Nick = nick
	r.nicks[fold(nick)] = o
	o.changed()
}

// SetRole changes an occupant's role.
func (r *Room) SetRole(o *Occupant, role Role) {
	r.seen.valid = r.seen.valid && role == o.Role
	o.Role = role
	o.changed()
}

// Touch forgets what was built of every occupant: what presence shows of all has changed (a configuration).
func (r *Room) Touch() {
	for _, o := range r.order {
		o.changed()
	}
}

func (r *Room) entryAffiliation(who string) Affiliation {
	if e, ok := r.entries[who]; ok {
		return e.Affiliation
	}
	return None
}

// EntryOf returns the line of a bare JID or domain in its canonical form.
func (r *Room) EntryOf(who string) (Entry, bool) {
	e, ok := r.entries[who]
	return e, ok
}
