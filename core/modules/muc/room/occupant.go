package room

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Occupant is a person in a room under one nick, with one or more sessions (XEP-0045 §7.2.8), or a puppet with none.
type Occupant struct {
	Nick   string
	Bare   jid.JID // real bare JID; of a puppet, its JID at the bridge
	ID     string  // occupant id (XEP-0421)
	Role   Role
	Puppet bool
	Domain string // the gateway's host that injects it; "" for sessions
	// Fallbacks are further nicks that a puppet may be given when somebody else is to have its nick.
	Fallbacks []string
	// Presence is what the occupant shows: show, status and other payload, without what the room itself stamps.
	Presence xmlstream.Fragment
	// Sessions in the order of their entering; the last one that sent presence is what Presence shows.
	Sessions []jid.JID

	// VoiceAsked tells that a request for voice waits for a moderator (XEP-0045 §7.13).
	VoiceAsked bool
	// Asks, Shows and Renames bound how often she asks for voice, changes what she shows, and changes her nick.
	Asks, Shows, Renames Bucket

	// Cache belongs to whoever broadcasts presence; the room clears it when something changed that presence shows.
	Cache any
}

// HasSession tells whether the full JID is one of the occupant's sessions.
func (o *Occupant) HasSession(full jid.JID) bool { return slices.Contains(o.Sessions, full) }

// RealJID returns the JID to show to those who may see it: the first session, or the puppet's bare JID.
func (o *Occupant) RealJID() jid.JID {
	if len(o.Sessions) > 0 {
		return o.Sessions[0]
	}
	return o.Bare
}

// changed forgets what was built of the occupant.
func (o *Occupant) changed() { o.Cache = nil }

// SetPresence replaces what the occupant shows.
func (o *Occupant) SetPresence(f xmlstream.Fragment) {
	o.Presence = f
	o.changed()
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// OccupantID makes the occupant id of a person (XEP-0421 §4): HMAC-SHA-256 under the room's secret over who it is, a real bare JID or the
// remote person's id with a prefix that no JID has. It is stable for the room, differs between rooms and tells nothing.
func OccupantID(secret []byte, who string) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("occupant\x00" + who))
	return idEncoding.EncodeToString(m.Sum(nil)[:20])
}

// RemoteKey is what OccupantID is made of for a remote person.
func RemoteKey(domain, id string) string { return "remote\x00" + domain + "\x00" + id }

// fold is the form in which nicks are compared: two nicks that differ in case only are one (XEP-0045 §7.2.8 leaves the rule to the service).
func fold(nick string) string { return strings.ToLower(nick) }
