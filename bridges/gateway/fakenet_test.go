package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// fakeNet is a foreign network with its plugin in one: what was done on it is recorded, and tests say how it answers.
type fakeNet struct {
	mu      sync.Mutex
	host    sdk.Host
	resume  sdk.Resume
	rooms   map[sdk.RemoteRoomID]sdk.ChatInfo
	aliases map[string]sdk.RemoteRoomID
	users   map[sdk.RemoteUserID]sdk.UserInfo
	ops     []sdk.Op
	changed chan struct{} // closed and replaced with every op or signal
	signals []sdk.Signal
	loaded  []sdk.Login
	joins   int
	left    int
	serial  int
	watched []sdk.RemoteUserID
	byOp    map[sdk.OpID]sdk.Delivered // what an idempotent network remembers

	answer     func(op sdk.Op) (sdk.Delivered, error) // nil: delivered
	joinError  error
	idempotent bool
}

func newNet() *fakeNet {
	n := &fakeNet{rooms: map[sdk.RemoteRoomID]sdk.ChatInfo{}, aliases: map[string]sdk.RemoteRoomID{}, users: map[sdk.RemoteUserID]sdk.UserInfo{},
		changed: make(chan struct{}), byOp: map[sdk.OpID]sdk.Delivered{}, idempotent: true}
	n.users["@bob:hs"] = sdk.UserInfo{ID: "@bob:hs", Name: "Bob", Avatar: &sdk.Media{ID: "face/bob", Key: "bob1", Lazy: true}}
	n.users["@eve:hs"] = sdk.UserInfo{ID: "@eve:hs", Name: "Eve"}
	n.rooms["!Ops:hs"] = sdk.ChatInfo{Portal: sdk.PortalKey{Room: "!Ops:hs"}, Kind: sdk.ChatRoom, Name: "Operations", Topic: "all is well", Public: true,
		Members: []sdk.Member{{User: n.users["@bob:hs"], Role: sdk.RoleAdmin}}, MemberCount: 1}
	n.aliases["#ops:hs"] = "!Ops:hs"
	return n
}

// png is the smallest picture that is one.
var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")

func (n *fakeNet) Info() sdk.Info {
	level := sdk.LevelFull
	masked := []sdk.AddressSegment{{Name: "local", Case: sdk.CaseMask}, {Name: "server", Case: sdk.CaseFold}}
	return sdk.Info{Plugin: "fake", Network: "fake", Title: "Fakenet", Prompt: "@user:server",
		Addresses: sdk.AddressShape{
			Users:   []sdk.AddressForm{{Name: "user", RemotePrefix: "@", Separator: ":", Segments: masked}},
			Rooms:   []sdk.AddressForm{{Name: "room", RemotePrefix: "!", LocalPrefix: "!", Separator: ":", Segments: masked}},
			Aliases: []sdk.AddressForm{{Name: "alias", RemotePrefix: "#", LocalPrefix: "#", Separator: ":", Segments: masked}},
		},
		Capabilities: sdk.Capabilities{Edit: sdk.TimedCapability{Level: level}, Retract: sdk.TimedCapability{Level: level}, Reactions: sdk.ReactionCapability{Level: level},
			GhostJoins: level, Typing: sdk.DirectionCapability{In: level, Out: level}, Presence: sdk.DirectionCapability{In: level, Out: level},
			ReadReceipts: sdk.DirectionCapability{In: level, Out: level}, Topic: sdk.RoomTextCapability{Level: level}, Invite: level, Kick: level, Ban: level, Roles: level,
			Files:      sdk.FileCapability{Level: level, MaxSize: 1 << 20, Count: 2, Types: []string{"image/*", "text/plain"}},
			Idempotent: n.idempotent},
		LoginFlows: []sdk.LoginFlowInfo{{ID: "token", Name: "Token"}},
	}
}

func (n *fakeNet) Configure(context.Context, sdk.Configuration) error { return nil }

func (n *fakeNet) Start(_ context.Context, h sdk.Host, r sdk.Resume) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.resume = h, r
	return nil
}

func (n *fakeNet) note() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// do records an operation and answers it.
func (n *fakeNet) do(op sdk.Op) (sdk.Delivered, error) {
	n.mu.Lock()
	answer := n.answer
	n.mu.Unlock()
	if answer != nil {
		if d, err := answer(op); err != nil || len(d.Parts) > 0 {
			n.mu.Lock()
			_, known := n.byOp[op.Head().ID]
			n.mu.Unlock()
			if err == nil && !known {
				n.record(op, d)
			}
			return d, err
		}
	}
	return n.accept(op), nil
}

// accept is what the network does with an operation: the same one twice is one.
func (n *fakeNet) accept(op sdk.Op) sdk.Delivered {
	n.mu.Lock()
	if d, ok := n.byOp[op.Head().ID]; ok && n.idempotent {
		n.mu.Unlock()
		return d
	}
	n.serial++
	d := sdk.DeliveredAs(sdk.RemoteMessageID(fmt.Sprintf("$out%d", n.serial)), time.Now())
	n.mu.Unlock()
	n.record(op, d)
	return d
}

func (n *fakeNet) record(op sdk.Op, d sdk.Delivered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byOp[op.Head().ID] = d
	n.ops = append(n.ops, op)
	n.note()
}

func (n *fakeNet) Send(_ context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) Edit(_ context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) Retract(_ context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) React(_ context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) SetTopic(_ context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) JoinGhost(_ context.Context, op *sdk.JoinGhost) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) LeaveGhost(_ context.Context, op *sdk.LeaveGhost) (sdk.Delivered, error) {
	return n.do(op)
}
func (n *fakeNet) Moderate(_ context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	return n.do(op)
}

func (n *fakeNet) Invite(_ context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	return n.do(op)
}

func (n *fakeNet) Watch(_ context.Context, r sdk.WatchRequest) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watched = r.Users
	n.note()
	return nil
}

func (n *fakeNet) signal(s sdk.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.signals = append(n.signals, s)
	n.note()
	return nil
}

func (n *fakeNet) Typing(_ context.Context, s *sdk.Typing) error      { return n.signal(s) }
func (n *fakeNet) Presence(_ context.Context, s *sdk.Presence) error  { return n.signal(s) }
func (n *fakeNet) MarkRead(_ context.Context, s *sdk.ReadState) error { return n.signal(s) }

func (n *fakeNet) Resolve(_ context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, ok := n.aliases[r.Text]; ok {
		return sdk.Target{Kind: sdk.TargetRoom, Portal: sdk.PortalKey{Room: id}, Name: n.rooms[id].Name}, nil
	}
	if u, ok := n.users[sdk.RemoteUserID(r.Text)]; ok {
		return sdk.Target{Kind: sdk.TargetUser, User: u}, nil
	}
	return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "nobody knows %s", r.Text)
}

func (n *fakeNet) JoinPortal(_ context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joins++
	if n.joinError != nil {
		return sdk.ChatInfo{}, n.joinError
	}
	if info, ok := n.rooms[r.Portal.Room]; ok {
		return info, nil
	}
	return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeNotFound, "there is no room %s", r.Portal.Room)
}

func (n *fakeNet) LeavePortal(context.Context, sdk.LeaveRequest) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left++
	n.note()
	return nil
}

func (n *fakeNet) ChatInfo(_ context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rooms[r.Portal.Room], nil
}

func (n *fakeNet) UserInfo(_ context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u, ok := n.users[r.User]; ok {
		return u, nil
	}
	return sdk.UserInfo{}, sdk.ErrNotFound
}

func (n *fakeNet) Test(context.Context) (sdk.Report, error) { return sdk.Report{}, nil }
func (n *fakeNet) Drain(context.Context) error              { return nil }

func (n *fakeNet) CreateDM(_ context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	return sdk.ChatInfo{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID("!dm-" + string(r.Users[0][1:]))}, Kind: sdk.ChatDirect}, nil
}

func (n *fakeNet) FetchMedia(context.Context, sdk.MediaRequest) (sdk.MediaContent, error) {
	return sdk.MediaContent{Body: io.NopCloser(bytes.NewReader(png)), Type: "image/png", Size: int64(len(png))}, nil
}

func (n *fakeNet) StartLogin(context.Context, sdk.StartLoginRequest) (sdk.LoginStep, error) {
	return sdk.LoginStep{Process: "p1", Kind: sdk.StepForm, Text: "your token", Fields: []sdk.LoginField{{Name: "token", Label: "Token", Secret: true, Required: true}}}, nil
}

func (n *fakeNet) LoginStep(_ context.Context, in sdk.LoginInput) (sdk.LoginStep, error) {
	return sdk.LoginStep{Process: in.Process, Kind: sdk.StepDone, Login: &sdk.Login{ID: "acc1", User: "@alice:hs", Name: "Alice there", Credentials: []byte("secret " + in.Values["token"])}}, nil
}

func (n *fakeNet) CancelLogin(context.Context, string) error { return nil }

func (n *fakeNet) LoadLogin(_ context.Context, l sdk.Login) (sdk.LoginStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loaded = append(n.loaded, l)
	n.note()
	return sdk.LoginStatus{ID: l.ID, State: sdk.LoginConnected}, nil
}

func (n *fakeNet) Logout(context.Context, sdk.LoginID) error { return nil }

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

// await waits until ready returns true; it is looked at again whenever something was recorded.
func (n *fakeNet) await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		n.mu.Lock()
		ok, changed := ready(), n.changed
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			n.mu.Lock()
			defer n.mu.Unlock()
			t.Fatalf("%s did not come; the network saw %d operations and %d signals", what, len(n.ops), len(n.signals))
		}
	}
}

// texts are the plain texts of the messages that the network has, in order.
func (n *fakeNet) texts() []string {
	var out []string
	for _, op := range n.ops {
		if m, ok := op.(*sdk.SendMessage); ok {
			out = append(out, m.Content.Body.Plain())
		}
	}
	return out
}

// awaitOp returns the first operation of a type that fits, once it is there.
func awaitOp[T sdk.Op](t testing.TB, n *fakeNet, fits func(T) bool) T {
	t.Helper()
	var found T
	n.await(t, fmt.Sprintf("an operation %T", found), func() bool {
		for _, op := range n.ops {
			if o, ok := op.(T); ok && fits(o) {
				found = o
				return true
			}
		}
		return false
	})
	return found
}

func any1[T any](T) bool { return true }
