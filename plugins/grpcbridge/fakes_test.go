package grpcbridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// fakeBridge has every role; what it does is set by the test.
type fakeBridge struct {
	send    func(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error)
	media   func(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error)
	web     func(w http.ResponseWriter, r *http.Request)
	started chan sdk.Host // gets the host at Start
	signals chan sdk.Signal

	mu     sync.Mutex
	config sdk.Configuration
	resume sdk.Resume
	asked  []any // requests as they came in
}

func newFakeBridge() *fakeBridge {
	return &fakeBridge{
		started: make(chan sdk.Host, 1),
		signals: make(chan sdk.Signal, 100),
		send: func(_ context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
			return sdk.DeliveredAs(sdk.RemoteMessageID("r-"+op.ID), time.UnixMicro(1).UTC()), nil
		},
	}
}

func (b *fakeBridge) note(v any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, v)
}

func (b *fakeBridge) last() any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[len(b.asked)-1]
}

func fakeInfo() sdk.Info {
	one := []sdk.AddressForm{{Name: "id", Segments: []sdk.AddressSegment{{Name: "id"}}}}
	return sdk.Info{
		Plugin: "fake", Network: "fake", Title: "Fake", Version: "1", Addresses: sdk.AddressShape{Users: one, Rooms: one},
		Config: sdk.SchemaOf(struct {
			Token string `json:"token" doc:"a token" secret:"true"`
		}{}),
		Capabilities: sdk.Capabilities{Text: sdk.TextCapability{MaxLength: 100, Formatting: []richtext.Kind{richtext.KindBold}}},
	}
}

func (b *fakeBridge) Info() sdk.Info { return fakeInfo() }

func (b *fakeBridge) Configure(_ context.Context, c sdk.Configuration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = c
	if strings.Contains(string(c.JSON), "bad") {
		return sdk.Refuse(sdk.CodeInvalid, "bad config")
	}
	return nil
}

func (b *fakeBridge) Start(_ context.Context, h sdk.Host, r sdk.Resume) error {
	b.mu.Lock()
	b.resume = r
	b.mu.Unlock()
	b.started <- h
	return nil
}

func (b *fakeBridge) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	return b.send(ctx, op)
}

func (b *fakeBridge) did(op sdk.Op) (sdk.Delivered, error) {
	b.note(op)
	return sdk.Delivered{}, nil
}

func (b *fakeBridge) Edit(_ context.Context, op *sdk.EditMessage) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) Retract(_ context.Context, op *sdk.RetractMessage) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) React(_ context.Context, op *sdk.SetReactions) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) SetTopic(_ context.Context, op *sdk.SetTopic) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) EditRoom(_ context.Context, op *sdk.EditRoom) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) JoinGhost(_ context.Context, op *sdk.JoinGhost) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) LeaveGhost(_ context.Context, op *sdk.LeaveGhost) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) ChangeProfile(_ context.Context, op *sdk.ChangeProfile) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) Invite(_ context.Context, op *sdk.InviteUser) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) Moderate(_ context.Context, op *sdk.Moderate) (sdk.Delivered, error) {
	return b.did(op)
}

func (b *fakeBridge) Typing(_ context.Context, s *sdk.Typing) error { b.signals <- s; return nil }

func (b *fakeBridge) Presence(_ context.Context, s *sdk.Presence) error { b.signals <- s; return nil }

func (b *fakeBridge) MarkRead(_ context.Context, s *sdk.ReadState) error { b.signals <- s; return nil }

func (b *fakeBridge) Resolve(_ context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	b.note(r)
	if r.Text == "nobody" {
		return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "nobody of this name")
	}
	return sdk.Target{Kind: sdk.TargetUser, User: sdk.UserInfo{ID: sdk.RemoteUserID(r.Text)}}, nil
}

func (b *fakeBridge) JoinPortal(_ context.Context, r sdk.JoinRequest) (sdk.ChatInfo, error) {
	b.note(r)
	return sdk.ChatInfo{Portal: r.Portal, Name: "joined"}, nil
}

func (b *fakeBridge) LeavePortal(_ context.Context, r sdk.LeaveRequest) error { b.note(r); return nil }

func (b *fakeBridge) ChatInfo(_ context.Context, r sdk.ChatInfoRequest) (sdk.ChatInfo, error) {
	b.note(r)
	return sdk.ChatInfo{Portal: r.Portal, Members: []sdk.Member{{Nick: "a"}, {}}, NextMembers: "p2", MemberCount: -1}, nil
}

func (b *fakeBridge) UserInfo(_ context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	b.note(r)
	return sdk.UserInfo{ID: r.User, Name: "N"}, nil
}

func (b *fakeBridge) Test(context.Context) (sdk.Report, error) {
	return sdk.Report{Checks: []sdk.Check{{Name: "token", Status: sdk.CheckOK}}}, nil
}

func (b *fakeBridge) Drain(context.Context) error { b.note("drain"); return nil }

func (b *fakeBridge) Search(_ context.Context, r sdk.SearchRequest) (sdk.SearchResult, error) {
	b.note(r)
	return sdk.SearchResult{Next: "n"}, nil
}

func (b *fakeBridge) CreateDM(_ context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	b.note(r)
	return sdk.ChatInfo{Kind: sdk.ChatDirect}, nil
}

func (b *fakeBridge) CreateRoom(_ context.Context, r sdk.CreateRoomRequest) (sdk.ChatInfo, error) {
	b.note(r)
	return sdk.ChatInfo{Kind: sdk.ChatRoom}, nil
}

func (b *fakeBridge) FetchHistory(_ context.Context, r sdk.HistoryRequest) (sdk.HistoryPage, error) {
	b.note(r)
	return sdk.HistoryPage{Events: []sdk.Event{message("h1")}, Older: "older"}, nil
}

func (b *fakeBridge) FetchMedia(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	return b.media(ctx, r)
}

func (b *fakeBridge) Watch(_ context.Context, r sdk.WatchRequest) error { b.note(r); return nil }

func (b *fakeBridge) StartLogin(_ context.Context, r sdk.StartLoginRequest) (sdk.LoginStep, error) {
	b.note(r)
	return sdk.LoginStep{Process: "p1", Kind: sdk.StepForm, Fields: []sdk.LoginField{{Name: "code", Secret: true}}}, nil
}

func (b *fakeBridge) LoginStep(_ context.Context, r sdk.LoginInput) (sdk.LoginStep, error) {
	b.note(r)
	return sdk.LoginStep{Kind: sdk.StepDone, Login: &sdk.Login{ID: "l1", Credentials: []byte("secret")}}, nil
}

func (b *fakeBridge) CancelLogin(_ context.Context, p string) error { b.note(p); return nil }

func (b *fakeBridge) LoadLogin(_ context.Context, l sdk.Login) (sdk.LoginStatus, error) {
	b.note(l)
	return sdk.LoginStatus{ID: l.ID, State: sdk.LoginConnected}, nil
}

func (b *fakeBridge) Logout(_ context.Context, id sdk.LoginID) error { b.note(id); return nil }

func (b *fakeBridge) Setup(_ context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	b.note(r)
	return sdk.SetupPlan{Steps: []string{"do this"}, Files: []sdk.SetupFile{{Name: "f", Content: []byte("c"), Secret: true}}}, nil
}

func (b *fakeBridge) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.web(w, r) }

// fakeHost is the gateway's side: it keeps what was delivered and settles at once
// unless the test does.
type fakeHost struct {
	settle  func(b sdk.Batch, t *sdk.Ticket) // nil: at once
	refuse  func(b sdk.Batch) error          // an error of DeliverAsync itself
	signals chan sdk.Signal
	uploads func(ctx context.Context, info sdk.Media, body io.Reader) (sdk.Media, error)
	opens   func(ctx context.Context, req sdk.MediaRequest) (sdk.MediaContent, error)

	mu      sync.Mutex
	events  []sdk.Event
	cursors []sdk.CursorMark
	state   map[string]sdk.Entry
	asked   []any
}

func newFakeHost() *fakeHost {
	return &fakeHost{signals: make(chan sdk.Signal, 1000), state: map[string]sdk.Entry{}}
}

func (h *fakeHost) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, h, b)
}

func (h *fakeHost) DeliverAsync(_ context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	if h.refuse != nil {
		if err := h.refuse(b); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	h.events = append(h.events, b.Events...)
	h.cursors = append(h.cursors, b.Cursors...)
	h.mu.Unlock()
	t := sdk.NewTicket()
	if h.settle != nil {
		h.settle(b, t)
	} else {
		t.Settle(sdk.Receipt{}, nil)
	}
	return t, nil
}

func (h *fakeHost) ids() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, e := range h.events {
		out = append(out, string(e.Head().ID))
	}
	return out
}

func (h *fakeHost) note(v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, v)
}

func (h *fakeHost) Signal(s sdk.Signal) { h.signals <- s }
func (h *fakeHost) State() sdk.State    { return fakeState{h} }
func (h *fakeHost) PublicURL() string   { return "https://example.org/bridge/fake/" }
func (h *fakeHost) Log() slog.Handler   { return slog.DiscardHandler }

func (h *fakeHost) CapabilitiesChanged(_ context.Context, c sdk.CapabilitiesChange) error {
	h.note(c)
	return nil
}

func (h *fakeHost) LoginChanged(_ context.Context, s sdk.LoginStatus) error { h.note(s); return nil }

func (h *fakeHost) Upload(ctx context.Context, info sdk.Media, body io.Reader) (sdk.Media, error) {
	return h.uploads(ctx, info, body)
}

func (h *fakeHost) Open(ctx context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
	return h.opens(ctx, req)
}

func (h *fakeHost) LookupPerson(_ context.Context, q sdk.PersonQuery) (sdk.Sender, error) {
	if q.Address == "nobody@example.org" {
		return sdk.Sender{}, sdk.ErrNotFound
	}
	return sdk.Sender{Person: "p1", Address: q.Address, Name: "Alice"}, nil
}

func (h *fakeHost) LookupRoom(_ context.Context, q sdk.RoomQuery) (sdk.RoomCard, error) {
	return sdk.RoomCard{Address: q.Address, Name: "Room", Public: true}, nil
}

type fakeState struct{ h *fakeHost }

func (s fakeState) Get(_ context.Context, key string) (sdk.Entry, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	e, ok := s.h.state[key]
	if !ok {
		return sdk.Entry{}, sdk.ErrNotFound
	}
	return e, nil
}

func (s fakeState) Put(_ context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	old := s.h.state[key]
	if expect != sdk.AnyRevision && old.Revision != expect {
		return 0, sdk.ErrConflict
	}
	s.h.state[key] = sdk.Entry{Key: key, Value: bytes.Clone(value), Revision: old.Revision + 1}
	return old.Revision + 1, nil
}

func (s fakeState) Delete(_ context.Context, key string, expect sdk.Revision) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if expect != sdk.AnyRevision && s.h.state[key].Revision != expect {
		return sdk.ErrConflict
	}
	delete(s.h.state, key)
	return nil
}

func (s fakeState) List(_ context.Context, prefix, after string, limit int) ([]sdk.Entry, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	var out []sdk.Entry
	for k, e := range s.h.state {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b sdk.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)], nil
}

// message is an event with an id.
func message(id string) *sdk.Message {
	return &sdk.Message{
		EventHeader: sdk.EventHeader{Portal: sdk.PortalKey{Room: "r1"}, ID: sdk.EventID(id), Actor: sdk.Party{User: "u1"}},
		Message:     sdk.RemoteMessageID(id), Content: sdk.Content{Body: richtext.FromPlain("hello " + id)},
	}
}

func sendOp(id, room string) *sdk.SendMessage {
	return &sdk.SendMessage{
		OpHeader: sdk.OpHeader{ID: sdk.OpID(id), Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, Attempt: 1},
		Content:  sdk.Content{Body: richtext.FromPlain("hello " + id)},
	}
}

// rig is a bridge and a host with gRPC in between, in one process.
type rig struct {
	bridge *fakeBridge
	host   *fakeHost
	client *Client
	server *server
	grpc   *grpc.Server
	conn   *grpc.ClientConn
	remote sdk.Host // the host as the bridge sees it
}

type rigOptions struct {
	bridge *fakeBridge
	host   *fakeHost
	events int // the host's window
	ops    int // the plugin's
	idle   bool
}

// newRig starts everything and stops it, without a goroutine left, at the end.
func newRig(t testing.TB, opt rigOptions) *rig {
	t.Helper()
	r := &rig{bridge: opt.bridge, host: opt.host}
	if r.bridge == nil {
		r.bridge = newFakeBridge()
	}
	if r.host == nil {
		r.host = newFakeHost()
	}
	ignore := goleak.IgnoreCurrent()
	// net/http lingers half a second on a connection whose request it did not read whole.
	lingering := goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")
	t.Cleanup(func() { goleak.VerifyNone(t, ignore, lingering) })
	var err error
	if r.server, err = newServer(r.bridge, slog.New(slog.DiscardHandler), opt.ops); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.close)
	r.conn, r.grpc = serveInProcess(t, r.server)
	r.client, err = NewClient(t.Context(), r.conn, ClientOptions{Server: "test", SocketDir: socketDir(t), Window: opt.events})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	if opt.idle {
		return r
	}
	if err := r.client.Configure(t.Context(), sdk.Configuration{Name: "fake", PublicURL: r.host.PublicURL()}); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Start(t.Context(), r.host, sdk.Resume{First: true}); err != nil {
		t.Fatal(err)
	}
	r.remote = <-r.bridge.started
	return r
}

// serveInProcess puts a service behind a connection in memory.
func serveInProcess(t testing.TB, s pb.BridgeServer) (*grpc.ClientConn, *grpc.Server) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := newGRPCServer([]grpc.ServerOption{grpc.Creds(insecure.NewCredentials())}, nil)
	pb.RegisterBridgeServer(g, s)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-served })
	conn, err := grpc.NewClient("passthrough:///bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, g
}

// socketDir is short: the path of a unix socket has at most 107 bytes.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// codeOf is the code of an error, or -1 for none.
func codeOf(err error) sdk.Code {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return -1
	}
	return e.Code
}
