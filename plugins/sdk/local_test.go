package sdk

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// plain is a bridge without any role.
type plain struct {
	send  func(ctx context.Context, op *SendMessage) (Delivered, error)
	start func(ctx context.Context) error
}

func (b *plain) Info() Info                                     { return Info{Plugin: "plain"} }
func (b *plain) Configure(context.Context, Configuration) error { return nil }
func (b *plain) Start(ctx context.Context, _ Host, _ Resume) error {
	if b.start == nil {
		return nil
	}
	return b.start(ctx)
}

func (b *plain) Send(ctx context.Context, op *SendMessage) (Delivered, error) {
	return b.send(ctx, op)
}

func (b *plain) Resolve(context.Context, ResolveRequest) (Target, error)     { panic("resolve") }
func (b *plain) JoinPortal(context.Context, JoinRequest) (ChatInfo, error)   { return ChatInfo{}, nil }
func (b *plain) LeavePortal(context.Context, LeaveRequest) error             { return nil }
func (b *plain) ChatInfo(context.Context, ChatInfoRequest) (ChatInfo, error) { return ChatInfo{}, nil }
func (b *plain) UserInfo(context.Context, UserInfoRequest) (UserInfo, error) { return UserInfo{}, nil }
func (b *plain) Test(context.Context) (Report, error)                        { return Report{}, nil }
func (b *plain) Drain(context.Context) error                                 { return nil }

// talker can type and answer http.
type talker struct {
	plain
	typed chan Signal
}

func (b *talker) Typing(_ context.Context, s *Typing) error {
	b.typed <- s
	panic("typist")
}

func (b *talker) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

func send(id, room string) *SendMessage {
	return &SendMessage{OpHeader: OpHeader{ID: OpID(id), Portal: PortalKey{Room: RemoteRoomID(room)}}}
}

func TestAbilities(t *testing.T) {
	if got := Abilities(&plain{}); len(got) != 0 {
		t.Error(got)
	}
	if got := Abilities(&talker{}); !slices.Equal(got, []Ability{AbilityTyping, AbilityHTTP}) {
		t.Error(got)
	}
}

func TestLocalKeepsTheOrderOfAPortal(t *testing.T) {
	defer goleak.VerifyNone(t)
	var order []OpID
	b := &plain{send: func(_ context.Context, op *SendMessage) (Delivered, error) {
		order = append(order, op.ID) // the race detector would tell two at a time
		return Delivered{}, nil
	}}
	l := NewLocal(b, LocalOptions{Window: 3})
	done := make(chan error, 100)
	var want []OpID
	for i := range 100 {
		op := send(string(rune('0'+i)), "r")
		want = append(want, op.ID)
		if err := l.Submit(t.Context(), op, func(_ Delivered, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if !slices.Equal(order, want) {
		t.Fatal(order)
	}
	if err := l.Submit(t.Context(), send("x", "r"), nil); !errors.Is(err, ErrSessionLost) {
		t.Fatal(err)
	}
}

func TestLocalErrors(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := &plain{send: func(ctx context.Context, op *SendMessage) (Delivered, error) {
		switch op.ID {
		case "panic":
			panic("oops")
		case "wait":
			<-ctx.Done()
			return Delivered{}, context.Cause(ctx)
		}
		return Delivered{}, errors.New("plain error")
	}}
	l := NewLocal(b, LocalOptions{})
	if _, err := Handle(t.Context(), l, send("panic", "r")); AsError(err).Temporary || AsError(err).Text != "the bridge failed" {
		t.Error(err)
	}
	if _, err := Handle(t.Context(), l, send("other", "r")); !AsError(err).Temporary {
		t.Error(err)
	}
	if _, err := l.Resolve(t.Context(), ResolveRequest{}); AsError(err).Text != "the bridge failed" {
		t.Error(err)
	}
	if _, err := l.Search(t.Context(), SearchRequest{}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	for _, op := range []Op{
		&EditMessage{}, &RetractMessage{}, &SetReactions{}, &SetTopic{}, &EditRoom{}, &JoinGhost{}, &LeaveGhost{},
		&InviteUser{}, &Moderate{}, &ChangeProfile{}, &UnknownOp{},
	} {
		if _, err := Handle(t.Context(), l, op); !errors.Is(err, ErrUnsupported) && AsError(err).Code != CodeUnsupported {
			t.Errorf("%T: %v", op, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	if err := l.Submit(ctx, send("wait", "r"), func(_ Delivered, err error) { result <- err }); err != nil {
		t.Fatal(err)
	}
	cancel() // gives up the wait for a place, not the operation
	l.Close()
	if err := <-result; !errors.Is(err, ErrSessionLost) {
		t.Error(err)
	}
	<-l.Done()
	if !errors.Is(l.Err(), ErrSessionLost) {
		t.Error(l.Err())
	}
}

func TestLocalSignalsAndHTTP(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := &talker{typed: make(chan Signal)}
	l := NewLocal(b, LocalOptions{})
	defer l.Close()
	for range 2 { // a panic does not end the lane
		l.Signal(&Typing{Active: true})
		<-b.typed
		l.Signal(&Presence{}) // no role for it
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusTeapot {
		t.Error(w.Code)
	}
	none := NewLocal(&plain{}, LocalOptions{})
	defer none.Close()
	w = httptest.NewRecorder()
	none.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
}

func TestLocalStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	begun := make(chan context.Context, 2)
	b := &plain{start: func(ctx context.Context) error {
		begun <- ctx
		<-ctx.Done()
		return ctx.Err()
	}}
	l := NewLocal(b, LocalOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := l.Start(ctx, nil, Resume{}); AsError(err).Code != CodeUnavailable {
		t.Error(err)
	}
	l.Close() // ends the bridge's own context
}
