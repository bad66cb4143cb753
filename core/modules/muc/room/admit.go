package room

import (
	"crypto/subtle"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// JoinRequest is what somebody brings who wants to enter.
type JoinRequest struct {
	Who      jid.JID // full
	Nick     string
	Password string
	// Invited: she has brought a valid invitation (XEP-0488): it makes her a member, and is as good as the password.
	Invited bool
}

// Admission is the answer to a JoinRequest that is let in.
type Admission struct {
	Affiliation Affiliation
	Role        Role
	// Displaces is a puppet that has to take another nick, because people here win over puppets; nil mostly.
	Displaces *Occupant
}

// Admit decides on entering (XEP-0045 §7.2.5 to §7.2.10). The order of the tests is that of what an outsider may learn: first whether she is wanted
// at all, then what she would have to bring.
func (r *Room) Admit(j JoinRequest) (Admission, error) {
	a := Admission{Affiliation: r.Affiliation(j.Who)}
	if j.Invited && a.Affiliation == None {
		a.Affiliation = Member
	}
	switch {
	case a.Affiliation == Outcast:
		return a, stanza.NewError(stanza.Forbidden, "you are banned from this room") // §7.2.7
	case r.Config.Locked && a.Affiliation < Owner:
		return a, stanza.NewError(stanza.ItemNotFound, "this room is not open yet") // §7.2.10
	case r.Config.MembersOnly && a.Affiliation < Member:
		return a, stanza.NewError(stanza.RegistrationRequired, "only members may enter this room") // §7.2.6
	case !j.Invited && !r.passwordFits(a.Affiliation, j.Password):
		return a, stanza.NewError(stanza.NotAuthorized, "this room needs a password") // §7.2.5
	}
	displaces, err := r.CheckNick(j.Who, j.Nick)
	if err != nil {
		return a, err
	}
	if err := r.checkRoom(a.Affiliation, j); err != nil {
		return a, err
	}
	a.Displaces = displaces
	a.Role = r.RoleOf(j.Who, a.Affiliation)
	if o := r.ByNick(j.Nick); o != nil && !o.Puppet {
		a.Role = o.Role // another session of an occupant keeps what she has
	}
	return a, nil
}

// RoleOf is the role with which a person enters: what her affiliation gives and, in a moderated room, what a moderator has made of it at an
// earlier visit (XEP-0045 §5.1, §5.1.2).
func (r *Room) RoleOf(who jid.JID, a Affiliation) Role {
	role := InitialRole(a, r.Config.Moderated)
	if v, ok := r.voices[who.Bare().String()]; ok && r.Config.Moderated && a > Outcast && a < Admin {
		return v
	}
	return role
}

// passwordFits compares in constant time. Owners need none: whoever may read the configuration may read the password.
func (r *Room) passwordFits(a Affiliation, given string) bool {
	return r.Config.Password == "" || a == Owner || subtle.ConstantTimeCompare([]byte(r.Config.Password), []byte(given)) == 1
}

// extraSeats is how many admins and owners fit above the limit (XEP-0045 §7.2.9).
const extraSeats = 20

func (r *Room) checkRoom(a Affiliation, j JoinRequest) error {
	most := r.Config.MaxUsers
	if most == 0 || r.sessions[j.Who] != nil || r.ByNick(j.Nick) != nil && !r.ByNick(j.Nick).Puppet {
		return nil
	}
	if a >= Admin {
		most += extraSeats
	}
	if r.People() < most {
		return nil
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable, Type: "wait", Text: "this room is full"} // §7.2.9
}

// maxNick bounds nicks, in bytes: a nick stands in every stanza of its occupant.
const maxNick = 255

// CheckNick tells whether a person may have a nick (XEP-0045 §7.2.8, §7.6): not while another person has it or has reserved it. A puppet that
// has it must give way.
func (r *Room) CheckNick(who jid.JID, nick string) (displaces *Occupant, err error) {
	bare := who.Bare()
	if len(nick) > maxNick || !visible(nick) {
		return nil, stanza.NewError(stanza.JIDMalformed, "this nick cannot be used")
	}
	if owner, ok := r.reserved[fold(nick)]; ok && owner != bare.String() {
		return nil, stanza.NewError(stanza.Conflict, "this nick is reserved by somebody else")
	}
	o := r.nicks[fold(nick)]
	switch {
	case o == nil:
		return nil, nil
	case o.Puppet:
		return o, nil
	case o.Bare != bare:
		return nil, stanza.NewError(stanza.Conflict, "somebody else has this nick")
	case o.Nick != nick && (!o.HasSession(who) || len(o.Sessions) > 1):
		// The same person in another spelling: one nick has one spelling for all its sessions.
		return nil, stanza.NewError(stanza.Conflict, "another session of yours has this nick in another spelling")
	}
	return nil, nil
}

// FreeNick returns the first of the wanted nicks that a puppet can have, or the first of them with a number behind it. taken are nicks that are
// to be given to nobody else, beside those in use. who is the puppet's JID.
func (r *Room) FreeNick(who jid.JID, taken Nicks, wanted ...string) string {
	base := ""
	for _, n := range wanted {
		if r.free(who, n, taken) {
			return n
		}
		if base == "" && r.possible(n) && len(n) <= maxNick-12 {
			base = n
		}
	}
	if base == "" {
		base = "guest"
	}
	for i := 2; ; i++ {
		if n := base + " " + strconv.Itoa(i); r.free(who, n, taken) {
			return n
		}
	}
}

// possible tells whether a nick can be used at all, as it is.
func (r *Room) possible(n string) bool {
	j, err := r.JID.WithResource(n)
	return err == nil && j.Resource() == n && len(n) <= maxNick && visible(n)
}

func (r *Room) free(who jid.JID, n string, taken Nicks) bool {
	if !r.possible(n) || taken.Has(n) {
		return false
	}
	if owner, ok := r.reserved[fold(n)]; ok && owner != who.String() {
		return false
	}
	o := r.nicks[fold(n)]
	return o == nil || o.Bare == who && o.Puppet
}

// Nicks is a set of nicks, compared as the room compares them.
type Nicks map[string]bool

// Add adds a nick.
func (s Nicks) Add(nick string) { s[fold(nick)] = true }

// Has tells whether a nick is in the set.
func (s Nicks) Has(nick string) bool { return s[fold(nick)] }
