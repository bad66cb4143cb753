package demonet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the network remembers; beyond that the oldest is forgotten.
const (
	keepMessages = 1000 // of a room
	keepEvents   = 20_000
	keepKeys     = 20_000
)

// MaxText is the longest message, in runes; MaxFile the largest file, in bytes.
const (
	MaxText = 2000
	MaxFile = 4 << 20
)

// Options of New; zero values are defaults.
type Options struct {
	Clock Clock
	Seed  uint64
	// TalkEvery is the pause between two things that people do by themselves: 6 s.
	// Negative: they do only what they are told.
	TalkEvery time.Duration
}

// Network is the whole network. All methods may be called from any goroutine.
type Network struct {
	opt   Options
	epoch string // names this life of the network
	calls map[string]func(Request) (Response, error)
	cmds  []command

	mu      sync.Mutex
	rand    *rand.Rand
	closed  bool
	timers  map[int]func() bool
	nextID  int
	users   map[UserID]*User
	rooms   map[RoomID]*Room
	past    map[RoomID][]*Message
	byID    map[MessageID]*Message
	files   fileStore
	keys    map[string]Response
	keyAge  []string
	tokens  map[string]UserID
	down    time.Time // until when nobody can reach it
	log     []Event
	logHead int64         // Seq of log[0]
	news    chan struct{} // closed at the next event
	rounds  int           // how often people did something by themselves
}

var _ API = (*Network)(nil)

// New makes a network with its people and rooms and starts their lives.
func New(o Options) *Network {
	if o.Clock == nil {
		o.Clock = RealClock{}
	}
	if o.TalkEvery == 0 {
		o.TalkEvery = 6 * time.Second
	}
	n := &Network{
		opt: o, epoch: strconv.FormatInt(o.Clock.Now().UnixMilli(), 36),
		timers: map[int]func() bool{},
		rand:   rand.New(rand.NewPCG(o.Seed, 0xde30)), //nolint:gosec // what people talk about is to be the same for the same seed
		users:  map[UserID]*User{}, rooms: map[RoomID]*Room{}, past: map[RoomID][]*Message{}, byID: map[MessageID]*Message{},
		keys: map[string]Response{}, tokens: map[string]UserID{}, logHead: 1, news: make(chan struct{}),
	}
	n.files.init()
	n.calls = n.table()
	n.cmds = commands()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.populate()
	if o.TalkEvery > 0 {
		n.after(o.TalkEvery, n.live)
	}
	return n
}

// Close ends everybody's life. Calls still work.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for _, stop := range n.timers {
		stop()
	}
	clear(n.timers)
}

// after runs f, with the lock held, when d has passed. The lock is held.
func (n *Network) after(d time.Duration, f func()) {
	if n.closed {
		return
	}
	n.nextID++
	id := n.nextID
	n.timers[id] = n.opt.Clock.AfterFunc(d, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed {
			return
		}
		delete(n.timers, id)
		f()
	})
}

// Call implements API.
func (n *Network) Call(ctx context.Context, r Request) (Response, error) {
	if err := ctx.Err(); err != nil {
		return Response{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.calls[r.Do]
	if f == nil {
		return Response{}, refuse(Invalid, "there is no call %q", r.Do)
	}
	if err := n.reachable(); err != nil && r.Do != "outage" {
		return Response{}, err
	}
	if done, ok := n.keys[r.Key]; ok && r.Key != "" {
		return done, nil
	}
	res, err := f(r)
	if err != nil {
		return Response{}, err
	}
	if r.Key != "" {
		n.keys[r.Key] = res
		n.keyAge = append(n.keyAge, r.Key)
		if len(n.keyAge) > keepKeys {
			delete(n.keys, n.keyAge[0])
			n.keyAge = n.keyAge[1:]
		}
	}
	return res, nil
}

// reachable fails during an outage.
func (n *Network) reachable() error {
	left := n.down.Sub(n.opt.Clock.Now())
	if left <= 0 {
		return nil
	}
	return &Error{Code: Unavailable, Text: "the network cannot be reached", RetryAfter: min(left, 2*time.Second)}
}

// emit writes an event into the stream. The lock is held.
func (n *Network) emit(e Event) {
	e.Seq = n.logHead + int64(len(n.log))
	e.ID = fmt.Sprintf("%s.%d", n.epoch, e.Seq)
	e.Time = n.opt.Clock.Now()
	e.Message, e.Chat, e.User = copyMessage(e.Message), copyRoom(e.Chat), copyUser(e.User)
	n.log = append(n.log, e)
	if len(n.log) > keepEvents {
		n.log = slices.Clone(n.log[1000:])
		n.logHead += 1000
	}
	close(n.news)
	n.news = make(chan struct{})
}

// Events implements API. A position is "LIFE.SEQ": positions of an earlier life
// of the network mean its present beginning.
func (n *Network) Events(ctx context.Context, at string, limit int) (Page, error) {
	for {
		n.mu.Lock()
		page, err := n.page(at, limit)
		news := n.news
		n.mu.Unlock()
		if err != nil || len(page.Events) > 0 || page.Lost || at == "" {
			return page, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return Page{}, ctx.Err()
		}
	}
}

func (n *Network) page(at string, limit int) (Page, error) {
	if err := n.reachable(); err != nil {
		return Page{}, err
	}
	end := n.logHead + int64(len(n.log))
	from, lost := n.logHead, n.logHead > 1
	life, seq, ok := strings.Cut(at, ".")
	switch {
	case at == "":
		from, lost = end, false
	case at == "0":
	case !ok || life != n.epoch:
		lost = true
	default:
		v, err := strconv.ParseInt(seq, 10, 64)
		if err != nil || v < 0 || v >= end {
			return Page{}, refuse(Invalid, "there is no position %q", at)
		}
		if v+1 >= n.logHead {
			from, lost = v+1, false
		}
	}
	page := Page{Lost: lost}
	for from < end && len(page.Events) < max(limit, 1) {
		e := n.log[from-n.logHead]
		page.Events = append(page.Events, e)
		from++
	}
	page.Next = fmt.Sprintf("%s.%d", n.epoch, from-1)
	return page, nil
}

// Act is Call by somebody who lives here: outages do not concern her. Tests use it.
func (n *Network) Act(r Request) (Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.calls[r.Do]
	if f == nil {
		return Response{}, refuse(Invalid, "there is no call %q", r.Do)
	}
	return f(r)
}

// Log is everything that happened and is still remembered, for tests.
func (n *Network) Log() []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.log)
}

// Messages is what people see in a room, oldest first, for tests.
func (n *Network) Messages(room RoomID) []Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Message
	for _, m := range n.past[room] {
		out = append(out, *copyMessage(m))
	}
	return out
}

// News is closed when something happens next, for tests that wait.
func (n *Network) News() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.news
}

// Outage makes the network unreachable for a while; zero ends it.
func (n *Network) Outage(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outage(d)
}

func (n *Network) outage(d time.Duration) {
	n.down = n.opt.Clock.Now().Add(d)
	close(n.news) // those who wait shall notice
	n.news = make(chan struct{})
	if d > 0 {
		n.after(d, func() {
			close(n.news)
			n.news = make(chan struct{})
		})
	}
}

func copyMessage(m *Message) *Message {
	if m == nil {
		return nil
	}
	c := *m
	c.Files = slices.Clone(m.Files)
	c.Reactions = map[string][]UserID{}
	for e, who := range m.Reactions {
		c.Reactions[e] = slices.Clone(who)
	}
	return &c
}

func copyRoom(r *Room) *Room {
	if r == nil {
		return nil
	}
	c := *r
	c.Members, c.Banned = slices.Clone(r.Members), slices.Clone(r.Banned)
	return &c
}

func copyUser(u *User) *User {
	if u == nil {
		return nil
	}
	c := *u
	return &c
}
