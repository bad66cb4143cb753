package plugintest

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Driver is a network of its own for one test, seen from its own side: it makes
// people there do things and tells what they saw. The network outlives the bridge.
type Driver interface {
	// Config is the bridge's `config:` for this network.
	Config() []byte
	// Rooms are two rooms that the bridge is or can be in, and Person somebody in both.
	Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID)
	Person() sdk.RemoteUserID
	// Say lets Person write a text, and returns its message's id.
	Say(t testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID
	// Cause makes something happen in the first room; false: the network cannot.
	Cause(t testing.TB, c Cause) bool
	// Seen is what people see in a room, oldest first, without the past from before
	// the test.
	Seen(t testing.TB, room sdk.RemoteRoomID) []Seen
	// Changed is closed when somebody may see something new.
	Changed() <-chan struct{}
	// Room is what people see of a room.
	Room(t testing.TB, room sdk.RemoteRoomID) SeenRoom
	// Reach switches whether the network can be reached at all.
	Reach(up bool)
	// SignIn gives the values for a login's form, good or bad ones.
	SignIn(step sdk.LoginStep, good bool) map[string]string
}

// Seen is a message as people on the network see it.
type Seen struct {
	ID        sdk.RemoteMessageID
	Author    string // the name that is shown
	Text      string // as the network shows it, without mark-up where it has some
	Emote     bool
	Edited    bool
	Deleted   bool
	ReplyTo   sdk.RemoteMessageID
	Thread    sdk.RemoteMessageID
	Reactions map[string]int
	Files     []SeenFile
}

// SeenFile is a file of a message.
type SeenFile struct {
	Name string
	Data []byte
}

// SeenRoom is a room as people on the network see it.
type SeenRoom struct {
	Name, Topic string
	Members     []string // names
	Typing      []string // names of those who typed last, whether or not they stopped
}

// Cause is something that people on the network do.
type Cause string

// The causes. Each leads to one event or signal.
const (
	CauseEdit     Cause = "edit"     // Person edits her last message to "edited"
	CauseRetract  Cause = "retract"  // Person takes it back
	CauseReact    Cause = "react"    // Person reacts to the last message with 👍
	CauseUnreact  Cause = "unreact"  // and takes that back
	CauseReply    Cause = "reply"    // Person replies to the last message
	CauseThread   Cause = "thread"   // Person answers it in a thread
	CauseFormat   Cause = "format"   // Person writes something in bold
	CauseEmote    Cause = "emote"    // Person writes "/me waves"
	CauseFile     Cause = "file"     // Person sends a file of 300,000 bytes, each i*7 of its place
	CauseJoin     Cause = "join"     // somebody enters
	CauseLeave    Cause = "leave"    // and leaves
	CauseTopic    Cause = "topic"    // the topic is "new topic"
	CauseName     Cause = "name"     // the room is called "new name"
	CauseRename   Cause = "rename"   // Person is called "New Name"
	CauseFace     Cause = "face"     // Person has another picture
	CauseKick     Cause = "kick"     // the ghost is thrown out
	CauseInvite   Cause = "invite"   // invited@example.org is invited
	CauseBring    Cause = "bring"    // the XMPP room brought@rooms.example.org is asked for
	CauseDirect   Cause = "direct"   // Person opens a direct chat with the ghost
	CauseRules    Cause = "rules"    // the room's capabilities change
	CauseTyping   Cause = "typing"   // Person types
	CausePresence Cause = "presence" // Person is away, "at lunch"
	CauseRead     Cause = "read"     // Person has read the last message
)

// FileByte is the byte at a place of the file of CauseFile, which has FileSize.
func FileByte(i int64) byte { return byte(i * 7) }

// FileSize is the size of the file of CauseFile.
const FileSize = 300_000
