package sdk

import "time"

// Info is what a bridge says of itself before it is configured.
type Info struct {
	Plugin       string // "matrix": the plugin's own name
	Network      string // gateway type of the XMPP registry where there is one: "matrix", "slack", "discord"
	Title        string // for people: "Matrix"
	Version      string // of the plugin
	Addresses    AddressShape
	Config       Schema
	Capabilities Capabilities
	LoginFlows   []LoginFlowInfo
	Prompt       string // what to type to find somebody, for XEP-0100 clients: "@user:server, #alias:server or a link"
	// NeedsDataDir: a library of the plugin must own files (olm keys). Without it
	// Configuration.DataDir is empty.
	NeedsDataDir bool
}

// Configuration is what the server tells a bridge before it starts.
type Configuration struct {
	Name      string // of the bridge in the server's configuration
	Domain    string // the XMPP domain it serves
	JSON      []byte // the `config:` subtree, checked against Info.Config, secrets resolved
	PublicURL string // as Host.PublicURL
	DataDir   string // a private directory, if Info.NeedsDataDir
	Server    string // name and version of the server
}

// Resume is where a bridge left off. The server keeps it; the bridge needs no file.
type Resume struct {
	Cursors []CursorMark
	Portals []PortalKey // the portals the server knows, for bridges that must ask
	First   bool        // never started before
}

// ChatKind is what sort of room a portal is.
type ChatKind int32

const (
	ChatUnknown ChatKind = 0
	ChatRoom    ChatKind = 1
	ChatDirect  ChatKind = 2 // two people
	ChatGroup   ChatKind = 3 // a group direct chat without a name of its own
	ChatThread  ChatKind = 4 // a thread that is a room
	ChatForum   ChatKind = 5 // holds only threads
	ChatSpace   ChatKind = 6 // holds rooms: a space, guild, workspace, category
)

// ChatInfo describes a room.
type ChatInfo struct {
	Portal       PortalKey
	Kind         ChatKind
	Name         string
	Topic        string
	Avatar       *Media
	Aliases      []string // typable names, in the spelling of AddressShape.Aliases, the canonical one first
	Link         string   // to the room on its own network
	Parent       RemoteRoomID
	Public       bool // anybody of the network may join
	Encrypted    bool // end-to-end; the bridge may be able to read it or not, Capabilities says
	Via          []string
	Members      []Member // a page
	MemberCount  int      // in all, as far as known; negative if not
	NextMembers  Cursor   // "" after the last page
	Capabilities *Capabilities
	Own          Role     // what the bridge itself may do
	Missing      []string // rights the bridge lacks, as lines for an administrator
}

// Member is somebody in a room.
type Member struct {
	User   UserInfo
	Person Party // set instead of User for one of the bridge's ghosts
	Role   Role
	Hats   []Hat
	Nick   string    // in this room, if it differs from the name
	Active time.Time // last seen to do something; zero if unknown
}

// UserInfo describes a user of the network.
type UserInfo struct {
	ID       RemoteUserID
	Name     string // display name
	Username string // the name others type
	Avatar   *Media
	Bot      bool
	Deleted  bool
	Version  string // tells changes apart cheaply, if the network has one
	Link     string // to the profile
	Email    string
	Title    string // job, pronouns: one line
	TimeZone string // IANA name
	Presence *Presence
	// NoAddress: the user can be seen in rooms but never written to (webhooks, bots).
	NoAddress bool
}

// JoinPurpose says what a room is wanted for.
type JoinPurpose int32

const (
	JoinForPerson JoinPurpose = 0 // somebody typed its address
	JoinForLink   JoinPurpose = 1 // an administrator links it with an XMPP room
)

// JoinRequest asks to be in a room. Room may be an alias's target or the id;
// the answer's Portal is the canonical one.
type JoinRequest struct {
	Portal  PortalKey
	Via     []string
	For     Sender
	Purpose JoinPurpose
	// Members asked for in the answer, at most.
	Members int
}

// LeaveRequest asks to leave a room; Forget gives up whatever the network keeps for it.
type LeaveRequest struct {
	Portal PortalKey
	Forget bool
	Reason string
}

// ChatInfoRequest asks for a room and a page of members.
type ChatInfoRequest struct {
	Portal  PortalKey
	Members int    // page size; 0: none
	After   Cursor // ChatInfo.NextMembers of the page before
	Active  bool   // those who did something lately first
}

// UserInfoRequest asks for a user, in a room if Portal is set.
type UserInfoRequest struct {
	User   RemoteUserID
	Portal PortalKey
	Login  LoginID
}

// TargetKind is what something typed turned out to be.
type TargetKind int32

const (
	TargetUnknown TargetKind = 0
	TargetUser    TargetKind = 1
	TargetRoom    TargetKind = 2
)

// ResolveRequest is free text; Want narrows it down if the caller knows.
type ResolveRequest struct {
	Text  string
	Want  TargetKind
	For   Sender
	Login LoginID
}

// Target is a user or a room that was found. For a room Portal.Room is the
// canonical id and Via may be needed to join it.
type Target struct {
	Kind   TargetKind
	User   UserInfo
	Portal PortalKey
	Name   string
	Topic  string
	Avatar *Media
	Alias  string // the typable name it was found by, if any
	Via    []string
	Count  int // members; negative if unknown
	Joined bool
}

// SearchRequest looks for words.
type SearchRequest struct {
	Text  string
	Want  TargetKind
	For   Sender
	Login LoginID
	Limit int
	After Cursor
	Where string // a server or workspace to search, if the network has several
}

// SearchResult is a page of findings.
type SearchResult struct {
	Found []Target
	Next  Cursor
}

// CreateDMRequest opens (or finds) the direct chat of a person with users.
type CreateDMRequest struct {
	For   Sender
	Users []RemoteUserID
	Login LoginID
}

// CreateRoomRequest makes a room for an XMPP room.
type CreateRoomRequest struct {
	For      Sender
	XMPPRoom string // its address
	Name     string
	Topic    string
	Avatar   *Media
	Public   bool
	Alias    string // wished for
	Invite   []RemoteUserID
	Login    LoginID
}

// HistoryRequest asks for a page of the past: before Before or after After
// (cursors of an earlier page or of the portal), else before Until or the latest.
type HistoryRequest struct {
	Portal PortalKey
	Login  LoginID
	Before Cursor
	After  Cursor
	Anchor MessageRef // around this message, if the cursors are empty
	Since  time.Time
	Until  time.Time
	Thread string
	Limit  int
}

// HistoryPage is a page of the past, oldest first; every header has History set.
type HistoryPage struct {
	Events []Event
	Older  Cursor // "" if this is the beginning
	Newer  Cursor // "" if this is the present
}

// WatchRequest replaces the set of users whose presence is wanted.
type WatchRequest struct {
	Users []RemoteUserID
}
