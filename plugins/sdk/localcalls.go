package sdk

import "context"

// call runs f for a role of the bridge, or says that the role is missing.
func call[R, T any](ctx context.Context, l *Local, what string, f func(context.Context, R) (T, error)) (T, error) {
	var out T
	role, ok := l.b.(R)
	if !ok {
		return out, Unsupported(what)
	}
	// A call ends with its caller or with the instance, whichever is first.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(l.ctx, func() { cancel(ErrSessionLost) })
	defer stop()
	err := l.guard(what, func() error {
		var err error
		out, err = f(ctx, role)
		return err
	})
	return out, err
}

func call0[R any](ctx context.Context, l *Local, what string, f func(context.Context, R) error) error {
	_, err := call(ctx, l, what, func(ctx context.Context, r R) (struct{}, error) { return struct{}{}, f(ctx, r) })
	return err
}

// Configure implements Remote.
func (l *Local) Configure(ctx context.Context, c Configuration) error {
	return call0(ctx, l, "configuring", func(ctx context.Context, b Bridge) error { return b.Configure(ctx, c) })
}

// Start implements Remote. The bridge's context lasts until Close; ctx bounds the start.
func (l *Local) Start(ctx context.Context, h Host, r Resume) error {
	done := make(chan error, 1)
	l.work.Add(1)
	go func() {
		defer l.work.Done()
		done <- l.guard("start", func() error { return l.b.Start(l.ctx, h, r) })
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &Error{Code: CodeUnavailable, Temporary: true, Text: "the bridge did not start in time", Err: ctx.Err()}
	}
}

// Resolve implements Remote.
func (l *Local) Resolve(ctx context.Context, r ResolveRequest) (Target, error) {
	return call(ctx, l, "resolving", func(ctx context.Context, b Bridge) (Target, error) { return b.Resolve(ctx, r) })
}

// JoinPortal implements Remote.
func (l *Local) JoinPortal(ctx context.Context, r JoinRequest) (ChatInfo, error) {
	return call(ctx, l, "joining", func(ctx context.Context, b Bridge) (ChatInfo, error) { return b.JoinPortal(ctx, r) })
}

// LeavePortal implements Remote.
func (l *Local) LeavePortal(ctx context.Context, r LeaveRequest) error {
	return call0(ctx, l, "leaving", func(ctx context.Context, b Bridge) error { return b.LeavePortal(ctx, r) })
}

// ChatInfo implements Remote.
func (l *Local) ChatInfo(ctx context.Context, r ChatInfoRequest) (ChatInfo, error) {
	return call(ctx, l, "describing a room", func(ctx context.Context, b Bridge) (ChatInfo, error) { return b.ChatInfo(ctx, r) })
}

// UserInfo implements Remote.
func (l *Local) UserInfo(ctx context.Context, r UserInfoRequest) (UserInfo, error) {
	return call(ctx, l, "describing a user", func(ctx context.Context, b Bridge) (UserInfo, error) { return b.UserInfo(ctx, r) })
}

// Test implements Remote.
func (l *Local) Test(ctx context.Context) (Report, error) {
	return call(ctx, l, "testing", func(ctx context.Context, b Bridge) (Report, error) { return b.Test(ctx) })
}

// Drain implements Remote.
func (l *Local) Drain(ctx context.Context) error {
	return call0(ctx, l, "draining", func(ctx context.Context, b Bridge) error { return b.Drain(ctx) })
}

// Search implements Remote.
func (l *Local) Search(ctx context.Context, r SearchRequest) (SearchResult, error) {
	return call(ctx, l, "searching", func(ctx context.Context, b Searcher) (SearchResult, error) { return b.Search(ctx, r) })
}

// CreateDM implements Remote.
func (l *Local) CreateDM(ctx context.Context, r CreateDMRequest) (ChatInfo, error) {
	return call(ctx, l, "opening a direct chat", func(ctx context.Context, b DirectMessenger) (ChatInfo, error) { return b.CreateDM(ctx, r) })
}

// CreateRoom implements Remote.
func (l *Local) CreateRoom(ctx context.Context, r CreateRoomRequest) (ChatInfo, error) {
	return call(ctx, l, "creating a room", func(ctx context.Context, b RoomCreator) (ChatInfo, error) { return b.CreateRoom(ctx, r) })
}

// FetchHistory implements Remote.
func (l *Local) FetchHistory(ctx context.Context, r HistoryRequest) (HistoryPage, error) {
	return call(ctx, l, "reading history", func(ctx context.Context, b HistorySource) (HistoryPage, error) { return b.FetchHistory(ctx, r) })
}

// FetchMedia implements Remote. The content outlives the call: ctx must last
// until it is read.
func (l *Local) FetchMedia(ctx context.Context, r MediaRequest) (MediaContent, error) {
	src, ok := l.b.(MediaSource)
	if !ok {
		return MediaContent{}, Unsupported("fetching files")
	}
	var out MediaContent
	err := l.guard("fetching files", func() error {
		var err error
		out, err = src.FetchMedia(ctx, r)
		return err
	})
	return out, err
}

// Watch implements Remote.
func (l *Local) Watch(ctx context.Context, r WatchRequest) error {
	return call0(ctx, l, "watching presence", func(ctx context.Context, b Watcher) error { return b.Watch(ctx, r) })
}

// StartLogin implements Remote.
func (l *Local) StartLogin(ctx context.Context, r StartLoginRequest) (LoginStep, error) {
	return call(ctx, l, "signing in", func(ctx context.Context, b LoginFlow) (LoginStep, error) { return b.StartLogin(ctx, r) })
}

// LoginStep implements Remote.
func (l *Local) LoginStep(ctx context.Context, r LoginInput) (LoginStep, error) {
	return call(ctx, l, "signing in", func(ctx context.Context, b LoginFlow) (LoginStep, error) { return b.LoginStep(ctx, r) })
}

// CancelLogin implements Remote.
func (l *Local) CancelLogin(ctx context.Context, process string) error {
	return call0(ctx, l, "signing in", func(ctx context.Context, b LoginFlow) error { return b.CancelLogin(ctx, process) })
}

// LoadLogin implements Remote.
func (l *Local) LoadLogin(ctx context.Context, login Login) (LoginStatus, error) {
	return call(ctx, l, "signing in", func(ctx context.Context, b LoginFlow) (LoginStatus, error) { return b.LoadLogin(ctx, login) })
}

// Logout implements Remote.
func (l *Local) Logout(ctx context.Context, id LoginID) error {
	return call0(ctx, l, "signing out", func(ctx context.Context, b LoginFlow) error { return b.Logout(ctx, id) })
}

// Setup implements Remote.
func (l *Local) Setup(ctx context.Context, r SetupRequest) (SetupPlan, error) {
	return call(ctx, l, "setting up", func(ctx context.Context, b Setupper) (SetupPlan, error) { return b.Setup(ctx, r) })
}
