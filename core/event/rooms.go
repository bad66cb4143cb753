package event

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The values of the rooms service, which core/modules/muc provides and a gateway needs:
//
//	EnsureRoom(ctx, RoomSpec) error
//	SetOccupants(ctx, room jid.JID, []OccupantChange) error
//	Inject(ctx, InjectedMessage) (storage.MessageID, error)   // adds to InjectedMessage.Unit and submits it
//	Retract(ctx, RoomRetraction) error
//	SetSubject(ctx, InjectedMessage) error
//	Expel(ctx, RoomExpulsion) error
//	Facts(ctx, room jid.JID) (RoomFacts, error)
//	Close(ctx, RoomClosing) error
//
// Each is carried out in the room's goroutine, in the order of the calls for one room.

// RoomSpec says how a room that a gateway owns is to be. Zero values leave what is.
type RoomSpec struct {
	Room         jid.JID
	Name         string
	Description  string
	Public       bool
	Persistent   bool
	NonAnonymous bool
	MembersOnly  bool
	// ChangeSubject: whoever has voice may change the subject, if nothing in RoomEvents.Subject decides otherwise.
	ChangeSubject bool
	// MaxHistory is how many messages somebody who enters may ask for; those who ask for no amount get a few of them.
	MaxHistory   int
	Origin       string            // the host that owns it
	Features     []string          // further disco features of the room
	Info         map[string]string // further fields of muc#roominfo
	Avatar       []byte            // image; nil: leave
	Affiliations map[string]string // bare JID -> affiliation
}

// OccupantChange makes an occupant of a room that is no session (a puppet) be, change or leave.
type OccupantChange struct {
	ID          string   // the remote person, stable: the occupant id is made of it
	Puppet      jid.JID  // bare
	Nick        string   // wanted; the room resolves a conflict and keeps what it gave
	Fallbacks   []string // further nicks, in the order in which they are tried if Nick is taken
	Affiliation string
	Role        string
	Presence    []*xmlstream.Node // show, status, vcard-temp:x:update, caps …; nil: leave as is
	Leave       bool
	Status      []int // when leaving: 307, 301 …
	Reason      string
	Actor       string // nick of who did it
}

// InjectedMessage is a message by a puppet, or by the room itself (Author zero).
type InjectedMessage struct {
	Room    jid.JID
	Author  jid.JID // bare JID of the puppet; it is entered before its message if it is not in the room
	Enter   *OccupantChange
	ID      string // the stanza's id attribute; "" for one made here
	Payload []*xmlstream.Node
	At      time.Time // its own time; Live false sorts it into the past
	Live    bool
	Origin  string // the host that injects it; it does not get it back
	// Record is called in the room's goroutine with the stored message's id before the unit is submitted: the id map's rows and the cursor
	// ride in the same unit as the message. Done is told the outcome from the room's queue.
	Record func(*MessageRecord)
	Done   func(id storage.MessageID, err error)
}

// RoomRetraction removes a message for everybody: by its author, by a moderator (Moderated), or by the room because a remote refused it.
type RoomRetraction struct {
	Room      jid.JID
	ID        storage.MessageID
	Author    jid.JID // puppet that retracts; zero: the room itself
	Moderated bool
	Reason    string
	Origin    string
	Record    func(*MessageRecord)
	Done      func(err error)
}

// RoomExpulsion puts a person of this side out of a room, with all her sessions: somebody on the remote side has kicked her.
type RoomExpulsion struct {
	Room   jid.JID
	Person jid.JID // bare
	Reason string
	Actor  string // nick of who did it, "" if unknown
}

// RoomFacts are what a gateway has to know of a room that is not its own.
type RoomFacts struct {
	Exists       bool
	NonAnonymous bool
	Subject      string
	SubjectAt    time.Time
	Occupants    []Occupant // a value for each session; no puppets
}

// RoomClosing puts everybody out of a room that has moved (XEP-0045 §10.9), without removing what is kept of it: it is listed no longer, and whoever
// enters it again finds it as it was, if a guard of Join lets her.
type RoomClosing struct {
	Room   jid.JID
	To     jid.JID // where it is now
	Reason string
}
