package discord

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// queue holds what the gateway said until it is delivered. When it is full the
// gateway is no longer read: Discord then lets the connection go, and what is
// missed is read back.
type queue struct {
	mu    sync.Mutex
	list  []dispatch
	wake  chan struct{}
	space chan struct{}
}

const (
	maxQueue = 20_000
	perBatch = 100
	// guildsWithin is how long the guilds may take to arrive after READY.
	guildsWithin = 10 * time.Second
	againAfter   = 500 * time.Millisecond
)

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (q *queue) put(ctx context.Context, d dispatch) error {
	for {
		q.mu.Lock()
		if len(q.list) < maxQueue {
			q.list = append(q.list, d)
			q.mu.Unlock()
			nudge(q.wake)
			return nil
		}
		q.mu.Unlock()
		select {
		case <-q.space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pull takes up to n events.
func (q *queue) pull(n int) []dispatch {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.list))
	out := q.list[:n:n]
	q.list = q.list[n:]
	if len(q.list) == 0 {
		q.list = nil
	}
	nudge(q.space)
	return out
}

// take is where the gateway puts its events. What is of the moment goes past the queue.
func (c *Connector) take(ctx context.Context, d dispatch) error {
	switch d.Kind {
	case "PRESENCE_UPDATE":
		c.presence(d.Data)
		return nil
	case "TYPING_START":
		c.typing(d.Data)
		return nil
	}
	return c.queue.put(ctx, d)
}

// pump delivers the queue, in order.
func (c *Connector) pump(ctx context.Context) {
	p := &pumping{c: c, awaited: map[string]bool{}}
	if c.rooms.place.Session != "" {
		// A session that is resumed tells of no guilds.
		p.insist(ctx, c.loadWorld)
	}
	for ctx.Err() == nil {
		list := c.queue.pull(perBatch)
		if len(list) == 0 {
			select {
			case <-c.queue.wake:
			case <-p.late:
				p.awaited = map[string]bool{}
				p.late = nil
				p.complete(ctx)
			case <-ctx.Done():
			}
			continue
		}
		for _, d := range list {
			p.event(ctx, d)
		}
		p.flush(ctx)
	}
}

// pumping is the state of the pump.
type pumping struct {
	c       *Connector
	batch   sdk.Batch
	marks   map[sdk.PortalKey]sdk.Cursor
	at      place
	awaited map[string]bool // guilds that have not arrived yet
	late    <-chan time.Time
	held    []dispatch // what came before them
}

// event works on one event. Between READY and the last guild everything else waits:
// what was missed before has to come first.
func (p *pumping) event(ctx context.Context, d dispatch) {
	if d.Kind == "READY" {
		p.ready(ctx, d)
		return
	}
	if len(p.awaited) == 0 {
		p.translate(ctx, d)
		return
	}
	if d.Kind != "GUILD_CREATE" {
		p.held = append(p.held, d)
		return
	}
	p.at = d.Place
	var g discordgo.Guild
	if err := json.Unmarshal(d.Data, &g); err != nil {
		p.c.log.Warn("guild not read", "error", err)
		return
	}
	p.c.addGuild(ctx, g)
	delete(p.awaited, g.ID)
	if len(p.awaited) == 0 {
		p.complete(ctx)
	}
}

// ready begins a new session.
func (p *pumping) ready(ctx context.Context, d dispatch) {
	var r discordgo.Ready
	if err := json.Unmarshal(d.Data, &r); err != nil || r.User == nil {
		p.c.log.Error("READY not read", "error", err)
		return
	}
	app := ""
	if r.Application != nil {
		app = r.Application.ID
	}
	p.c.world.identify(r.User, app)
	p.at, p.held, p.awaited = d.Place, nil, map[string]bool{}
	for _, g := range r.Guilds {
		p.awaited[g.ID] = true
	}
	p.late = p.c.opt.After(guildsWithin)
	if len(p.awaited) == 0 {
		p.complete(ctx)
	}
}

// complete catches up once all guilds are there, and goes on with what was held.
func (p *pumping) complete(ctx context.Context) {
	p.late = nil
	p.flushEvents(ctx)
	p.insist(ctx, p.catchUp)
	held := p.held
	p.held = nil
	for _, d := range held {
		p.translate(ctx, d)
	}
	p.flush(ctx)
}

// insist does something until it succeeds.
func (p *pumping) insist(ctx context.Context, f func(context.Context) error) {
	for ctx.Err() == nil {
		err := f(ctx)
		if err == nil || errors.Is(err, sdk.ErrSessionLost) {
			return
		}
		p.c.log.Warn("not caught up yet", "error", err)
		pause := 4 * againAfter
		if e := sdk.AsError(err); !e.Temporary {
			pause = time.Minute
		} else if e.RetryAfter > pause {
			pause = e.RetryAfter
		}
		p.c.pause(ctx, pause)
	}
}

// translate makes events of what the gateway said.
func (p *pumping) translate(ctx context.Context, d dispatch) {
	events, marks := p.c.translate(ctx, d)
	p.at = d.Place
	if d.Kind == "GUILD_CREATE" {
		if g, ok := decode[discordgo.Guild](p.c, d); ok && !g.Unavailable {
			p.insist(ctx, func(ctx context.Context) error { return p.catchUpIn(ctx, g.ID) })
		}
	}
	p.add(ctx, events, marks...)
}

// add puts events into the batch.
func (p *pumping) add(ctx context.Context, events []sdk.Event, marks ...sdk.CursorMark) {
	if len(p.batch.Events)+len(events) > sdk.MaxBatch {
		p.flushEvents(ctx)
	}
	for len(events) > sdk.MaxBatch {
		p.batch.Events, events = events[:sdk.MaxBatch:sdk.MaxBatch], events[sdk.MaxBatch:]
		p.flushEvents(ctx)
	}
	p.batch.Events = append(p.batch.Events, events...)
	for _, m := range marks {
		if p.marks == nil {
			p.marks = map[sdk.PortalKey]sdk.Cursor{}
		}
		p.marks[m.Portal] = m.Cursor
	}
}

// flush delivers the batch with the place in the session.
func (p *pumping) flush(ctx context.Context) {
	if len(p.awaited) == 0 && p.at.Session != "" {
		p.add(ctx, nil, p.at.cursor())
	}
	p.flushEvents(ctx)
}

// flushEvents delivers what there is, again and again until the server has it.
func (p *pumping) flushEvents(ctx context.Context) {
	for portal, cursor := range p.marks {
		p.batch.Cursors = append(p.batch.Cursors, sdk.CursorMark{Portal: portal, Cursor: cursor})
	}
	p.marks = nil
	b := p.batch
	p.batch = sdk.Batch{}
	if len(b.Events)+len(b.Cursors) == 0 {
		return
	}
	for ctx.Err() == nil {
		receipt, err := p.c.host.Deliver(ctx, b)
		if err == nil {
			for _, problem := range receipt.Problems {
				head := b.Events[problem.Index].Head()
				p.c.log.Debug("event not taken", "event", string(head.ID), "reason", problem.Text)
				if problem.Outcome == sdk.OutcomeRejected {
					p.c.rooms.refused(string(head.Portal.Room))
				}
			}
			return
		}
		if errors.Is(err, sdk.ErrSessionLost) {
			p.c.stop() // nothing may be taken any more
			return
		}
		p.c.pause(ctx, againAfter)
	}
}
