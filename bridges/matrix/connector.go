package matrix

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Options are for tests; zero values are what a plugin uses.
type Options struct {
	Transport http.RoundTripper                      // to the homeserver
	Now       func() time.Time                       // wall clock
	After     func(d time.Duration) <-chan time.Time // timer of the keeper
}

// Connector is the bridge. The zero value is not usable; see New.
type Connector struct {
	opt Options

	// Set by Configure.
	conf Config
	reg  *appservice.Registration
	name string

	// Set by Start.
	host sdk.Host
	log  *slog.Logger
	hs   *homeserver

	self   atomic.Pointer[identity] // nil until the homeserver has said who we are
	ghosts *ghostBook
	rooms  *roomBook
	server *pushServer

	ephemeral atomic.Int32 // an ephemeralWay
	noShow    atomic.Bool  // the homeserver takes no presence
	trouble   atomic.Bool  // what was reported last
	upSince   atomic.Int64 // Unix time since which every request was answered, as far as is known
	looked    atomic.Int64 // Unix time of the last look at all rooms
	kick      chan struct{}
	errands   chan func(context.Context) // bounded; what does not fit is dropped

	stop context.CancelFunc
	work sync.WaitGroup
}

// identity is who we are on the homeserver.
type identity struct {
	ns  matrixid.Namespace
	bot id.UserID
}

var (
	_ sdk.Bridge          = (*Connector)(nil)
	_ sdk.Editor          = (*Connector)(nil)
	_ sdk.Retractor       = (*Connector)(nil)
	_ sdk.Reactor         = (*Connector)(nil)
	_ sdk.TopicSetter     = (*Connector)(nil)
	_ sdk.RoomEditor      = (*Connector)(nil)
	_ sdk.GhostMover      = (*Connector)(nil)
	_ sdk.ProfileSetter   = (*Connector)(nil)
	_ sdk.Inviter         = (*Connector)(nil)
	_ sdk.Moderator       = (*Connector)(nil)
	_ sdk.Typist          = (*Connector)(nil)
	_ sdk.Presencer       = (*Connector)(nil)
	_ sdk.Reader          = (*Connector)(nil)
	_ sdk.HistorySource   = (*Connector)(nil)
	_ sdk.MediaSource     = (*Connector)(nil)
	_ sdk.Setupper        = (*Connector)(nil)
	_ sdk.HTTPHandler     = (*Connector)(nil)
	_ sdk.DirectMessenger = (*Connector)(nil)
)

// New makes a bridge that is not configured yet.
func New(opt Options) *Connector {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.After == nil {
		opt.After = time.After
	}
	return &Connector{opt: opt, log: slog.New(slog.DiscardHandler), kick: make(chan struct{}, 1), errands: make(chan func(context.Context), 256)}
}

// Configure implements sdk.Bridge.
func (c *Connector) Configure(_ context.Context, conf sdk.Configuration) error {
	cfg, err := decodeConfig(conf.JSON)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: %v", err)
	}
	reg, err := readRegistration(cfg.RegistrationFile)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: %v", err)
	}
	hs, err := newHomeserver(cfg, reg.AppToken, c.opt.Transport, c.log)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: homeserver: %v", err)
	}
	c.conf, c.reg, c.hs, c.name = cfg, reg, hs, conf.Name
	return nil
}

// Start implements sdk.Bridge. A homeserver that is away is no error; one that
// does not know the token is.
func (c *Connector) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	if c.hs == nil {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: start: not configured")
	}
	c.host, c.log = h, slog.New(h.Log())
	c.hs.log = c.log
	c.upSince.Store(c.now().Unix())
	c.ghosts = newGhostBook()
	c.rooms = newRoomBook(r)
	c.server = newPushServer(c)
	for _, m := range r.Cursors {
		if at, err := time.Parse(time.RFC3339, string(m.Cursor)); err == nil && m.Portal.Room == "" {
			c.looked.Store(at.Unix())
		}
	}
	ctx, c.stop = context.WithCancel(ctx)

	var listener net.Listener
	if c.conf.Listen != "" {
		var err error
		if listener, err = listen(ctx, c.conf.Listen); err != nil {
			c.stop()
			return sdk.Refuse(sdk.CodeInvalid, "matrix: listen: %v (choose another `listen`, and the same in `url` and the registration)", err)
		}
	}
	if listener != nil {
		c.server.serve(ctx, listener, &c.work)
	}
	err := c.connect(ctx)
	if err != nil {
		if e := sdk.AsError(err); !e.Temporary || e.Code == sdk.CodeBadCredentials {
			c.stop()
			c.work.Wait()
			return err
		}
		c.report(ctx, sdk.LoginTrouble, err)
	}
	c.work.Add(3)
	go c.keep(ctx, err == nil)
	for range 2 {
		go c.run(ctx)
	}
	return nil
}

// listen gives an instance that is just ending a moment to leave the port.
func listen(ctx context.Context, address string) (net.Listener, error) {
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-again.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// connect learns who we are, and makes sure that the bot exists.
func (c *Connector) connect(ctx context.Context) error {
	// A start while the homeserver is away still knows its name.
	if server := c.knownServer(); server != "" && c.self.Load() == nil {
		if err := c.become(server); err != nil {
			return err
		}
	}
	bot, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	server := matrixid.Server(string(bot))
	if known := c.conf.ServerName; known != "" && known != server {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: the homeserver's server name is %s, not server_name %s", server, known)
	}
	if err := c.become(server); err != nil {
		return err
	}
	return c.dressBot(ctx)
}

func (c *Connector) knownServer() string {
	if c.conf.ServerName != "" {
		return c.conf.ServerName
	}
	return serverOf(c.reg, c.conf.Prefix)
}

// become settles on a server name.
func (c *Connector) become(server string) error {
	ns := matrixid.Namespace{Prefix: c.conf.Prefix, Server: server}
	if err := checkNamespace(c.reg, ns); err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "matrix: %v", err)
	}
	c.self.Store(&identity{ns: ns, bot: id.NewUserID(c.reg.SenderLocalpart, server)})
	return nil
}

// whoAmI asks the homeserver whom the token belongs to.
func (c *Connector) whoAmI(ctx context.Context) (id.UserID, error) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	api := c.hs.as("")
	api.SetAppServiceUserID = false
	resp, err := api.Whoami(ctx)
	if err != nil {
		return "", fmt.Errorf("matrix: whoami: %w", explain("the homeserver refuses the bridge's token", err))
	}
	if matrixid.Server(string(resp.UserID)) == "" {
		return "", sdk.RetryAfter(0, errors.New("matrix: whoami: no user id in the answer"))
	}
	return resp.UserID, nil
}

// me is who we are, or a temporary error until that is known.
func (c *Connector) me() (*identity, error) {
	if self := c.self.Load(); self != nil {
		return self, nil
	}
	return nil, &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the homeserver has not answered yet"}
}

// bot gives the API as the bot.
func (c *Connector) bot() (*homeserver, id.UserID, error) {
	self, err := c.me()
	if err != nil {
		return nil, "", err
	}
	return c.hs, self.bot, nil
}

// report tells the host how the connection is doing.
func (c *Connector) report(ctx context.Context, state sdk.LoginState, cause error) {
	s := sdk.LoginStatus{State: state, Since: c.opt.Now()}
	if was := c.trouble.Swap(state != sdk.LoginConnected); was && state == sdk.LoginConnected {
		c.upSince.Store(c.now().Unix())
	}
	if cause != nil {
		e := sdk.AsError(cause)
		s.Code, s.Text = e.Code, e.Text
		c.log.Warn("homeserver in trouble", "error", cause)
		c.rooms.suspectAll()
	}
	if err := c.host.LoginChanged(ctx, s); err != nil {
		c.log.Debug("state not reported", "error", err)
	}
}

// heard compares how a request ended with what the keeper believes, and lets it
// look at once if that was wrong. A homeserver that was killed and is back before
// the keeper looks was away all the same: see showsLate.
func (c *Connector) heard(answered bool) {
	if !answered {
		c.upSince.Store(c.now().Unix())
		c.rooms.suspectAll()
		c.server.doubt()
	}
	if c.trouble.Load() == answered {
		c.wake()
	}
}

// wake makes the keeper look at once.
func (c *Connector) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Drain implements sdk.Bridge: no transaction is taken from now on, those under
// way are finished.
func (c *Connector) Drain(ctx context.Context) error {
	if c.stop == nil {
		return nil
	}
	err := c.server.shut(ctx)
	c.stop()
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.hs.close()
	return err
}

// ServeHTTP implements sdk.HTTPHandler: the homeserver may push to the server's
// public address instead of a port of the bridge.
func (c *Connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.server == nil {
		writeError(w, http.StatusServiceUnavailable, "M_UNKNOWN", "not started")
		return
	}
	c.server.mux.ServeHTTP(w, r)
}
