package sdk

import (
	"context"
	"time"
)

// Op is something to do on the network. The set is closed: the types of this
// file, by pointer.
type Op interface {
	Head() *OpHeader
	do(ctx context.Context, b Bridge) (Delivered, error)
}

// OpHeader is what every operation has.
//
// An operation whose outcome the server never learned comes again with the same
// ID, Attempt counted up and Doubt set: the network may have it already. A
// network with an idempotency key gets the ID and needs no thought; otherwise
// the bridge looks (reads the room back, asks its State) before it repeats.
type OpHeader struct {
	ID      OpID
	Portal  PortalKey // zero for what concerns no room (ChangeProfile)
	Sender  Sender
	Time    time.Time // when the person did it
	Attempt int       // 1 the first time
	Doubt   bool
	Prior   []Part  // parts reported by Progress in an earlier attempt: they are done
	Login   LoginID // act through the sender's own login; "" acts as the bridge
}

// Head gives access to the header of any operation.
func (h *OpHeader) Head() *OpHeader { return h }

// Sender is the XMPP person an operation is done for.
type Sender struct {
	Person   PersonID
	Address  string // bare JID if it may be shown, else ""
	Occupant string // the occupant id in the room, for people without a visible address
	Name     string // nick or name
	Avatar   *Media // with a public URL where there is one
	// Foreign: of another XMPP server.
	Foreign bool
	// Role is what she may do in the XMPP room; a bridge asks no more of it than
	// that broadcasts ("@everyone") by people below moderator stay text.
	Role Role
}

// Delivered is what the network made of an operation. For a message there is at
// least one part.
type Delivered struct {
	Parts []Part
}

// DeliveredAs is the result for one message as one native message.
func DeliveredAs(id RemoteMessageID, at time.Time) Delivered {
	return Delivered{Parts: []Part{{Remote: id, Time: at}}}
}

// SendMessage writes a new message.
type SendMessage struct {
	OpHeader
	Content Content
}

// EditMessage replaces a message's content.
type EditMessage struct {
	OpHeader
	Target  MessageRef
	Content Content
}

// RetractMessage takes a message back; Moderated if the sender is not its author.
type RetractMessage struct {
	OpHeader
	Target    MessageRef
	Moderated bool
	Reason    string
}

// SetReactions makes Emoji the sender's whole set of reactions to Target; Added
// and Removed are what changed since her last set that the network has.
type SetReactions struct {
	OpHeader
	Target  MessageRef
	Emoji   []Emoji
	Added   []Emoji
	Removed []Emoji
}

// SetTopic changes the room's subject.
type SetTopic struct {
	OpHeader
	Topic string
}

// EditRoom changes the room's name and picture; nil is unchanged.
type EditRoom struct {
	OpHeader
	Name   *string
	Avatar *Media // Avatar.ID "" removes it
}

// JoinGhost makes the sender appear in the room.
type JoinGhost struct{ OpHeader }

// LeaveGhost makes the sender leave the room.
type LeaveGhost struct {
	OpHeader
	Reason string
}

// InviteUser invites somebody of the network into the room.
type InviteUser struct {
	OpHeader
	User   RemoteUserID
	Reason string
}

// ModerateAction is what is done to a member.
type ModerateAction int32

const (
	ModerateUnknown ModerateAction = 0
	ModerateKick    ModerateAction = 1
	ModerateBan     ModerateAction = 2
	ModerateUnban   ModerateAction = 3
	ModerateRole    ModerateAction = 4 // give Role
)

// Moderate acts on a member of the room, with the sender's authority on the
// XMPP side already checked.
type Moderate struct {
	OpHeader
	User   RemoteUserID
	Action ModerateAction
	Role   Role
	Reason string
	Until  time.Time
}

// ChangeProfile changes the sender's name or face on the network; nil is
// unchanged. Gone: she no longer exists here, and her ghosts can be retired.
type ChangeProfile struct {
	OpHeader
	Name   *string
	Avatar *Media
	Gone   bool
}

// UnknownOp stands for an operation of a sort this version does not know; it is
// always answered CodeUnsupported.
type UnknownOp struct{ OpHeader }

// Dispatch gives an operation to the role of b it belongs to.
func Dispatch(ctx context.Context, b Bridge, op Op) (Delivered, error) { return op.do(ctx, b) }

func (o *SendMessage) do(ctx context.Context, b Bridge) (Delivered, error) { return b.Send(ctx, o) }

func (o *EditMessage) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(Editor); ok {
		return r.Edit(ctx, o)
	}
	return Delivered{}, Unsupported("editing")
}

func (o *RetractMessage) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(Retractor); ok {
		return r.Retract(ctx, o)
	}
	return Delivered{}, Unsupported("taking messages back")
}

func (o *SetReactions) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(Reactor); ok {
		return r.React(ctx, o)
	}
	return Delivered{}, Unsupported("reacting")
}

func (o *SetTopic) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(TopicSetter); ok {
		return r.SetTopic(ctx, o)
	}
	return Delivered{}, Unsupported("changing the topic")
}

func (o *EditRoom) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(RoomEditor); ok {
		return r.EditRoom(ctx, o)
	}
	return Delivered{}, Unsupported("changing the room")
}

func (o *JoinGhost) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(GhostMover); ok {
		return r.JoinGhost(ctx, o)
	}
	return Delivered{}, Unsupported("joining as a person")
}

func (o *LeaveGhost) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(GhostMover); ok {
		return r.LeaveGhost(ctx, o)
	}
	return Delivered{}, Unsupported("leaving as a person")
}

func (o *InviteUser) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(Inviter); ok {
		return r.Invite(ctx, o)
	}
	return Delivered{}, Unsupported("inviting")
}

func (o *Moderate) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(Moderator); ok {
		return r.Moderate(ctx, o)
	}
	return Delivered{}, Unsupported("moderating")
}

func (o *ChangeProfile) do(ctx context.Context, b Bridge) (Delivered, error) {
	if r, ok := b.(ProfileSetter); ok {
		return r.ChangeProfile(ctx, o)
	}
	return Delivered{}, Unsupported("changing a profile")
}

func (o *UnknownOp) do(context.Context, Bridge) (Delivered, error) {
	return Delivered{}, Unsupported("this operation")
}
