package sdk

import "time"

// All ids are valid UTF-8 without control characters and at most MaxID bytes
// (cursors and media ids: MaxCursor).
// Ids of the network are kept for ever and must therefore be made of what the
// network itself never changes; their spelling is the bridge's to choose and is
// described by its AddressShape where it becomes an address.

// MaxID is the longest id in bytes, MaxCursor the longest cursor or media id.
const (
	MaxID     = 1024
	MaxCursor = 4096
)

type (
	// RemoteUserID is a person or bot on the network, in the spelling AddressShape
	// describes: "@alice:matrix.org", "U012ABC:T0XYZ", "123456789012345678".
	RemoteUserID string
	// RemoteRoomID is a room, channel, direct chat or thread-as-room on the
	// network: "!QtyK:hs", "C012ABC:T0XYZ", "1234".
	RemoteRoomID string
	// RemoteMessageID is one native message (or reaction, where the network gives
	// reactions an id), unique within its room: "$event", "1712345678.000100".
	// It is opaque to the server and never appears in an address.
	RemoteMessageID string
	// EventID is unique for every event of a portal, whichever login saw it: with
	// EventHeader.Version it is what deduplication goes by. For a new message it is
	// usually the message's id.
	EventID string
	// PartID tells the native messages apart that one XMPP message became (a split
	// text, three files), and the XMPP messages one native message became. The
	// first or only part is "". Others are short and stable: "1", "2", "f0".
	PartID string
	// LoginID is one person's own account on the network, as the network knows it
	// ("@alice:hs", "U012ABC:T0XYZ"). "" is the bridge's own bot or application.
	LoginID string
	// PersonID is a person on the XMPP side: opaque, stable, safe in a file name.
	PersonID string
	// OpID names an operation and is its idempotency key: 26 letters and digits.
	OpID string
	// Cursor is a place in the network's stream of events, opaque to the server.
	Cursor string
	// MediaID is a file. One made by the bridge (Media.Lazy) is anything
	// FetchMedia understands ("mxc://hs/id"); one made by the server is opaque.
	MediaID string
	// RemoteRoleID is a role, user group or named level on the network.
	RemoteRoleID string
)

// PortalKey names a portal: a remote room, and for rooms that only one login can
// see (a person's own direct chats on Slack) the login that sees it. Most
// portals have no login.
type PortalKey struct {
	Login LoginID
	Room  RemoteRoomID
}

// Party is somebody who acts or is acted on, on either side: exactly one of User
// and the XMPP fields is set, or nothing if it is not known. A bridge that
// recognises one of its ghosts gives Person, or Address if it can only read the
// bare JID back from the ghost's name.
type Party struct {
	User    RemoteUserID
	Person  PersonID
	Address string // bare JID
}

// IsZero reports whether nobody is named.
func (p Party) IsZero() bool { return p == Party{} }

// IsRemote reports whether p is somebody on the network.
func (p Party) IsRemote() bool { return p.User != "" }

// Part is one native message that (a part of) an XMPP message became.
type Part struct {
	ID     PartID
	Remote RemoteMessageID
	Time   time.Time // when the network says it was sent; zero if it does not say
}

// MessageRef points at a message. In an operation the server fills in all it
// knows; in an event ID (and Part, where one native message became several) is enough.
type MessageRef struct {
	ID     RemoteMessageID
	Part   PartID
	Parts  []Part    // in an operation: every native message of the target, in order
	Author Party     // who wrote it, if known
	Time   time.Time // when, if known
}

// IsZero reports whether the reference points nowhere.
func (r MessageRef) IsZero() bool { return r.ID == "" && len(r.Parts) == 0 }
