package sdk

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Level is how well something can be done.
type Level int32

const (
	LevelNone    Level = 0 // not at all
	LevelPartial Level = 1 // with losses: as the bot, once for all people, only own messages
	LevelFull    Level = 2
)

// Capabilities say what a portal can do, so that the server degrades beforehand
// and says so. They are given for the whole bridge (Info), may be narrowed for a
// login, and for a portal; the narrowest one given counts as a whole.
// A zero limit means that there is none.
type Capabilities struct {
	Text        TextCapability
	Edit        TimedCapability
	Retract     TimedCapability
	ModRetract  Level // taking back other people's messages
	Reactions   ReactionCapability
	Replies     Level
	Threads     Level
	Files       FileCapability
	Captions    Level
	Personas    Level // people appear under their own name
	Avatars     Level // and face
	PublicFaces bool  // faces are fetched by the network: they need a public_url
	GhostJoins  Level // people appear in the list of members

	Typing       DirectionCapability
	Presence     DirectionCapability
	StatusText   DirectionCapability
	ReadReceipts DirectionCapability

	Topic      RoomTextCapability
	RoomName   RoomTextCapability
	RoomAvatar Level
	Invite     Level
	Kick       Level
	Ban        Level
	Roles      Level
	Members    Level // the list of members can be had
	History    HistoryCapability
	Mentions   Level
	Broadcasts Level // "@everyone" of those who may

	// Idempotent: a repeated OpID is recognised by the network, so that Window
	// operations of one portal may be under way at a time; otherwise one.
	Idempotent bool
	Window     int
	// Encrypted: end-to-end encrypted rooms can be read and written.
	Encrypted Level
	// Notes are losses in words, for `link show` and the room's administrator.
	Notes []string
}

// TextUnit is what a network counts.
type TextUnit int32

const (
	UnitRunes TextUnit = 0
	UnitBytes TextUnit = 1
	UnitUTF16 TextUnit = 2
)

// TextCapability is about the body. MaxLength is for information and for
// refusing the absurd: splitting is the bridge's own work.
type TextCapability struct {
	MaxLength  int
	Unit       TextUnit
	MaxParts   int // a longer text becomes a file
	Formatting []richtext.Kind
}

// TimedCapability is an ability with an age limit.
type TimedCapability struct {
	Level  Level
	MaxAge time.Duration
}

// ReactionCapability is about reactions.
type ReactionCapability struct {
	Level    Level
	PerUser  int      // distinct reactions of one person
	Distinct int      // distinct reactions of a message
	Allowed  []string // if only these; empty: any Unicode emoji
	Custom   Level    // custom emoji
}

// FileCapability is about attachments.
type FileCapability struct {
	Level   Level
	MaxSize int64    // bytes each
	MaxSum  int64    // bytes of one message
	Count   int      // files of one message
	Types   []string // if only these media types ("image/*"); empty: any
}

// DirectionCapability tells the directions apart.
type DirectionCapability struct {
	In  Level // network to XMPP
	Out Level
}

// RoomTextCapability is about a room's name or topic.
type RoomTextCapability struct {
	Level     Level
	MaxLength int
}

// HistoryCapability is about the past.
type HistoryCapability struct {
	Level    Level
	MaxAge   time.Duration
	PageSize int
	Pause    time.Duration // least time between two pages
}

// CapabilityScope says whose capabilities change.
type CapabilityScope int32

const (
	ScopeBridge CapabilityScope = 0
	ScopeLogin  CapabilityScope = 1
	ScopePortal CapabilityScope = 2
)

// CapabilitiesChange replaces capabilities; nil falls back to the wider scope.
type CapabilitiesChange struct {
	Scope        CapabilityScope
	Login        LoginID
	Portal       PortalKey
	Capabilities *Capabilities
}
