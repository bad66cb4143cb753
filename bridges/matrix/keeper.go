package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ephemeralWay is how typing, receipts and presence are learnt.
type ephemeralWay int32

const (
	wayUnknown ephemeralWay = 0
	wayPush    ephemeralWay = 1
	waySync    ephemeralWay = 2
)

// pauses of the keeper.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	// firstLook is when all rooms are looked at again after the homeserver was found:
	// what it accepted while it came to believe that we are back may not be pushed.
	// From then on the pauses grow to verify_every.
	firstLook = 10 * time.Second
	// quietRounds is how many looks at active rooms pass between two at all rooms:
	// a redaction in a quiet room is found by the latter.
	quietRounds = 10
)

// keep connects, reads rooms back and watches the homeserver until ctx is done.
func (c *Connector) keep(ctx context.Context, connected bool) {
	defer c.work.Done()
	pause := firstPause
	for {
		err := error(nil)
		if !connected {
			err = c.connect(ctx)
		}
		connected = false
		if err == nil {
			err = c.settle(ctx)
		}
		if err == nil {
			pause = firstPause
			c.report(ctx, sdk.LoginConnected, nil)
			err = c.watch(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		c.report(ctx, sdk.LoginTrouble, err)
		// Jitter: many bridges of one homeserver do not come back all at once.
		wait := pause/2 + rand.N(pause) //nolint:gosec // nobody gains by guessing it
		select {
		case <-c.opt.After(wait):
		case <-c.kick:
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// run does errands, one after the other: what follows from a push but takes longer
// than the homeserver waits for its answer.
func (c *Connector) run(ctx context.Context) {
	defer c.work.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case errand := <-c.errands:
			func() {
				ctx, cancel := context.WithTimeout(ctx, handling)
				defer cancel()
				errand(ctx)
			}()
		}
	}
}

// settle does what stands at the beginning of each connection.
func (c *Connector) settle(ctx context.Context) error {
	if err := c.fillAll(ctx, true); err != nil {
		return err
	}
	if ephemeralWay(c.ephemeral.Load()) != waySync {
		// Also after trouble: a ping ends the pause that the homeserver makes between
		// its attempts to push.
		c.ephemeral.Store(int32(c.probe(ctx)))
	}
	return nil
}

// probe pings: a homeserver that knows no ping pushes no typing either (Dendrite).
func (c *Connector) probe(ctx context.Context) ephemeralWay {
	err := c.askPing(ctx)
	if err == nil {
		return wayPush
	}
	if errcode(err) == "M_UNRECOGNIZED" || isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusMethodNotAllowed) {
		return waySync
	}
	c.log.Warn("the homeserver does not reach the bridge", "url", c.reg.URL, "error", err)
	return wayUnknown
}

func (c *Connector) askPing(ctx context.Context) error {
	hs, bot, err := c.bot()
	if err != nil {
		return err
	}
	ctx, cancel := hs.limited(ctx)
	defer cancel()
	api := hs.as(bot)
	api.SetAppServiceUserID = false
	_, err = api.AppservicePing(ctx, c.reg.ID, token()[:16])
	return err
}

// watch looks after active rooms regularly, and runs the bot's sync where it is
// needed. It returns when the homeserver is in trouble.
func (c *Connector) watch(ctx context.Context) error {
	way := c.conf.Ephemeral
	if way == "sync" || way == "auto" && ephemeralWay(c.ephemeral.Load()) == waySync {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); c.stream(ctx) }()
		defer func() { cancel(); <-done }()
	}
	pause := min(firstLook, time.Duration(c.conf.Verify))
	for round, early := 1, true; ; round++ {
		all := round%quietRounds == 0
		select {
		case <-c.opt.After(pause):
			all, early = all || early, false
			pause = min(2*pause, time.Duration(c.conf.Verify))
		case <-c.kick:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.fillAll(ctx, all); err != nil {
			return err
		}
		if way == "auto" && ephemeralWay(c.ephemeral.Load()) == wayUnknown {
			if found := c.probe(ctx); found != wayUnknown {
				c.ephemeral.Store(int32(found))
				return c.watch(ctx)
			}
		}
	}
}

// syncEvery is the budget of the bot's sync: the shortest time between two requests.
// Dendrite answers at every event of a room, also at those that the filter leaves
// out; without a pause a busy room would make it one request for each message.
const syncEvery = time.Second

// stream is the bot's own sync, for homeservers that push neither typing nor
// redactions. One request at a time, at most one each syncEvery; rooms whose
// members are many cost nothing more, because state and messages are filtered out.
func (c *Connector) stream(ctx context.Context) {
	since, backoff := "", firstPause
	for ctx.Err() == nil {
		began := c.now()
		next, err := c.syncOnce(ctx, since)
		if ctx.Err() != nil {
			return
		}
		pause := syncEvery - c.now().Sub(began)
		if err == nil {
			since, backoff = next, firstPause
		} else {
			c.log.Debug("bot's sync failed", "error", err)
			if cut(err) {
				c.heard(false)
			}
			pause, backoff = backoff, min(2*backoff, longestPause)
		}
		if pause <= 0 {
			continue
		}
		select {
		case <-c.opt.After(pause):
		case <-ctx.Done():
		}
	}
}

// syncFilter leaves messages out: those are pushed.
const syncFilter = `{"account_data":{"limit":0,"types":[]},"presence":{"types":["m.presence"]},` +
	`"room":{"account_data":{"limit":0,"types":[]},"state":{"lazy_load_members":true,"types":["m.room.none"]},` +
	`"ephemeral":{"types":["m.typing","m.receipt"]},"timeline":{"limit":50,"types":["m.room.redaction"]}}}`

const syncTimeout = 25 * time.Second

func (c *Connector) syncOnce(ctx context.Context, since string) (string, error) {
	hs, bot, err := c.bot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout+hs.timeout)
	defer cancel()
	timeout := syncTimeout
	if since == "" {
		timeout = 0
	}
	query := map[string]string{"filter": syncFilter, "timeout": strconv.FormatInt(timeout.Milliseconds(), 10), "set_presence": "offline"}
	if since != "" {
		query["since"] = since
	}
	var resp synced
	api := hs.as(bot)
	if _, err := api.MakeRequest(ctx, http.MethodGet, api.BuildURLWithQuery(mautrix.ClientURLPath{"v3", "sync"}, query), nil, &resp); err != nil {
		return "", err
	}
	if resp.Next == "" {
		return "", errors.New("matrix: sync without a place to go on from")
	}
	if since != "" {
		c.fromSync(ctx, resp)
	}
	for name, invited := range resp.Rooms.Invite {
		c.invitedIn(name, c.parse(invited.State.Events))
	}
	return resp.Next, nil
}

// synced is what is used of a sync.
type synced struct {
	Next     string    `json:"next_batch"`
	Presence rawEvents `json:"presence"`
	Rooms    struct {
		Join map[id.RoomID]struct {
			Timeline  rawEvents `json:"timeline"`
			Ephemeral rawEvents `json:"ephemeral"`
		} `json:"join"`
		Invite map[id.RoomID]struct {
			State rawEvents `json:"invite_state"`
		} `json:"invite"`
	} `json:"rooms"`
}

type rawEvents struct {
	Events []json.RawMessage `json:"events"`
}

func (c *Connector) fromSync(ctx context.Context, resp synced) {
	for _, ev := range c.parse(resp.Presence.Events) {
		c.ephemeralEvent(ctx, ev)
	}
	for name, joined := range resp.Rooms.Join {
		if len(joined.Timeline.Events) > 0 {
			// A redaction: it is not pushed here, so the room is read back.
			c.rooms.get(name).stir()
			c.wake()
		}
		for _, ev := range c.parse(joined.Ephemeral.Events) {
			ev.RoomID = name
			c.ephemeralEvent(ctx, ev)
		}
	}
}
