package sdk

import (
	"context"
	"net/http"
)

// Bridge is what every bridge can do. What a network does not allow is not
// implemented at all: the optional abilities are the other interfaces here, and
// the server finds them by asking the value (a wrapped bridge: by [Abilities]).
//
// Every call has a deadline in its context. Errors are [Error]s; any other error
// counts as temporary.
type Bridge interface {
	// Info says what the bridge is, before it is configured. Pure.
	Info() Info
	// Configure takes the configuration and validates it without any traffic.
	Configure(ctx context.Context, c Configuration) error
	// Start connects. It returns when operations may come, or with an error that
	// says what is wrong; transient trouble of the network is no such error. ctx
	// lasts as long as the session with the server; calls are bounded by theirs.
	Start(ctx context.Context, h Host, r Resume) error
	// Send writes a message to the network.
	Send(ctx context.Context, op *SendMessage) (Delivered, error)
	// Resolve finds what a person typed: an id, an address, a link, an alias, an e-mail.
	Resolve(ctx context.Context, r ResolveRequest) (Target, error)
	// JoinPortal puts the bridge (or a login) into a room and describes it.
	JoinPortal(ctx context.Context, r JoinRequest) (ChatInfo, error)
	// LeavePortal takes the bridge (or a login) out of a room.
	LeavePortal(ctx context.Context, r LeaveRequest) error
	// ChatInfo describes a room with a page of its members.
	ChatInfo(ctx context.Context, r ChatInfoRequest) (ChatInfo, error)
	// UserInfo describes a user.
	UserInfo(ctx context.Context, r UserInfoRequest) (UserInfo, error)
	// Test checks credentials, rights and reachability, changing nothing.
	Test(ctx context.Context) (Report, error)
	// Drain stops taking anything from the network and returns when what was
	// under way is finished or ctx is done. No call but Deliver follows.
	Drain(ctx context.Context) error
}

// The roles. Each method of an operation returns once the network has taken it.
type (
	// Editor changes messages that were sent.
	Editor interface {
		Edit(ctx context.Context, op *EditMessage) (Delivered, error)
	}
	// Retractor takes messages back.
	Retractor interface {
		Retract(ctx context.Context, op *RetractMessage) (Delivered, error)
	}
	// Reactor sets reactions.
	Reactor interface {
		React(ctx context.Context, op *SetReactions) (Delivered, error)
	}
	// TopicSetter changes the subject of a room.
	TopicSetter interface {
		SetTopic(ctx context.Context, op *SetTopic) (Delivered, error)
	}
	// RoomEditor changes a room's name and picture.
	RoomEditor interface {
		EditRoom(ctx context.Context, op *EditRoom) (Delivered, error)
	}
	// GhostMover makes XMPP people appear in a room and leave it.
	GhostMover interface {
		JoinGhost(ctx context.Context, op *JoinGhost) (Delivered, error)
		LeaveGhost(ctx context.Context, op *LeaveGhost) (Delivered, error)
	}
	// ProfileSetter gives XMPP people their name and face.
	ProfileSetter interface {
		ChangeProfile(ctx context.Context, op *ChangeProfile) (Delivered, error)
	}
	// Inviter invites users of the network.
	Inviter interface {
		Invite(ctx context.Context, op *InviteUser) (Delivered, error)
	}
	// Moderator kicks, bans and gives roles.
	Moderator interface {
		Moderate(ctx context.Context, op *Moderate) (Delivered, error)
	}

	// Typist, Presencer and Reader carry signals; what fails is forgotten.
	Typist interface {
		Typing(ctx context.Context, s *Typing) error
	}
	// Presencer shows the presence of XMPP people.
	Presencer interface {
		Presence(ctx context.Context, s *Presence) error
	}
	// Reader marks messages as read.
	Reader interface {
		MarkRead(ctx context.Context, s *ReadState) error
	}

	// Searcher finds users and rooms by words.
	Searcher interface {
		Search(ctx context.Context, r SearchRequest) (SearchResult, error)
	}
	// DirectMessenger opens direct chats.
	DirectMessenger interface {
		CreateDM(ctx context.Context, r CreateDMRequest) (ChatInfo, error)
	}
	// RoomCreator makes rooms on the network.
	RoomCreator interface {
		CreateRoom(ctx context.Context, r CreateRoomRequest) (ChatInfo, error)
	}
	// HistorySource reads the past of a room.
	HistorySource interface {
		FetchHistory(ctx context.Context, r HistoryRequest) (HistoryPage, error)
	}
	// MediaSource gives the bytes of lazy media.
	MediaSource interface {
		FetchMedia(ctx context.Context, r MediaRequest) (MediaContent, error)
	}
	// Watcher is told whose presence anybody cares for, where the network has to
	// be asked person by person.
	Watcher interface {
		Watch(ctx context.Context, r WatchRequest) error
	}
	// LoginFlow signs people in with their own accounts.
	LoginFlow interface {
		StartLogin(ctx context.Context, r StartLoginRequest) (LoginStep, error)
		LoginStep(ctx context.Context, r LoginInput) (LoginStep, error)
		CancelLogin(ctx context.Context, process string) error
		// LoadLogin brings a login back after a start; its state is reported here
		// and by Host.LoginChanged.
		LoadLogin(ctx context.Context, l Login) (LoginStatus, error)
		Logout(ctx context.Context, id LoginID) error
	}
	// Setupper says what has to be done on the network's side, before the bridge
	// is configured or with the configuration there is.
	Setupper interface {
		Setup(ctx context.Context, r SetupRequest) (SetupPlan, error)
	}
	// HTTPHandler takes what arrives under Host.PublicURL: OAuth answers, events,
	// transactions. The path is what follows "/bridge/NAME", beginning with "/".
	HTTPHandler interface {
		http.Handler
	}
)

// Ability names a role as it travels in the handshake. The names are for ever.
type Ability string

const (
	AbilityEdit     Ability = "edit"
	AbilityRetract  Ability = "retract"
	AbilityReact    Ability = "react"
	AbilityTopic    Ability = "topic"
	AbilityRoom     Ability = "room-edit"
	AbilityGhosts   Ability = "ghosts"
	AbilityProfile  Ability = "profile"
	AbilityInvite   Ability = "invite"
	AbilityModerate Ability = "moderate"
	AbilityTyping   Ability = "typing"
	AbilityPresence Ability = "presence"
	AbilityRead     Ability = "read"
	AbilitySearch   Ability = "search"
	AbilityDM       Ability = "dm"
	AbilityCreate   Ability = "create-room"
	AbilityHistory  Ability = "history"
	AbilityMedia    Ability = "media"
	AbilityWatch    Ability = "watch"
	AbilityLogin    Ability = "login"
	AbilitySetup    Ability = "setup"
	AbilityHTTP     Ability = "http"
)

// Abilities lists the roles b has, in a fixed order.
func Abilities(b Bridge) []Ability {
	table := []struct {
		name Ability
		has  func() bool
	}{
		{AbilityEdit, is[Editor](b)}, {AbilityRetract, is[Retractor](b)}, {AbilityReact, is[Reactor](b)},
		{AbilityTopic, is[TopicSetter](b)}, {AbilityRoom, is[RoomEditor](b)}, {AbilityGhosts, is[GhostMover](b)},
		{AbilityProfile, is[ProfileSetter](b)}, {AbilityInvite, is[Inviter](b)}, {AbilityModerate, is[Moderator](b)},
		{AbilityTyping, is[Typist](b)}, {AbilityPresence, is[Presencer](b)}, {AbilityRead, is[Reader](b)},
		{AbilitySearch, is[Searcher](b)}, {AbilityDM, is[DirectMessenger](b)}, {AbilityCreate, is[RoomCreator](b)},
		{AbilityHistory, is[HistorySource](b)}, {AbilityMedia, is[MediaSource](b)}, {AbilityWatch, is[Watcher](b)},
		{AbilityLogin, is[LoginFlow](b)}, {AbilitySetup, is[Setupper](b)}, {AbilityHTTP, is[HTTPHandler](b)},
	}
	var out []Ability
	for _, row := range table {
		if row.has() {
			out = append(out, row.name)
		}
	}
	return out
}

func is[R any](b Bridge) func() bool {
	return func() bool { _, ok := b.(R); return ok }
}
