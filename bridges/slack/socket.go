package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The connections are our own, with the library's frames. socketmode.Client cannot do
// what is needed here: it closes its connection when Slack announces the end of it and only
// then asks for the next, so that there is always a gap; it opens one by itself after any
// loss, without a word that says since when events may be missing; and its Ack goes to
// whichever connection is open then, not to the one that the envelope came over, which
// matters where an acknowledgement waits for the host.

// link is one Socket Mode connection.
type link struct {
	conn    *websocket.Conn
	since   slackid.TS    // Slack's time when it was opened
	acks    chan string   // of envelopes; what does not fit is sent again by Slack
	hello   chan struct{} // closed by the greeting
	leave   chan string   // the reason why Slack wants another connection
	gone    chan struct{} // closed when nothing more comes
	waiting atomic.Int64  // envelopes without acknowledgement
	began   atomic.Int64  // when it greeted, in nanoseconds
	ended   atomic.Int64  // when nothing more came; set before gone is closed
	greeted sync.Once
	cancel  context.CancelFunc
}

// Times of the keeper.
const (
	helloWait    = 20 * time.Second // for the greeting
	retireWait   = 10 * time.Second // until an old connection with open envelopes is closed
	pingEvery    = 30 * time.Second
	pingWait     = 15 * time.Second
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
	maxFrame     = 16 << 20
)

// keep holds a connection open. Where Slack announces that it will close one, the next
// is there before; where there was none for a moment, the channels are read back.
func (c *Connector) keep(ctx context.Context) {
	defer c.work.Done()
	pause := firstBackoff
	var live *link
	for ctx.Err() == nil {
		if live == nil {
			c.rooms.suspectAll()
			l, err := c.open(ctx)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				c.report(ctx, sdk.LoginTrouble, err)
				wait := max(pause, sdk.AsError(err).RetryAfter)
				pause = min(2*pause, lastBackoff)
				if c.api.sleep(ctx, wait) != nil {
					return
				}
				continue
			}
			pause = firstBackoff
			live = l
			c.report(ctx, sdk.LoginConnected, nil)
			c.rooms.startCatchUp(ctx, l.since)
		}
		select {
		case <-ctx.Done():
			return
		case <-live.gone:
			live = nil
		case reason := <-live.leave:
			live = c.replace(ctx, live, reason)
		}
	}
}

// replace opens the next connection while the old one still works.
func (c *Connector) replace(ctx context.Context, old *link, reason string) *link {
	c.log.Debug("Slack wants another connection", "reason", reason)
	pause := firstBackoff
	for {
		l, err := c.open(ctx)
		if err == nil {
			if end := old.ended.Load(); end != 0 && end < l.began.Load() { // there was a moment without
				c.rooms.suspectAll()
				c.rooms.startCatchUp(ctx, l.since)
			}
			c.work.Add(1)
			go c.retire(ctx, old)
			return l
		}
		if ctx.Err() != nil {
			return old
		}
		c.log.Warn("the next connection could not be opened", "error", err)
		select {
		case <-old.gone:
			return nil
		case <-ctx.Done():
			return old
		case <-c.opt.After(max(pause, sdk.AsError(err).RetryAfter)):
		}
		pause = min(2*pause, lastBackoff)
	}
}

// retire closes a connection when everything that came over it is acknowledged.
func (c *Connector) retire(ctx context.Context, l *link) {
	defer c.work.Done()
	end := c.opt.After(retireWait)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for l.waiting.Load() > 0 {
		select {
		case <-tick.C:
			continue
		case <-l.gone:
		case <-end:
		case <-ctx.Done():
		}
		break
	}
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	l.cancel()
}

// open opens a connection and waits for its greeting.
func (c *Connector) open(ctx context.Context) (*link, error) {
	if c.self.Load() == nil {
		if err := c.connect(ctx); err != nil {
			return nil, err
		}
	}
	address, header, err := c.api.openSocket(ctx)
	if err != nil {
		return nil, explain("cannot open a connection (app_token)", err)
	}
	dial, cancelDial := context.WithTimeout(ctx, time.Duration(c.conf.Timeout))
	defer cancelDial()
	conn, resp, err := websocket.Dial(dial, address, &websocket.DialOptions{HTTPClient: c.api.http})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, sdk.RetryAfter(0, fmt.Errorf("slack: open the socket: %w", err))
	}
	conn.SetReadLimit(maxFrame)
	linkCtx, cancel := context.WithCancel(ctx)
	l := &link{
		conn: conn, since: c.slackTime(header), acks: make(chan string, 4096), hello: make(chan struct{}), leave: make(chan string, 1), gone: make(chan struct{}), cancel: cancel,
	}
	c.work.Add(2)
	go c.read(linkCtx, l)
	go c.write(linkCtx, l)
	select {
	case <-l.hello:
		return l, nil
	case <-l.gone:
		err = errors.New("slack: the socket was closed before its greeting")
	case <-c.opt.After(helloWait):
		err = errors.New("slack: the socket does not greet")
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.cancel()
	return nil, sdk.RetryAfter(0, err)
}

// openSocket asks for the address of a connection.
func (a *webAPI) openSocket(ctx context.Context) (address string, header http.Header, err error) {
	var out slackgo.SocketModeConnection
	got, err := a.call(ctx, "apps.connections.open", &out, func(ctx context.Context, client *slackgo.Client) error {
		_, url, err := client.StartSocketModeContext(ctx)
		out.URL = url
		return err
	})
	return out.URL, got.header, err
}

// slackTime is the time on Slack's clock, a little before now.
func (c *Connector) slackTime(h http.Header) slackid.TS {
	now := c.opt.Now()
	if t, err := http.ParseTime(h.Get("Date")); err == nil && t.Before(now) {
		now = t
	}
	return tsOf(now)
}

func tsOf(t time.Time) slackid.TS {
	return slackid.TS(fmt.Sprintf("%010d.%06d", t.Unix(), t.Nanosecond()/1000))
}

func timeOf(ts slackid.TS) time.Time {
	sec, nsec, ok := ts.Unix()
	if !ok {
		return time.Time{}
	}
	return time.Unix(sec, nsec).UTC()
}

func (c *Connector) read(ctx context.Context, l *link) {
	defer c.work.Done()
	defer close(l.gone)
	defer func() { l.ended.Store(c.opt.Now().UnixNano()) }()
	defer func() { _ = l.conn.CloseNow() }()
	defer l.cancel()
	for {
		_, raw, err := l.conn.Read(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.Debug("socket closed", "error", err)
			}
			return
		}
		var f socketmode.Request
		var shape *json.UnmarshalTypeError // of one field; the others are read
		if err := json.Unmarshal(raw, &f); err != nil && !errors.As(err, &shape) {
			c.log.Warn("a frame that is no JSON")
			continue
		}
		c.frame(l, f)
	}
}

// frame deals with what came; it never waits.
func (c *Connector) frame(l *link, f socketmode.Request) {
	switch f.Type {
	case "hello":
		l.greeted.Do(func() {
			l.began.Store(c.opt.Now().UnixNano())
			close(l.hello)
		})
	case "disconnect":
		select {
		case l.leave <- f.Reason:
		default:
		}
	case "events_api":
		if c.draining.Load() || f.EnvelopeID == "" {
			return // not acknowledged: Slack keeps it
		}
		l.waiting.Add(1)
		c.take(f.Payload, func() { l.ack(f.EnvelopeID) })
	default:
		if f.EnvelopeID != "" {
			l.waiting.Add(1)
			l.ack(f.EnvelopeID)
		}
	}
}

// ack queues an acknowledgement.
func (l *link) ack(id string) {
	select {
	case l.acks <- id:
	default:
		l.waiting.Add(-1)
	}
}

func (c *Connector) write(ctx context.Context, l *link) {
	defer c.work.Done()
	defer l.cancel()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-l.acks:
			b, err := json.Marshal(socketmode.Response{EnvelopeID: id})
			if err == nil {
				err = l.conn.Write(ctx, websocket.MessageText, b)
			}
			l.waiting.Add(-1)
			if err != nil {
				return
			}
		case <-ping.C:
			alive, cancel := context.WithTimeout(ctx, pingWait)
			err := l.conn.Ping(alive)
			cancel()
			if err != nil {
				return
			}
		}
	}
}
