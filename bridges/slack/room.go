package slack

import (
	"context"
	"errors"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// roomBook has a worker for every channel; "" is the one for what concerns no channel.
type roomBook struct {
	c *Connector

	mu         sync.Mutex
	rooms      map[string]*room
	cursors    map[string]position // of the resume, until the room is made
	since      slackid.TS          // everything in channels without a cursor is known up to here
	generation int
	idle       *sync.Cond
	busy       int
}

// room is a channel in this process: its queue, and where the host is in it. One
// goroutine works while there is something to do; pos is its own.
type room struct {
	c  *Connector
	id string

	mu      sync.Mutex
	queue   []queued
	running bool
	suspect bool          // its history has to be read before anything else
	clean   chan struct{} // closed when it no longer is; nil: nobody waits

	pos position
}

// queued is an event that waits.
type queued struct {
	id, kind string
	ev       event
}

// Bounds of a worker: a longer queue is given up and read back, a batch holds so many
// events.
const (
	maxQueue = 10_000
	maxTake  = 100
)

func newRoomBook(c *Connector, r sdk.Resume) *roomBook {
	b := &roomBook{c: c, rooms: map[string]*room{}, cursors: map[string]position{}, since: tsOf(c.opt.Now())}
	b.idle = sync.NewCond(&b.mu)
	for _, m := range r.Cursors {
		if m.Portal.Room == "" {
			if ts := slackid.TS(m.Cursor); ts.Valid() {
				b.since = ts
			}
			continue
		}
		ch, ok := slackid.ParseChannel(string(m.Portal.Room))
		if p, fits := parsePosition(m.Cursor); ok && fits {
			b.cursors[ch.ID] = p
		}
	}
	for _, p := range r.Portals {
		if ch, ok := slackid.ParseChannel(string(p.Room)); ok {
			b.get(ch.ID)
		}
	}
	for id := range b.cursors {
		b.get(id)
	}
	return b
}

// get gives a channel's room.
func (b *roomBook) get(id string) *room {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rooms[id]
	if r == nil {
		pos, ok := b.cursors[id]
		if !ok {
			pos = newPosition(b.since)
		}
		delete(b.cursors, id)
		r = &room{c: b.c, id: id, pos: pos}
		b.rooms[id] = r
	}
	return r
}

func (b *roomBook) list() []*room {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*room, 0, len(b.rooms))
	for _, r := range b.rooms {
		out = append(out, r)
	}
	return out
}

// suspectAll: there was no connection for a moment.
func (b *roomBook) suspectAll() {
	for _, r := range b.list() {
		r.doubt()
	}
}

func (r *room) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspect = r.id != ""
}

// startCatchUp reads all channels back that the bot is in, those with a portal first.
// since is when the connection was there.
func (b *roomBook) startCatchUp(ctx context.Context, since slackid.TS) {
	b.mu.Lock()
	b.generation++
	mine := b.generation
	b.mu.Unlock()
	b.c.work.Add(1)
	go func() {
		defer b.c.work.Done()
		for pause := firstBackoff; ; pause = min(2*pause, lastBackoff) {
			err := b.catchUp(ctx, mine, since)
			if err == nil || errors.Is(err, errOutdated) || ctx.Err() != nil {
				return
			}
			b.c.log.Warn("not all channels could be read back yet", "error", err)
			if b.c.api.sleep(ctx, pause) != nil {
				return
			}
		}
	}()
}

// errOutdated: a later connection has begun to catch up.
var errOutdated = errors.New("slack: another connection catches up")

func (b *roomBook) catchUp(ctx context.Context, mine int, since slackid.TS) error {
	done := map[*room]bool{}
	round := func() error {
		for _, r := range b.list() {
			if done[r] {
				continue
			}
			done[r] = true
			if err := r.settle(ctx); err != nil {
				return err
			}
			b.mu.Lock()
			outdated := b.generation != mine
			b.mu.Unlock()
			if outdated {
				return errOutdated
			}
		}
		return nil
	}
	if err := round(); err != nil {
		return err
	}
	ids, err := b.c.joined(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		b.mu.Lock()
		known := b.rooms[id] != nil
		b.mu.Unlock()
		if !known {
			b.get(id).doubt()
		}
	}
	if err := round(); err != nil {
		return err
	}
	b.mu.Lock()
	b.since = since
	b.mu.Unlock()
	return b.c.deliver(ctx, sdk.Batch{Cursors: []sdk.CursorMark{{Cursor: sdk.Cursor(since)}}})
}

// joined lists the channels that the bot is in. Sorts for which the app lacks the scope
// are left out.
func (c *Connector) joined(ctx context.Context) ([]string, error) {
	var out []string
	for _, kind := range []string{"public_channel", "private_channel", "im", "mpim"} {
		q := slackgo.GetConversationsForUserParameters{Types: []string{kind}, Limit: 500, ExcludeArchived: true}
		for range 100 {
			var page channelPage
			err := c.api.patient(ctx, func() error {
				_, err := c.api.call(ctx, "users.conversations", &page, func(ctx context.Context, client *slackgo.Client) (err error) {
					page.Channels, page.Meta.Cursor, err = client.GetConversationsForUserContext(ctx, &q)
					return err
				})
				return err
			})
			if codeOf(err) == "missing_scope" {
				break
			}
			if err != nil && codeOf(err) != "" && !sdk.AsError(explain("", err)).Temporary {
				return c.joinedOf(ctx)
			}
			if err != nil {
				return nil, explain("cannot list the channels", err)
			}
			for _, ch := range page.Channels {
				if slackid.IsChannel(ch.ID) {
					out = append(out, ch.ID)
				}
			}
			if q.Cursor = page.Meta.Cursor; q.Cursor == "" {
				break
			}
		}
	}
	return out, nil
}

// joinedOf finds the same among all channels, where Slack does not tell it at once.
func (c *Connector) joinedOf(ctx context.Context) ([]string, error) {
	var out []string
	err := c.eachChannel(ctx, func(ch slackgo.Channel) bool {
		if ch.IsMember && slackid.IsChannel(ch.ID) {
			out = append(out, ch.ID)
		}
		return true
	})
	return out, err
}

// settle waits until a room is no longer suspect.
func (r *room) settle(ctx context.Context) error {
	r.mu.Lock()
	if !r.suspect {
		r.mu.Unlock()
		return nil
	}
	if r.clean == nil {
		r.clean = make(chan struct{})
	}
	wait := r.clean
	r.start()
	r.mu.Unlock()
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// push adds an event.
func (r *room) push(q queued) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= maxQueue {
		// Not acknowledged, and read back from the history instead.
		r.suspect = r.id != ""
		r.c.taken.fail(q.id)
		return
	}
	r.queue = append(r.queue, q)
	r.start()
}

// start starts the worker; r.mu is held.
func (r *room) start() {
	if r.running || r.c.ctx.Err() != nil {
		return
	}
	r.running = true
	r.c.rooms.working(1)
	r.c.work.Add(1)
	go r.run(r.c.ctx)
}

func (b *roomBook) working(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy += n
	b.idle.Broadcast()
}

// drain waits until no worker has anything to do.
func (b *roomBook) drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.idle.Broadcast()
	})
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.busy > 0 && ctx.Err() == nil && b.c.ctx.Err() == nil {
		b.idle.Wait()
	}
}

func (r *room) run(ctx context.Context) {
	defer r.c.work.Done()
	defer r.c.rooms.working(-1)
	pause := firstBackoff
	for {
		batch, suspect, more := r.next(ctx)
		if !more {
			return
		}
		var err error
		if suspect {
			err = r.fill(ctx)
			if err == nil {
				r.settled()
			}
		} else {
			err = r.work(ctx, batch)
		}
		if err == nil {
			pause = firstBackoff
			continue
		}
		if ctx.Err() != nil {
			continue
		}
		r.c.log.Debug("a channel has to wait", "channel", r.id, "error", err)
		if r.c.api.sleep(ctx, max(pause, sdk.AsError(err).RetryAfter)) == nil {
			pause = min(2*pause, lastBackoff)
		}
	}
}

// next is what is to be done: reading back, or a batch. Without either, or at the end,
// the worker ends.
func (r *room) next(ctx context.Context) (batch []queued, suspect, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil || !r.suspect && len(r.queue) == 0 {
		r.running = false
		return nil, false, false
	}
	if r.suspect {
		return nil, true, true
	}
	return r.queue[:min(len(r.queue), maxTake)], false, true
}

func (r *room) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspect = false
	if r.clean != nil {
		close(r.clean)
		r.clean = nil
	}
}

// work translates and delivers a batch. What could be translated before an error is
// delivered; the rest waits.
func (r *room) work(ctx context.Context, batch []queued) error {
	pos := r.pos.clone()
	var events []sdk.Event
	var failed error
	n := 0
	for _, q := range batch {
		out, err := r.c.translate(ctx, r.id, &pos, q)
		if err != nil && sdk.AsError(err).Temporary {
			failed = err
			break
		}
		if err != nil {
			r.c.log.Warn("an event is dropped", "type", q.kind, "channel", r.id, "error", err)
		}
		events = append(events, out...)
		n++
		if len(events) > sdk.MaxBatch-16 {
			break
		}
	}
	if n > 0 {
		if err := r.hand(ctx, events, pos); err != nil {
			return err
		}
		r.mu.Lock()
		r.queue = append([]queued(nil), r.queue[n:]...)
		r.mu.Unlock()
		for _, q := range batch[:n] {
			r.c.taken.finish(q.id)
		}
	}
	return failed
}

// hand delivers events with the position after them.
func (r *room) hand(ctx context.Context, events []sdk.Event, pos position) error {
	b := sdk.Batch{Events: events}
	if self := r.c.self.Load(); r.id != "" && self != nil {
		b.Cursors = []sdk.CursorMark{{Portal: self.portal(r.id), Cursor: pos.cursor()}}
	}
	if len(b.Events) > 0 || len(b.Cursors) > 0 {
		if err := r.c.deliver(ctx, b); err != nil {
			return err
		}
	}
	r.pos = pos
	return nil
}

// ago is how long a message was written.
func (c *Connector) ago(ts slackid.TS) time.Duration { return c.opt.Now().Sub(timeOf(ts)) }
