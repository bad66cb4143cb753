package event

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// MUC are the points of group chat (XEP-0045). They run in the room's own goroutine: one after the other for one room. Guards of
// Join, Subject, Affiliation and Moderate may return Pending: that stanza waits, the room's others go on.
type MUC struct {
	Lookup      Point[RoomLookup]      // somebody addresses a room that does not exist: a gateway may make it, or say where it is (gone)
	Create      Point[RoomCreate]      // a person creates a room
	Join        Point[RoomJoin]        // a person enters
	Joined      Point[RoomJoin]        // has entered
	Left        Point[RoomLeft]        // has left, for whatever reason
	Nick        Point[RoomJoin]        // changes her nick (Occupant.Nick is the new one)
	Message     Point[RoomMessage]     // a groupchat message is accepted; record: archive, outbox
	Private     Point[RoomPrivate]     // a private message to an occupant who is no session (a puppet)
	Subject     Point[RoomMessage]     // the subject is changed
	Presence    Point[RoomPresence]    // an occupant changes her presence in the room
	Affiliation Point[RoomAffiliation] // an affiliation or role is to be changed
	Moderate    Point[RoomModeration]  // a message is to be retracted by a moderator (XEP-0425)
	Config      Point[RoomChange]      // the configuration was changed
	Destroyed   Point[RoomChange]
}

func (p *MUC) register(c *Catalogue) {
	add(c, &p.Lookup, "muc.lookup")
	add(c, &p.Create, "muc.create")
	add(c, &p.Join, "muc.join")
	add(c, &p.Joined, "muc.joined")
	add(c, &p.Left, "muc.left")
	add(c, &p.Nick, "muc.nick")
	add(c, &p.Message, "muc.message")
	add(c, &p.Private, "muc.private")
	add(c, &p.Subject, "muc.subject")
	add(c, &p.Presence, "muc.presence")
	add(c, &p.Affiliation, "muc.affiliation")
	add(c, &p.Moderate, "muc.moderate")
	add(c, &p.Config, "muc.config")
	add(c, &p.Destroyed, "muc.destroyed")
}

// Occupant is a person in a room, as a value.
type Occupant struct {
	Room        jid.JID // bare
	Nick        string
	Real        jid.JID // full JID of a session, bare of a puppet; zero if there is none
	ID          string  // occupant id (XEP-0421)
	Affiliation string
	Role        string
	Puppet      bool   // no session: it gets no fan-out, no pings and no self-heal
	Domain      string // who injects it, "" for a session: the gateway's host
}

// RoomLookup is an address without a room. A guard may return gone or another error, Pending while it asks the remote side, or make the
// room through the rooms service and return nil with Created.
type RoomLookup struct {
	Room    jid.JID
	Asker   jid.JID // full JID
	Joining bool    // she wants to enter; otherwise an iq or a message
	Created bool
}

// RoomCreate is a room about to be created by a person.
type RoomCreate struct {
	Room    jid.JID
	Creator jid.JID // full
	Unit    *journal.Unit
}

// RoomJoin is a person entering a room or changing her nick.
type RoomJoin struct {
	Occupant Occupant
	Stanza   *stanza.Stanza // her presence
	Unit     *journal.Unit
}

// RoomLeft is a person who is no longer in a room.
type RoomLeft struct {
	Occupant Occupant
	Status   []int // status codes (307 kicked, 301 banned …)
	Reason   string
	Actor    jid.JID // who removed her; zero: herself
	Gone     bool    // her session ended, she did not say goodbye
	Last     bool    // no other session of the same bare JID is in the room
}

// RoomMessage is a groupchat message or subject in a room. Its record's stanza is as archived: from room/nick.
type RoomMessage struct {
	*MessageRecord
	Room     jid.JID
	Occupant Occupant
	Live     bool // false: injected with a time of its own (backfill), it is not fanned out
	At       time.Time
	Origin   string // the bridge that injected it, "" for a person here
	Stamp    []*xmlstream.Node
}

// RoomPrivate is a private message (XEP-0045 §7.5) to a puppet.
type RoomPrivate struct {
	*MessageRecord
	Room     jid.JID
	From, To Occupant
}

// RoomPresence is a presence update of an occupant.
type RoomPresence struct {
	Occupant Occupant
	Stanza   *stanza.Stanza
}

// RoomAffiliation is a change of an affiliation or role; empty fields stay as they are.
type RoomAffiliation struct {
	Room                      jid.JID
	Actor                     Occupant
	Target                    jid.JID // bare
	Nick                      string  // for role changes
	Affiliation, Role, Reason string
	PreviousAffiliation       string
	Unit                      *journal.Unit
}

// RoomModeration is a moderator's retraction of a message.
type RoomModeration struct {
	Room   jid.JID
	Actor  Occupant
	Target storage.MessageID
	Reason string
	Unit   *journal.Unit
}

// RoomChange is a change of a room as a whole.
type RoomChange struct {
	Room jid.JID
	By   jid.JID
	Unit *journal.Unit
}
