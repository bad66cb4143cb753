package matrixid

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"

	"maunium.net/go/mautrix/id"
)

// Namespace is what the bridge owns on its homeserver: users and aliases that
// begin with Prefix. Its names are for ever.
type Namespace struct {
	Prefix string // "_xmpp_"
	Server string // server name of the homeserver
}

// Ghost is the Matrix user of an XMPP person.
type Ghost struct {
	UserID    string
	Localpart string
	// Exactly one of these is set, or none for a user whose name is too long to be
	// read back (Hashed).
	Address  string // bare JID
	Occupant string // occupant id of somebody whose address may not be shown
	Hashed   bool
}

// occupantMark and hashMark begin what is no bare JID: one has no '/'.
const (
	occupantMark = "occ/"
	hashMark     = "h/"
)

// Person is the ghost of a bare JID.
func (n Namespace) Person(bareJID string) Ghost {
	return n.ghost(bareJID, Ghost{Address: bareJID})
}

// Occupant is the ghost of somebody of whom only the occupant id may be known.
func (n Namespace) Occupant(occupantID string) Ghost {
	return n.ghost(occupantMark+occupantID, Ghost{Occupant: occupantID})
}

func (n Namespace) ghost(name string, g Ghost) Ghost {
	g.Localpart = n.Prefix + id.EncodeUserLocalpart(name)
	if len(g.Localpart)+len(n.Server)+2 > MaxLength {
		g.Localpart = n.Prefix + id.EncodeUserLocalpart(hashMark+hash(name))
		g.Hashed = true
	}
	g.UserID = "@" + g.Localpart + ":" + n.Server
	return g
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// Read recognises a ghost by its user id.
func (n Namespace) Read(userID string) (Ghost, bool) {
	local, ok := strings.CutPrefix(userID, "@")
	if !ok {
		return Ghost{}, false
	}
	local, ok = strings.CutSuffix(local, ":"+n.Server)
	if !ok {
		return Ghost{}, false
	}
	encoded, ok := strings.CutPrefix(local, n.Prefix)
	if !ok || encoded == "" {
		return Ghost{}, false
	}
	g := Ghost{UserID: userID, Localpart: local}
	name, err := id.DecodeUserLocalpart(encoded)
	switch {
	case err != nil || id.EncodeUserLocalpart(name) != encoded:
		// In our namespace, but no spelling of ours: nobody.
		return Ghost{}, false
	case strings.HasPrefix(name, occupantMark):
		g.Occupant = strings.TrimPrefix(name, occupantMark)
	case strings.HasPrefix(name, hashMark):
		g.Hashed = true
	case strings.Contains(name, "/"):
		return Ghost{}, false
	default:
		g.Address = name
	}
	return g, true
}

// Owns reports whether a user id lies in the namespace, whoever it may be.
func (n Namespace) Owns(userID string) bool {
	return strings.HasPrefix(userID, "@"+n.Prefix) && strings.HasSuffix(userID, ":"+n.Server)
}

// RoomAlias is the alias under which an XMPP room can be found.
func (n Namespace) RoomAlias(bareJID string) string {
	return "#" + n.Prefix + id.EncodeUserLocalpart(bareJID) + ":" + n.Server
}

// ReadAlias reads the XMPP room back from such an alias.
func (n Namespace) ReadAlias(alias string) (bareJID string, ok bool) {
	g, ok := n.Read("@" + strings.TrimPrefix(alias, "#"))
	return g.Address, ok && strings.HasPrefix(alias, "#") && g.Address != ""
}

// UserRegex and AliasRegex are the exclusive namespaces of the registration;
// without a Server they are for any.
func (n Namespace) UserRegex() string {
	return "@" + regexp.QuoteMeta(n.Prefix) + ".*:" + n.serverRegex()
}

// AliasRegex is UserRegex for aliases.
func (n Namespace) AliasRegex() string {
	return "#" + regexp.QuoteMeta(n.Prefix) + ".*:" + n.serverRegex()
}

func (n Namespace) serverRegex() string {
	if n.Server == "" {
		return ".*"
	}
	return regexp.QuoteMeta(n.Server)
}
