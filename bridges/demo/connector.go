package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Options are for tests; a plugin's main leaves them empty.
type Options struct {
	// Network is used instead of one that the configuration names or the bridge makes.
	Network demonet.API
	Clock   demonet.Clock
}

// Connector is the bridge.
type Connector struct {
	opt Options

	mu         sync.Mutex
	cfg        Config
	configured bool
	api        demonet.API
	own        *demonet.Network // nil if the network is elsewhere
	host       sdk.Host
	log        *slog.Logger
	stop       context.CancelFunc
	done       chan struct{} // closed when the loop has ended
	starts     int
	portals    []sdk.PortalKey // those the server knew at the start
	guests     map[sdk.PersonID]guest
	tokens     map[sdk.LoginID]string
	processes  map[string]bool // logins that have begun
	nextLogin  int
}

// What the bridge can do. A role that a network does not have is left out, and
// the server copes.
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
	_ sdk.Searcher        = (*Connector)(nil)
	_ sdk.DirectMessenger = (*Connector)(nil)
	_ sdk.RoomCreator     = (*Connector)(nil)
	_ sdk.HistorySource   = (*Connector)(nil)
	_ sdk.MediaSource     = (*Connector)(nil)
	_ sdk.Watcher         = (*Connector)(nil)
	_ sdk.LoginFlow       = (*Connector)(nil)
	_ sdk.Setupper        = (*Connector)(nil)
	_ sdk.HTTPHandler     = (*Connector)(nil)
)

// New makes a bridge that is not configured yet.
func New(o Options) *Connector {
	if o.Clock == nil {
		o.Clock = demonet.RealClock{}
	}
	return &Connector{
		opt: o, log: slog.New(slog.DiscardHandler), guests: map[sdk.PersonID]guest{},
		tokens: map[sdk.LoginID]string{}, processes: map[string]bool{},
	}
}

// Start implements sdk.Bridge. ctx lasts as long as the session with the server,
// so the loop may use it.
func (c *Connector) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	c.mu.Lock()
	if !c.configured || c.host != nil {
		c.mu.Unlock()
		return errors.New("start: not configured, or started already")
	}
	loop, stop := context.WithCancel(ctx)
	c.host, c.stop, c.done, c.log = h, stop, make(chan struct{}), slog.New(h.Log())
	cfg := c.cfg
	c.mu.Unlock()
	if err := c.connect(loop, cfg); err != nil {
		stop()
		return err
	}
	starts, err := countStarts(ctx, h.State())
	if err != nil {
		stop()
		return err
	}
	c.mu.Lock()
	c.starts, c.portals = starts, r.Portals
	c.mu.Unlock()
	// Where we left off: the server keeps it, committed together with the events.
	// The first time, what happened before us is history and not news.
	at := ""
	for _, m := range r.Cursors {
		if m.Portal == (sdk.PortalKey{}) {
			at = string(m.Cursor)
		}
	}
	go func() {
		defer close(c.done)
		c.run(loop, at)
		if c.own != nil {
			c.own.Close()
		}
	}()
	return nil
}

// connect finds the network or makes it.
func (c *Connector) connect(ctx context.Context, cfg Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.opt.Network != nil:
		c.api = c.opt.Network
	case cfg.Network != "":
		c.api = demonet.Dial(cfg.Network)
	default:
		talk := time.Duration(cfg.TalkEvery)
		if cfg.Silent {
			talk = -1
		}
		c.own = demonet.New(demonet.Options{Clock: c.opt.Clock, Seed: uint64(cfg.Seed), TalkEvery: talk})
		c.api = c.own
	}
	if cfg.Control == "" {
		return nil
	}
	l, err := net.Listen("tcp", cfg.Control)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "control: %v", err)
	}
	c.log.Info("demo network served", "address", l.Addr().String())
	go func() {
		if err := demonet.Serve(ctx, l, c.own); err != nil {
			c.log.Warn("demo network no longer served", "error", err)
		}
	}()
	return nil
}

// countStarts shows the use of State: compare-and-set, tried again if another was faster.
func countStarts(ctx context.Context, s sdk.State) (int, error) {
	for {
		e, err := s.Get(ctx, "starts")
		if err != nil && !errors.Is(err, sdk.ErrNotFound) {
			return 0, err
		}
		count, _ := strconv.Atoi(string(e.Value)) // the zero Entry counts as 0
		_, err = s.Put(ctx, "starts", []byte(strconv.Itoa(count+1)), e.Revision)
		if !errors.Is(err, sdk.ErrConflict) {
			return count + 1, err
		}
	}
}

// run reads the network's stream until ctx is done. The position moves on only
// when the server has everything on disk: what was not confirmed is read again.
func (c *Connector) run(ctx context.Context, at string) {
	trouble := false
	for ctx.Err() == nil {
		page, err := c.api.Events(ctx, at, 100)
		if err == nil {
			if trouble {
				c.report(ctx, sdk.LoginConnected, "")
				trouble = false
			}
			if err = c.deliver(ctx, page); err == nil {
				at = page.Next
				continue
			}
		}
		if ctx.Err() != nil || errors.Is(err, sdk.ErrSessionLost) {
			return // the server is gone: nothing may be taken any more
		}
		if !trouble {
			c.log.Warn("no events", "error", err)
			c.report(ctx, sdk.LoginTrouble, "the demo network cannot be reached; it is tried again by itself")
			trouble = true
		}
		c.pause(ctx, 500*time.Millisecond)
	}
}

// report tells the server how the bridge's own connection is (LoginID "").
func (c *Connector) report(ctx context.Context, s sdk.LoginState, text string) {
	err := c.host.LoginChanged(ctx, sdk.LoginStatus{State: s, Text: text, Since: c.opt.Clock.Now()})
	if err != nil {
		c.log.Debug("state not reported", "error", err)
	}
}

func (c *Connector) pause(ctx context.Context, d time.Duration) {
	over := make(chan struct{})
	stop := c.opt.Clock.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// Drain implements sdk.Bridge: nothing more is taken from the network, and what
// was under way is confirmed or given up.
func (c *Connector) Drain(ctx context.Context) error {
	c.mu.Lock()
	stop, done := c.stop, c.done
	c.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
