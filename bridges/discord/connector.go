package discord

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Options are for tests; a plugin's main leaves them empty.
type Options struct {
	Transport http.RoundTripper
	Now       func() time.Time
	After     func(time.Duration) <-chan time.Time
	// Settle is how long a request whose outcome is unknown may still be under way
	// before the channel is read back (2 s).
	Settle time.Duration
}

// Connector is the bridge.
type Connector struct {
	opt    Options
	client *http.Client

	mu   sync.Mutex
	cfg  Config
	conf sdk.Configuration
	api  *api
	host sdk.Host
	log  *slog.Logger
	stop context.CancelFunc
	work sync.WaitGroup

	world   *world
	hooks   *hooks
	gw      *gateway
	queue   *queue
	rooms   *roomBook
	sent    *memory[string] // our webhook's messages -> webhook
	files   *memory[sdk.Media]
	wrote   *memory[string] // messages -> author
	removed *memory[bool]   // messages that we took back ourselves
	signals *sdk.SignalQueue
	watch   *watchList
	status  statusBox
}

// What the bridge can do.
var (
	_ sdk.Bridge        = (*Connector)(nil)
	_ sdk.Editor        = (*Connector)(nil)
	_ sdk.Retractor     = (*Connector)(nil)
	_ sdk.Reactor       = (*Connector)(nil)
	_ sdk.TopicSetter   = (*Connector)(nil)
	_ sdk.Searcher      = (*Connector)(nil)
	_ sdk.HistorySource = (*Connector)(nil)
	_ sdk.MediaSource   = (*Connector)(nil)
	_ sdk.Watcher       = (*Connector)(nil)
	_ sdk.Setupper      = (*Connector)(nil)
)

// New makes a bridge that is not configured yet.
func New(o Options) *Connector {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Settle == 0 {
		o.Settle = 2 * time.Second
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &Connector{opt: o, client: &http.Client{Transport: o.Transport}, log: slog.New(slog.DiscardHandler)}
}

// Start implements sdk.Bridge. The connection is made in the background: an
// outage of Discord is no reason not to start.
func (c *Connector) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api == nil || c.host != nil {
		return errors.New("start: not configured, or started already")
	}
	run, stop := context.WithCancel(ctx)
	c.host, c.stop, c.log = h, stop, slog.New(h.Log())
	c.world = newWorld(c.cfg.Guilds)
	c.hooks = newHooks(c.api, c.world, c.cfg.Webhooks)
	c.queue = newQueue()
	c.rooms = newRoomBook(r)
	c.wrote = newMemory[string](20_000)
	c.sent, c.files, c.removed = newMemory[string](20_000), newMemory[sdk.Media](2_000), newMemory[bool](2_000)
	c.signals, c.watch = sdk.NewSignalQueue(1000), newWatchList()
	want := intents
	if c.cfg.Presence {
		want |= discordgo.IntentGuildPresences
	}
	c.gw = &gateway{api: c.api, intents: want, after: c.opt.After, at: c.rooms.place, take: c.take, state: func(s sdk.LoginStatus) { c.report(run, s) }}
	c.work.Go(func() { c.gw.run(run) })
	c.work.Go(func() { c.pump(run) })
	c.work.Go(func() { c.signal(run) })
	return nil
}

// Drain implements sdk.Bridge.
func (c *Connector) Drain(ctx context.Context) error {
	c.mu.Lock()
	stop := c.stop
	c.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
		c.client.CloseIdleConnections()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// statusBox remembers what was reported last.
type statusBox struct {
	mu   sync.Mutex
	last sdk.LoginStatus
}

// report tells the server how the connection is, if that is news.
func (c *Connector) report(ctx context.Context, s sdk.LoginStatus) {
	c.status.mu.Lock()
	same := c.status.last.State == s.State && c.status.last.Text == s.Text
	if !same {
		s.Since = c.opt.Now()
		c.status.last = s
	}
	c.status.mu.Unlock()
	if same {
		return
	}
	if s.Text != "" {
		c.log.Warn("discord connection", "state", int(s.State), "text", s.Text)
	}
	if err := c.host.LoginChanged(ctx, s); err != nil && ctx.Err() == nil {
		c.log.Debug("state not reported", "error", err)
	}
}

// started reports whether operations can be done.
func (c *Connector) started() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host == nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the bridge is not started"}
	}
	return nil
}

// pause waits, or until ctx is done.
func (c *Connector) pause(ctx context.Context, d time.Duration) {
	select {
	case <-c.opt.After(d):
	case <-ctx.Done():
	}
}
