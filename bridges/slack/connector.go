package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Options are for tests; zero values are what a plugin uses.
type Options struct {
	Transport *http.Transport                        // to Slack
	Now       func() time.Time                       // wall clock
	After     func(d time.Duration) <-chan time.Time // timer
}

// Connector is the bridge. The zero value is not usable; see New.
type Connector struct {
	opt Options

	// Set by Configure.
	conf      Config
	api       *webAPI
	name      string
	publicURL string

	// Set by Start.
	host   sdk.Host
	log    *slog.Logger
	people *peopleBook
	rooms  *roomBook
	taken  *takenEvents
	memory *memory

	self     atomic.Pointer[identity] // nil until Slack has said who we are
	plain    atomic.Bool              // chat:write.customize is missing: names stand in the text
	trouble  atomic.Bool              // what was reported last
	presence presences
	channels channels
	watch    chan []sdk.RemoteUserID
	draining atomic.Bool

	ctx  context.Context // of everything that Start starts
	stop context.CancelFunc
	work sync.WaitGroup
}

// identity is who we are.
type identity struct {
	Team, Domain, URL string // T0XYZ (E… in an organisation), "acme", "https://acme.slack.com/"
	User, Bot, Name   string
	Scopes            []string
}

var (
	_ sdk.Bridge          = (*Connector)(nil)
	_ sdk.Editor          = (*Connector)(nil)
	_ sdk.Retractor       = (*Connector)(nil)
	_ sdk.Reactor         = (*Connector)(nil)
	_ sdk.TopicSetter     = (*Connector)(nil)
	_ sdk.Inviter         = (*Connector)(nil)
	_ sdk.Moderator       = (*Connector)(nil)
	_ sdk.Searcher        = (*Connector)(nil)
	_ sdk.DirectMessenger = (*Connector)(nil)
	_ sdk.HistorySource   = (*Connector)(nil)
	_ sdk.MediaSource     = (*Connector)(nil)
	_ sdk.Watcher         = (*Connector)(nil)
	_ sdk.Setupper        = (*Connector)(nil)
)

// New makes a bridge that is not configured yet.
func New(opt Options) *Connector {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.After == nil {
		opt.After = time.After
	}
	return &Connector{opt: opt, log: slog.New(slog.DiscardHandler), watch: make(chan []sdk.RemoteUserID, 1)}
}

// Configure implements sdk.Bridge.
func (c *Connector) Configure(_ context.Context, conf sdk.Configuration) error {
	cfg, err := decodeConfig(conf.JSON)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "slack: %v", err)
	}
	transport := c.opt.Transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport)
	}
	transport = transport.Clone() // the bridge's own, so that it can be closed with it
	transport.MaxConnsPerHost = 32
	c.api = &webAPI{
		base: cfg.APIURL, bot: cfg.BotToken, http: &http.Client{Transport: transport, CheckRedirect: sameHost}, timeout: time.Duration(cfg.Timeout),
		now: c.opt.Now, after: c.opt.After, log: c.log, limits: map[string]time.Time{},
	}
	c.api.client = slackgo.New(cfg.BotToken, slackgo.OptionAppLevelToken(cfg.AppToken), slackgo.OptionAPIURL(cfg.APIURL), slackgo.OptionHTTPClient(c.api))
	c.conf, c.name, c.publicURL = cfg, conf.Name, conf.PublicURL
	return nil
}

// sameHost follows no redirection elsewhere: the library writes the token into the body,
// which would go along.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > 5 || req.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Start implements sdk.Bridge. A Slack that is away is no error; one that does not
// know the token is.
func (c *Connector) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	if c.api == nil {
		return sdk.Refuse(sdk.CodeInvalid, "slack: start: not configured")
	}
	c.host, c.log = h, slog.New(h.Log())
	c.api.log = c.log
	c.api.unanswered()
	if u := h.PublicURL(); u != "" {
		c.publicURL = u
	}
	c.people = newPeopleBook(c)
	c.taken = newTakenEvents()
	c.memory = newMemory()
	c.ctx, c.stop = context.WithCancel(ctx)
	c.rooms = newRoomBook(c, r)
	err := c.connect(c.ctx)
	if err != nil {
		if e := sdk.AsError(err); !e.Temporary || e.Code == sdk.CodeBadCredentials {
			c.stop()
			return err
		}
		c.report(c.ctx, sdk.LoginTrouble, err)
	}
	c.work.Add(2)
	go c.keep(c.ctx)
	go c.pollPresence(c.ctx)
	context.AfterFunc(c.ctx, c.api.http.CloseIdleConnections)
	return nil
}

// connect learns who we are.
func (c *Connector) connect(ctx context.Context) error {
	self, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	c.self.Store(self)
	return nil
}

func (c *Connector) whoAmI(ctx context.Context) (*identity, error) {
	var out slackgo.AuthTestResponse
	got, err := c.api.call(ctx, "auth.test", &out, func(ctx context.Context, client *slackgo.Client) error {
		a, err := client.AuthTestContext(ctx)
		if err == nil {
			out = *a
		}
		return err
	})
	if err != nil {
		return nil, explain("cannot sign in", err)
	}
	var more struct { // which the library leaves out
		Org bool `json:"is_enterprise_install"`
	}
	got.read(&more)
	self := &identity{Team: out.TeamID, URL: out.URL, User: out.UserID, Bot: out.BotID, Name: out.User}
	if more.Org && slackid.IsTeam(out.EnterpriseID) {
		self.Team = out.EnterpriseID
	}
	if !slackid.IsTeam(self.Team) || !slackid.IsUser(self.User) || !slackid.IsBot(self.Bot) {
		return nil, sdk.Refuse(sdk.CodeInvalid, "slack: bot_token is not a bot's token")
	}
	if u, err := url.Parse(out.URL); err == nil {
		self.Domain, _, _ = strings.Cut(u.Hostname(), ".")
	}
	for scope := range strings.SplitSeq(got.header.Get("X-OAuth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			self.Scopes = append(self.Scopes, scope)
		}
	}
	return self, nil
}

// me is who we are, or a temporary error until that is known.
func (c *Connector) me() (*identity, error) {
	if self := c.self.Load(); self != nil {
		return self, nil
	}
	return nil, &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Slack has not answered yet"}
}

// ours reports whether our bot wrote something.
func (i *identity) ours(m *message) bool { return m.BotID == i.Bot || m.User == i.User && m.User != "" }

// portal is the key of a channel.
func (i *identity) portal(channel string) sdk.PortalKey {
	return sdk.PortalKey{Room: sdk.RemoteRoomID(slackid.Channel{ID: channel, Team: i.Team}.String())}
}

// report tells the host how the connection is doing.
func (c *Connector) report(ctx context.Context, state sdk.LoginState, cause error) {
	s := sdk.LoginStatus{State: state, Since: c.opt.Now()}
	c.trouble.Store(state != sdk.LoginConnected)
	if cause != nil {
		e := sdk.AsError(cause)
		s.Code, s.Text = e.Code, e.Text
		if e.Code == sdk.CodeBadCredentials {
			s.State = sdk.LoginBadSecret
		}
		c.log.Warn("Slack in trouble", "error", cause)
	}
	if err := c.host.LoginChanged(ctx, s); err != nil && ctx.Err() == nil {
		c.log.Debug("state not reported", "error", err)
	}
}

// deliver hands a batch over until the host has it; only the end of the session or of
// ctx is an error.
func (c *Connector) deliver(ctx context.Context, b sdk.Batch) error {
	pause := 100 * time.Millisecond
	for {
		receipt, err := c.host.Deliver(ctx, b)
		if err == nil {
			for _, p := range receipt.Problems {
				if p.Index >= 0 && p.Index < len(b.Events) {
					c.log.Debug("event not taken", "event", fmt.Sprintf("%T", b.Events[p.Index]), "outcome", int(p.Outcome), "reason", p.Text)
				}
			}
			return nil
		}
		if errors.Is(err, sdk.ErrSessionLost) || ctx.Err() != nil {
			return err
		}
		if after := sdk.AsError(err).RetryAfter; after > 0 {
			pause = after
		}
		if err := c.api.sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// Drain implements sdk.Bridge: nothing is taken any more, what is under way is
// finished, as far as ctx allows.
func (c *Connector) Drain(ctx context.Context) error {
	if c.stop == nil {
		return nil
	}
	c.draining.Store(true)
	c.rooms.drain(ctx)
	c.stop()
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.api.http.CloseIdleConnections()
	return nil
}
