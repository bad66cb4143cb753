package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/coder/websocket"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// intents ("Gateway", List of Intents); the last two are privileged, as is that for
// presence.
const intents = discordgo.IntentGuilds | discordgo.IntentGuildModeration | discordgo.IntentGuildWebhooks | discordgo.IntentGuildMessages |
	discordgo.IntentGuildMessageReactions | discordgo.IntentGuildMessageTyping | discordgo.IntentGuildMembers | discordgo.IntentMessageContent

// place is where in a session the bridge is; it is the cursor of the whole bridge.
type place struct {
	Session string `json:"s,omitempty"`
	URL     string `json:"u,omitempty"`
	Seq     int64  `json:"q,omitempty"`
}

// dispatch is an event of the gateway.
type dispatch struct {
	Kind  string
	Seq   int64
	Data  json.RawMessage
	Place place // of the session it came through
}

// gateway is the connection that events come through. The payloads are discordgo's;
// the connection cannot be its Session.Open (v0.29.0, wsapi.go). That one
//   - does not tell the close codes, which say whether there is any use in trying
//     again (4004, 4014) and whether the session is lost (4007, 4009): it reconnects
//     for ever;
//   - keeps session id and sequence number to itself, so that no later process can
//     resume, and knows no resume_gateway_url;
//   - identifies anew without a look at what is left of the day's sessions;
//   - decodes an event before the handlers have it, on the goroutine that reads, and
//     drops what it cannot decode: a message with a component it does not know;
//   - sleeps between its attempts without a context.
type gateway struct {
	api     *api
	intents discordgo.Intent
	after   func(time.Duration) <-chan time.Time
	take    func(context.Context, dispatch) error // in order; blocks while too much waits
	state   func(sdk.LoginStatus)                 // how the connection is doing

	at        place
	connected atomic.Bool
	closeCode atomic.Int32
}

// fatal are close codes after which trying again is of no use.
func fatal(code int) (sdk.LoginStatus, bool) {
	texts := map[int]string{
		4004: "Discord does not take the bot's token: make a new one on the Bot page of the developer portal",
		4010: "Discord refuses the connection (invalid shard)",
		4011: "the bot is in too many guilds for one connection: let it out of some",
		4012: "Discord no longer takes this version of the gateway: a newer bridge is needed",
		4013: "Discord does not know an intent that the bridge asks for: a newer bridge is needed",
		4014: "the bot may not have an intent it asks for: on discord.com/developers/applications, page Bot, switch on \"Server Members Intent\", " +
			"\"Message Content Intent\" and \"Presence Intent\" (or set presence: false), then restart the bridge",
	}
	text, ok := texts[code]
	status := sdk.LoginStatus{State: sdk.LoginBadSecret, Code: sdk.CodeForbidden, Text: text}
	if code == 4004 {
		status.Code = sdk.CodeBadCredentials
	}
	return status, ok
}

// run keeps a connection until ctx is done or there is no use in it.
func (g *gateway) run(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		began, err := g.once(ctx)
		g.connected.Store(false)
		if ctx.Err() != nil {
			return
		}
		code := int(websocket.CloseStatus(err))
		g.closeCode.Store(int32(code))
		if status, hopeless := fatal(code); hopeless {
			g.state(status)
			return
		}
		var refused *sdk.Error
		if errors.As(err, &refused) && refused.Code == sdk.CodeBadCredentials || hasStatus(err, http.StatusUnauthorized) {
			status, _ := fatal(4004)
			g.state(status)
			return
		}
		if code == 4007 || code == 4009 { // the place is no longer good
			g.at = place{}
		}
		if began {
			try = 0
		}
		pause := min(time.Duration(1<<min(try, 7))*250*time.Millisecond, 30*time.Second)
		if errors.As(err, &refused) && refused.RetryAfter > pause {
			pause = refused.RetryAfter
		}
		if try > 0 {
			g.state(sdk.LoginStatus{State: sdk.LoginTrouble, Code: sdk.CodeUnavailable, Text: "Discord cannot be reached; it is tried again by itself"})
		}
		if errors.Is(err, errReconnect) && began {
			pause = time.Duration(rand.Int64N(int64(50 * time.Millisecond))) //nolint:gosec // only not all at once
		}
		select {
		case <-g.after(pause):
		case <-ctx.Done():
		}
	}
}

var errReconnect = errors.New("discord asks to reconnect")

// once makes one connection and reads it to its end.
func (g *gateway) once(ctx context.Context) (began bool, err error) {
	address := g.at.URL
	if address == "" {
		info, err := ask(ctx, g.api, "GET /gateway/bot", func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.GatewayBotResponse, error) {
			return s.GatewayBot(o)
		})
		if err != nil {
			return false, err
		}
		// Beyond 1,000 a day Discord takes the token away.
		if l := info.SessionStartLimit; l.Total > 0 && l.Remaining < 5 {
			return false, sdk.RetryAfter(time.Duration(l.ResetAfter)*time.Millisecond, errors.New("too many sessions today"))
		}
		address = info.URL
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dial, stop := context.WithTimeout(ctx, g.api.opt.Timeout)
	//nolint:bodyclose // the library closes it
	ws, _, err := websocket.Dial(dial, strings.TrimSuffix(address, "/")+"/?v=10&encoding=json", &websocket.DialOptions{HTTPClient: g.api.opt.Client})
	stop()
	if err != nil {
		g.at.URL = ""
		return false, fmt.Errorf("dial the gateway: %w", strip(err))
	}
	// Not with 1000: that would end the session.
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(64 << 20)
	c := &connection{g: g, ws: ws, cancel: cancel}
	err = c.read(ctx)
	cancel()
	<-c.beating()
	return c.began, err
}

// connection is one connection to the gateway.
type connection struct {
	g      *gateway
	ws     *websocket.Conn
	cancel context.CancelFunc
	began  bool
	beat   chan struct{}
	acked  atomic.Bool
	seq    atomic.Int64
}

// beating is closed when no heart beats.
func (c *connection) beating() <-chan struct{} {
	if c.beat != nil {
		return c.beat
	}
	done := make(chan struct{})
	close(done)
	return done
}

func (c *connection) read(ctx context.Context) error {
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			return err
		}
		var p discordgo.Event
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("read the gateway: %w", err)
		}
		switch p.Operation {
		case 0:
			err = c.event(ctx, p)
		case 1:
			err = c.send(ctx, 1, c.place())
		case 7:
			err = errReconnect
		case 9:
			var good bool
			if _ = json.Unmarshal(p.RawData, &good); !good {
				c.g.at = place{}
			}
			err = errReconnect
		case 10:
			err = c.hello(ctx, p.RawData)
		case 11:
			c.acked.Store(true)
		}
		if err != nil {
			return err
		}
	}
}

// place is the last sequence number, or null.
func (c *connection) place() any {
	if n := c.seq.Load(); n > 0 {
		return n
	}
	return nil
}

func (c *connection) send(ctx context.Context, op int, data any) error {
	raw, err := json.Marshal(map[string]any{"op": op, "d": data})
	if err != nil {
		return err
	}
	return c.ws.Write(ctx, websocket.MessageText, raw)
}

// hello identifies, or resumes a session.
func (c *connection) hello(ctx context.Context, raw json.RawMessage) error {
	var hello struct {
		Interval int64 `json:"heartbeat_interval"`
	}
	if err := json.Unmarshal(raw, &hello); err != nil || hello.Interval <= 0 || c.beat != nil {
		return fmt.Errorf("a malformed hello: %s", raw)
	}
	c.acked.Store(true)
	c.beat = make(chan struct{})
	go c.heart(ctx, time.Duration(hello.Interval)*time.Millisecond)
	at := c.g.at
	if at.Session != "" {
		c.seq.Store(at.Seq)
		return c.send(ctx, 6, map[string]any{"token": c.g.api.opt.Token, "session_id": at.Session, "seq": at.Seq})
	}
	return c.send(ctx, 2, map[string]any{
		"token": c.g.api.opt.Token, "intents": c.g.intents, "large_threshold": 250,
		"properties": map[string]string{"os": "linux", "browser": "viaduct", "device": "viaduct"},
	})
}

// heart beats, the first time somewhere within an interval; without an answer to
// the last beat the connection is dead.
func (c *connection) heart(ctx context.Context, every time.Duration) {
	defer close(c.beat)
	pause := time.Duration(rand.Float64() * float64(every)) //nolint:gosec // only not all at once
	for {
		select {
		case <-c.g.after(pause):
		case <-ctx.Done():
			return
		}
		pause = every
		if !c.acked.Swap(false) || c.send(ctx, 1, c.place()) != nil {
			c.cancel()
			return
		}
	}
}

// event passes an event on. The place moves with it: what was taken here is
// delivered, or the cursor still stands before it.
func (c *connection) event(ctx context.Context, p discordgo.Event) error {
	if p.Sequence > 0 {
		c.seq.Store(p.Sequence)
		c.g.at.Seq = p.Sequence
	}
	switch p.Type {
	case "READY":
		var r struct {
			discordgo.Ready
			URL string `json:"resume_gateway_url"`
		}
		if err := json.Unmarshal(p.RawData, &r); err != nil {
			return fmt.Errorf("read READY: %w", err)
		}
		c.g.at.Session, c.g.at.URL = r.SessionID, r.URL
		fallthrough
	case "RESUMED":
		c.began = true
		c.g.connected.Store(true)
		c.g.state(sdk.LoginStatus{State: sdk.LoginConnected})
	}
	return c.g.take(ctx, dispatch{Kind: p.Type, Seq: c.g.at.Seq, Data: p.RawData, Place: c.g.at})
}
