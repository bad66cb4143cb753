package grpcbridge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestHelloTellsWhatTheBridgeIs(t *testing.T) {
	r := newRig(t, rigOptions{})
	if !reflect.DeepEqual(r.client.Info(), fakeInfo()) {
		t.Errorf("%+v", r.client.Info())
	}
	for _, a := range sdkAbilities() {
		if !r.client.Can(a) {
			t.Errorf("cannot %s", a)
		}
	}
	if r.client.Can("fly") {
		t.Error("can fly")
	}
	if got := r.bridge.config; got.Name != "fake" || got.PublicURL != r.host.PublicURL() {
		t.Errorf("%+v", got)
	}
	if !r.bridge.resume.First || r.remote.PublicURL() != r.host.PublicURL() {
		t.Errorf("%+v", r.bridge.resume)
	}
}

func TestRequestsOfTheHost(t *testing.T) {
	r := newRig(t, rigOptions{})
	c, ctx := r.client, t.Context()
	sender := sdk.Sender{Person: "p", Name: "Alice"}
	portal := sdk.PortalKey{Login: "l", Room: "r"}
	for name, tc := range map[string]struct {
		do    func() (any, error)
		asked any
		want  any
	}{
		"resolve": {
			func() (any, error) { return c.Resolve(ctx, sdk.ResolveRequest{Text: "bob", For: sender}) },
			sdk.ResolveRequest{Text: "bob", For: sender}, sdk.Target{Kind: sdk.TargetUser, User: sdk.UserInfo{ID: "bob"}},
		},
		"join": {
			func() (any, error) { return c.JoinPortal(ctx, sdk.JoinRequest{Portal: portal, Via: []string{"hs"}}) },
			sdk.JoinRequest{Portal: portal, Via: []string{"hs"}}, sdk.ChatInfo{Portal: portal, Name: "joined"},
		},
		"leave": {
			func() (any, error) { return nil, c.LeavePortal(ctx, sdk.LeaveRequest{Portal: portal, Forget: true}) },
			sdk.LeaveRequest{Portal: portal, Forget: true}, nil,
		},
		"room": {
			func() (any, error) { return c.ChatInfo(ctx, sdk.ChatInfoRequest{Portal: portal, Members: 2}) },
			sdk.ChatInfoRequest{Portal: portal, Members: 2},
			sdk.ChatInfo{Portal: portal, Members: []sdk.Member{{Nick: "a"}, {}}, NextMembers: "p2", MemberCount: -1},
		},
		"user": {
			func() (any, error) { return c.UserInfo(ctx, sdk.UserInfoRequest{User: "u"}) },
			sdk.UserInfoRequest{User: "u"}, sdk.UserInfo{ID: "u", Name: "N"},
		},
		"search": {
			func() (any, error) { return c.Search(ctx, sdk.SearchRequest{Text: "w", Limit: 3}) },
			sdk.SearchRequest{Text: "w", Limit: 3}, sdk.SearchResult{Next: "n"},
		},
		"dm": {
			func() (any, error) { return c.CreateDM(ctx, sdk.CreateDMRequest{Users: []sdk.RemoteUserID{"u"}}) },
			sdk.CreateDMRequest{Users: []sdk.RemoteUserID{"u"}}, sdk.ChatInfo{Kind: sdk.ChatDirect},
		},
		"create": {
			func() (any, error) { return c.CreateRoom(ctx, sdk.CreateRoomRequest{Name: "n"}) },
			sdk.CreateRoomRequest{Name: "n"}, sdk.ChatInfo{Kind: sdk.ChatRoom},
		},
		"watch": {
			func() (any, error) { return nil, c.Watch(ctx, sdk.WatchRequest{Users: []sdk.RemoteUserID{"u"}}) },
			sdk.WatchRequest{Users: []sdk.RemoteUserID{"u"}}, nil,
		},
		"start login": {
			func() (any, error) { return c.StartLogin(ctx, sdk.StartLoginRequest{Flow: "f", For: sender}) },
			sdk.StartLoginRequest{Flow: "f", For: sender},
			sdk.LoginStep{Process: "p1", Kind: sdk.StepForm, Fields: []sdk.LoginField{{Name: "code", Secret: true}}},
		},
		"login step": {
			func() (any, error) {
				return c.LoginStep(ctx, sdk.LoginInput{Process: "p1", Values: map[string]string{"code": "1"}})
			},
			sdk.LoginInput{Process: "p1", Values: map[string]string{"code": "1"}},
			sdk.LoginStep{Kind: sdk.StepDone, Login: &sdk.Login{ID: "l1", Credentials: []byte("secret")}},
		},
		"cancel login": {func() (any, error) { return nil, c.CancelLogin(ctx, "p1") }, "p1", nil},
		"load login": {
			func() (any, error) { return c.LoadLogin(ctx, sdk.Login{ID: "l1", Credentials: []byte("c")}) },
			sdk.Login{ID: "l1", Credentials: []byte("c")}, sdk.LoginStatus{ID: "l1", State: sdk.LoginConnected},
		},
		"logout": {func() (any, error) { return nil, c.Logout(ctx, "l1") }, sdk.LoginID("l1"), nil},
		"setup": {
			func() (any, error) {
				return c.Setup(ctx, sdk.SetupRequest{Name: "n", Answers: map[string]string{"a": "b"}})
			},
			sdk.SetupRequest{Name: "n", Answers: map[string]string{"a": "b"}},
			sdk.SetupPlan{Steps: []string{"do this"}, Files: []sdk.SetupFile{{Name: "f", Content: []byte("c"), Secret: true}}},
		},
		"drain": {func() (any, error) { return nil, c.Drain(ctx) }, "drain", nil},
	} {
		got, err := tc.do()
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if asked := r.bridge.last(); !reflect.DeepEqual(asked, tc.asked) {
			t.Errorf("%s: the bridge saw %+v", name, asked)
		}
	}
	page, err := c.FetchHistory(ctx, sdk.HistoryRequest{Portal: portal, Limit: 5})
	if err != nil || len(page.Events) != 1 || page.Events[0].Head().ID != "h1" || !page.Events[0].Head().History || page.Older != "older" {
		t.Errorf("history: %+v, %v", page, err)
	}
	report, err := c.Test(ctx)
	if err != nil || len(report.Checks) != 1 || report.Failed() {
		t.Errorf("test: %+v, %v", report, err)
	}
	if _, err := c.Resolve(ctx, sdk.ResolveRequest{Text: "nobody"}); !errors.Is(err, sdk.ErrNotFound) || err.Error() != "nobody of this name" {
		t.Errorf("refusal: %v", err)
	}
	if err := c.Configure(ctx, sdk.Configuration{JSON: []byte(`"bad"`)}); codeOf(err) != sdk.CodeInvalid {
		t.Errorf("configure: %v", err)
	}
}

func TestRequestsOfTheBridge(t *testing.T) {
	r := newRig(t, rigOptions{})
	h, ctx := r.remote, t.Context()
	st := h.State()
	if _, err := st.Get(ctx, "k"); !errors.Is(err, sdk.ErrNotFound) {
		t.Fatal(err)
	}
	rev, err := st.Put(ctx, "k", []byte("v"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(ctx, "k", []byte("w"), 0); !errors.Is(err, sdk.ErrConflict) {
		t.Fatalf("compare-and-set: %v", err)
	}
	if e, err := st.Get(ctx, "k"); err != nil || string(e.Value) != "v" || e.Revision != rev {
		t.Fatal(e, err)
	}
	if err := st.Delete(ctx, "k", rev+1); !errors.Is(err, sdk.ErrConflict) {
		t.Fatal(err)
	}
	if err := st.Delete(ctx, "k", sdk.AnyRevision); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"empty": "", "long": strings.Repeat("k", 513)} {
		if _, err := st.Put(ctx, key, nil, 0); codeOf(err) != sdk.CodeInvalid {
			t.Errorf("%s key: %v", name, err)
		}
	}
	if _, err := st.Put(ctx, "big", make([]byte, maxStateValue+1), 0); codeOf(err) != sdk.CodeTooBig {
		t.Errorf("big value: %v", err)
	}
	p, err := h.LookupPerson(ctx, sdk.PersonQuery{Address: "a@example.org"})
	if err != nil || p.Name != "Alice" || p.Address != "a@example.org" {
		t.Error(p, err)
	}
	if _, err := h.LookupPerson(ctx, sdk.PersonQuery{Address: "nobody@example.org"}); !errors.Is(err, sdk.ErrNotFound) {
		t.Error(err)
	}
	card, err := h.LookupRoom(ctx, sdk.RoomQuery{Address: "r@rooms.example.org", By: sdk.Party{User: "u"}})
	if err != nil || !card.Public || card.Address != "r@rooms.example.org" {
		t.Error(card, err)
	}
	change := sdk.CapabilitiesChange{Scope: sdk.ScopePortal, Portal: sdk.PortalKey{Room: "r"}, Capabilities: &sdk.Capabilities{Replies: sdk.LevelFull}}
	if err := h.CapabilitiesChanged(ctx, change); err != nil || !reflect.DeepEqual(r.host.asked[0], change) {
		t.Error(r.host.asked, err)
	}
	status := sdk.LoginStatus{ID: "l", State: sdk.LoginBadSecret, Credentials: []byte{}}
	if err := h.LoginChanged(ctx, status); err != nil || !reflect.DeepEqual(r.host.asked[1], status) {
		t.Errorf("%+v, %v", r.host.asked[1], err)
	}
}

// A listing longer than one message comes in several, and whole.
func TestLongListing(t *testing.T) {
	r := newRig(t, rigOptions{})
	st := r.remote.State()
	for i := range 7 {
		if _, err := st.Put(t.Context(), fmt.Sprint("p/", i), make([]byte, 900<<10), 0); err != nil {
			t.Fatal(err)
		}
	}
	all, err := st.List(t.Context(), "p/", "", 100)
	if err != nil || len(all) != 7 || all[6].Key != "p/6" {
		t.Fatal(len(all), err)
	}
	some, err := st.List(t.Context(), "p/", "p/0", 3)
	if err != nil || len(some) != 3 || some[0].Key != "p/1" {
		t.Fatal(len(some), err)
	}
}

func TestSignalsBothWays(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, s := range []sdk.Signal{
		&sdk.Typing{Portal: sdk.PortalKey{Room: "r"}, Who: sdk.Party{User: "u"}, Active: true},
		&sdk.Presence{Who: sdk.Party{User: "u"}, Show: sdk.ShowAway, Status: "lunch"},
		&sdk.ReadState{Portal: sdk.PortalKey{Room: "r"}, UpTo: sdk.MessageRef{ID: "m"}},
	} {
		r.remote.Signal(s)
		if got := <-r.host.signals; !reflect.DeepEqual(got, s) {
			t.Errorf("in: %+v", got)
		}
		r.client.Signal(s)
		if got := <-r.bridge.signals; !reflect.DeepEqual(got, s) {
			t.Errorf("out: %+v", got)
		}
	}
}

// minimal has no role at all.
type minimal struct{ sdk.Bridge }

func TestMissingAbilities(t *testing.T) {
	s, err := newServer(minimal{newFakeBridge()}, discard(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	conn, _ := serveInProcess(t, s)
	c, err := NewClient(t.Context(), conn, ClientOptions{SocketDir: socketDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	for name, err := range map[string]error{
		"search":  second(c.Search(ctx, sdk.SearchRequest{})),
		"dm":      second(c.CreateDM(ctx, sdk.CreateDMRequest{})),
		"create":  second(c.CreateRoom(ctx, sdk.CreateRoomRequest{})),
		"history": second(c.FetchHistory(ctx, sdk.HistoryRequest{})),
		"media":   second(c.FetchMedia(ctx, sdk.MediaRequest{})),
		"watch":   c.Watch(ctx, sdk.WatchRequest{}),
		"setup":   second(c.Setup(ctx, sdk.SetupRequest{})),
		"login":   second(c.StartLogin(ctx, sdk.StartLoginRequest{})),
		"step":    second(c.LoginStep(ctx, sdk.LoginInput{})),
		"cancel":  c.CancelLogin(ctx, "p"),
		"load":    second(c.LoadLogin(ctx, sdk.Login{})),
		"logout":  c.Logout(ctx, "l"),
	} {
		if !errors.Is(err, sdk.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A plugin without the method at all (an older one) is the same.
	if _, err := pb.NewBridgeClient(conn).Search(ctx, &pb.SearchRequest{}); err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	if w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
	if err := c.Submit(ctx, sendOp("o", "r"), nil); codeOf(err) != sdk.CodeUnavailable {
		t.Error("submit before start:", err)
	}
}

func TestUnimplementedIsUnsupported(t *testing.T) {
	conn, _ := serveInProcess(t, &rawPlugin{session: func(s grpc.BidiStreamingServer[pb.HostFrame, pb.PluginFrame]) error {
		<-s.Context().Done()
		return nil
	}})
	c, err := NewClient(t.Context(), conn, ClientOptions{SocketDir: socketDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Test(t.Context()); !errors.Is(err, sdk.ErrUnsupported) {
		t.Fatal(err)
	}
}

func TestHTTPForTheBridge(t *testing.T) {
	bridge := newFakeBridge()
	bridge.web = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.URL.RequestURI()+" "+r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte("got "), body...))
	}
	r := newRig(t, rigOptions{bridge: bridge})
	do := func() *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPut, "http://chat.example.org/_matrix/app/v1/transactions/1?a=b%20c", strings.NewReader("body"))
		req.Header.Set("Authorization", "Bearer x")
		req.Header.Set("X-Forwarded-For", "6.6.6.6") // a client's claim
		w := httptest.NewRecorder()
		r.client.ServeHTTP(w, req)
		return w
	}
	w := do()
	if want := "PUT /_matrix/app/v1/transactions/1?a=b%20c chat.example.org 192.0.2.1 Bearer x"; w.Code != http.StatusTeapot || w.Body.String() != "got body" || w.Header().Get("X-Seen") != want {
		t.Fatal(w.Code, w.Body, w.Header())
	}
	// Without a host nothing may be confirmed to the network.
	r.server.session.lose(sdk.ErrSessionLost)
	if w := do(); w.Code != http.StatusServiceUnavailable {
		t.Fatal(w.Code)
	}
	r.client.Close()
	if w := do(); w.Code != http.StatusServiceUnavailable {
		t.Fatal(w.Code)
	}
}
