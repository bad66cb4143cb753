package sdk

import "time"

// Event is something durable that happened on the network. The set is closed:
// the types of this file, by pointer. What a newer bridge sends and this version
// does not know arrives as *UnknownEvent and is answered OutcomeUnsupported.
type Event interface {
	Head() *EventHeader
	isEvent()
}

// EventHeader is what every event has.
type EventHeader struct {
	Portal  PortalKey // zero for what concerns no room (UserChanged)
	ID      EventID
	Version string    // tells successive states of the same ID apart (an edit's timestamp); usually ""
	Time    time.Time // when it happened, by the network's clock
	Actor   Party     // who did it; zero if the network does not say
	Login   LoginID   // through which login it was seen
	// Origin is the operation this event is the echo of, where the network gives
	// back what the bridge put in (transaction id, nonce, metadata).
	Origin OpID
	// Own: the network's author is one of the bridge's own senders (bot, webhook,
	// ghost). Without an Origin the server holds such an event until the portal's
	// operations in flight are resolved, and then knows it as an echo or shows it.
	Own bool
	// History: it comes from the past (gap fill, backfill), is sorted in by Time
	// and rings no bell.
	History bool
}

// Head gives access to the header of any event.
func (h *EventHeader) Head() *EventHeader { return h }

func (h *EventHeader) isEvent() {}

// Message is a new message. Message is its id, Part the part if one native
// message is delivered as several.
type Message struct {
	EventHeader
	Message RemoteMessageID
	Part    PartID
	Persona *Persona
	Content Content
}

// Edit replaces a message's content by Content, whole.
type Edit struct {
	EventHeader
	Target  MessageRef
	Content Content
}

// Retract takes a message back. Its target may also be the id of a reaction,
// where the network deletes reactions like messages.
type Retract struct {
	EventHeader
	Target    MessageRef
	Moderated bool // by somebody else than its author
	Reason    string
}

// ReactionChange says what a Reaction event does to the actor's reactions.
type ReactionChange int32

const (
	ReactionUnknown  ReactionChange = 0
	ReactionAdd      ReactionChange = 1
	ReactionRemove   ReactionChange = 2
	ReactionSet      ReactionChange = 3 // Emoji is the actor's whole set; empty: none left
	ReactionClear    ReactionChange = 4 // everybody's reactions to the target are gone
	ReactionClearOne ReactionChange = 5 // everybody's reactions with Emoji[0] are gone
)

// Reaction changes the actor's reactions to a message.
type Reaction struct {
	EventHeader
	Target  MessageRef
	Change  ReactionChange
	Emoji   []Emoji
	Message RemoteMessageID // the reaction's own id where the network has one
}

// MembershipChange says how somebody's membership changed.
type MembershipChange int32

const (
	MembershipUnknown MembershipChange = 0
	MembershipJoin    MembershipChange = 1
	MembershipLeave   MembershipChange = 2
	MembershipInvite  MembershipChange = 3
	MembershipKick    MembershipChange = 4
	MembershipBan     MembershipChange = 5
	MembershipUnban   MembershipChange = 6
	MembershipKnock   MembershipChange = 7
	MembershipDecline MembershipChange = 8 // an invitation was refused or withdrawn
)

// Membership changes who is in a room. The actor is who did it; an XMPP person
// as Member is a ghost that was invited, kicked and so on.
type Membership struct {
	EventHeader
	Member  Party
	Change  MembershipChange
	Reason  string
	Profile *UserInfo // the member's name and face, if the event brings them
	Direct  bool      // the room is a direct chat with the member
}

// Role is what somebody may do in a room.
type Role int32

const (
	RoleUnknown   Role = 0
	RoleOutcast   Role = 1 // banned
	RoleVisitor   Role = 2 // may read
	RoleMember    Role = 3 // may write
	RoleModerator Role = 4
	RoleAdmin     Role = 5
	RoleOwner     Role = 6
)

// Hat is a label of a member: a role, user group or named level.
type Hat struct {
	ID       RemoteRoleID
	Title    string
	Colour   uint32 // 0xRRGGBB; 0 if none
	Position int32  // higher stands first
}

// Rights changes what a member may do.
type Rights struct {
	EventHeader
	Member Party
	Role   Role
	Hats   []Hat
	Until  time.Time // for a time-out; zero if lasting
}

// RoomChanged changes what a room is called and looks like; nil is unchanged.
type RoomChanged struct {
	EventHeader
	Name   *string
	Topic  *string
	Avatar *Media // Avatar.ID "" removes it
	Public *bool  // anybody of the network may join
	Rules  *Capabilities
}

// RoomMoved says that the room goes on under another id (an upgrade, a changed
// channel id). The XMPP room stays, its portal is To from now on.
type RoomMoved struct {
	EventHeader
	To     RemoteRoomID
	Via    []string // servers that know the new room
	Reason string
}

// PortalOpened says that the bridge is now in a room it was not in before: it was
// invited, a person of the network began a direct chat, or it answered
// Host.LookupRoom with a new room (XMPPRoom).
type PortalOpened struct {
	EventHeader
	Info     ChatInfo
	With     []Party // in a direct chat: who is in it
	XMPPRoom string  // the address of the XMPP room it stands for, else ""
}

// PortalGone says that the room is no more, or no longer for us.
type PortalGone struct {
	EventHeader
	Code   Code // CodeRoomGone, CodeForbidden ...
	Reason string
}

// UserChanged brings a new name, face or end of a user. With a Portal it is
// the user's profile in that room only.
type UserChanged struct {
	EventHeader
	User UserInfo
}

// Progress reports the parts of an operation that the network has already taken,
// while it is still running: after a crash the operation comes again with them
// in OpHeader.Prior. Worth sending before every part but the first.
type Progress struct {
	EventHeader
	Op    OpID
	Parts []Part
}

// Gap says that events between two times were missed. If Fillable the server may ask
// FetchHistory for them; otherwise it tells the room.
type Gap struct {
	EventHeader
	From, To time.Time
	Fillable bool
}

// UnknownEvent stands for an event of a sort this version does not know.
type UnknownEvent struct{ EventHeader }
