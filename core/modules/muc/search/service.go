package search

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Most is how many rooms one request looks at; its page may end before it is full.
const Most = 5000

// Other bounds of one request.
const (
	usual = 50  // rooms in a page, if the asker names no number
	large = 100 // at most
	slice = 500 // rooms read at once
)

// atOnce is how many searches run at the same time.
const atOnce = 4

// Options of a Service.
type Options struct {
	Rooms storage.Rooms
	Now   func() time.Time
	// Occupied tells how many are in each room of a host that is not empty.
	Occupied func(host string) map[jid.JID]int
	// Seats tells how many are in one room.
	Seats func(jid.JID) int
	// Rate bounds how often one person searches; 20, then one in 3 s, by default. All people of one other server together have five times as much.
	Rate room.Rate
}

// Service answers searches.
type Service struct {
	o     Options
	slots chan struct{}

	mu       sync.Mutex
	people   room.Buckets
	servers  room.Buckets
	rankings map[string]*ranking // by host
}

// New returns a Service.
func New(o Options) *Service {
	if o.Rate.Size == 0 {
		o.Rate = room.Rate{Size: 20, Every: 3 * time.Second}
	}
	return &Service{o: o, slots: make(chan struct{}, atOnce), rankings: map[string]*ranking{}}
}

// Answer answers a request: with the form if it has none, with a page of rooms otherwise. local: the asker is of this server.
func (s *Service) Answer(ctx context.Context, host string, asker jid.JID, local bool, q *xmlstream.Node) (*xmlstream.Node, error) {
	what, err := readSearch(q)
	switch {
	case err != nil:
		return nil, err
	case what == nil:
		return xmlstream.NewNode(ns.ChannelSearch, "search").Add(searchForm().Node()), nil
	}
	if wait, ok := s.admit(asker, local); !ok {
		return nil, tooOften(wait)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return nil, tooOften(time.Second)
	}
	f := &finder{rooms: s.o.Rooms, host: host, s: what, rank: s.ranking(host), seatsOf: s.o.Seats, left: Most}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.ChannelSearch, "result").Add(f.items...)
	return out.Add(rsm.Result{First: f.first, Last: f.last, Index: -1, Count: -1}.Node()), nil
}

// admit counts a search; wait is how long the asker has to wait if it is one too many.
func (s *Service) admit(asker jid.JID, local bool) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	if wait = s.people.Take(asker.Bare(), s.o.Rate, now); wait > 0 || local {
		return wait, wait == 0
	}
	server, err := jid.New("", asker.Domain(), "")
	if err != nil {
		return 0, true
	}
	wait = s.servers.Take(server, room.Rate{Size: 5 * s.o.Rate.Size, Every: s.o.Rate.Every / 5}, now)
	return wait, wait == 0
}

// tooOften is the error of XEP-0433 §4.2.2.4.
func tooOften(wait time.Duration) error {
	seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
	return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "too many searches; try again in " + seconds + " seconds",
		App: xmlstream.NewNode(ns.ChannelSearchError, "rate-limit", "retry-after", seconds)}
}

// ranking is the rooms of a host with people in them, those with most first, as they were a moment ago.
type ranking struct {
	at    time.Time
	list  []ranked
	seats map[jid.JID]int
}

// ranked is one of them.
type ranked struct {
	at    jid.JID
	text  string
	seats int
}

// order is negative if r comes before o.
func (r ranked) order(o ranked) int { return cmp.Or(o.seats-r.seats, strings.Compare(r.text, o.text)) }

// Rankings of few rooms are made for each search; of more, they are a millisecond old for each room, and half a minute at most.
const (
	fewRooms = 100
	perRoom  = time.Millisecond
	oldest   = 30 * time.Second
)

func (s *Service) ranking(host string) *ranking {
	now := s.o.Now()
	s.mu.Lock()
	r := s.rankings[host]
	s.mu.Unlock()
	if r != nil && len(r.list) > fewRooms && now.Sub(r.at) < min(oldest, time.Duration(len(r.list))*perRoom) {
		return r
	}
	r = &ranking{at: now, seats: s.o.Occupied(host)}
	for at, n := range r.seats {
		r.list = append(r.list, ranked{at: at, text: at.String(), seats: n})
	}
	slices.SortFunc(r.list, ranked.order)
	s.mu.Lock()
	s.rankings[host] = r
	s.mu.Unlock()
	return r
}
