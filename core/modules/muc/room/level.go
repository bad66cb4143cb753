package room

// Affiliation is the lasting relation of a person to a room (XEP-0045 §5.2). The order is the hierarchy.
type Affiliation uint8

// The affiliations.
const (
	Outcast Affiliation = iota
	None
	Member
	Admin
	Owner
)

var affiliationNames = [...]string{Outcast: "outcast", None: "none", Member: "member", Admin: "admin", Owner: "owner"}

// String returns the name on the wire.
func (a Affiliation) String() string {
	if int(a) < len(affiliationNames) {
		return affiliationNames[a]
	}
	return "none"
}

// ParseAffiliation reads the name on the wire.
func ParseAffiliation(s string) (Affiliation, bool) {
	for i, n := range affiliationNames {
		if n == s {
			return Affiliation(i), true
		}
	}
	return None, false
}

// Role is the relation of an occupant to a room for one visit (XEP-0045 §5.1). The order is the hierarchy.
type Role uint8

// The roles.
const (
	NoRole Role = iota
	Visitor
	Participant
	Moderator
)

var roleNames = [...]string{NoRole: "none", Visitor: "visitor", Participant: "participant", Moderator: "moderator"}

// String returns the name on the wire.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "none"
}

// ParseRole reads the name on the wire.
func ParseRole(s string) (Role, bool) {
	for i, n := range roleNames {
		if n == s {
			return Role(i), true
		}
	}
	return NoRole, false
}

// InitialRole is the role with which somebody enters (XEP-0045 §5.1.2).
func InitialRole(a Affiliation, moderated bool) Role {
	switch {
	case a == Outcast:
		return NoRole
	case a >= Admin:
		return Moderator
	case a == None && moderated:
		return Visitor
	}
	return Participant
}

// roleAfter is the role of an occupant whose affiliation has changed (XEP-0045 §5.1.3, last note): what a higher affiliation brings is
// fixed, what is lost with a lower one is up to the service: here the role falls back to the initial one only if the old
// affiliation was what had given it.
func roleAfter(old, now Affiliation, role Role, moderated bool) Role {
	initial := InitialRole(now, moderated)
	switch {
	case now == Outcast:
		return NoRole
	case now > old:
		return max(role, initial)
	case role == InitialRole(old, moderated):
		return initial
	}
	return role
}

// MarshalText makes stored configurations readable.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote; an unknown name is NoRole.
func (r *Role) UnmarshalText(b []byte) error {
	*r, _ = ParseRole(string(b))
	return nil
}
