package archive

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Total bounds what many archives hold together; 0 is without bound. A message that two people keep counts twice.
type Total struct {
	Messages int
	Bytes    int64
}

func (t Total) bounded() bool { return t.Messages > 0 || t.Bytes > 0 }

// exceeds tells whether there is more than t allows.
func (t Total) exceeds(there Total) bool {
	return t.Messages > 0 && there.Messages > t.Messages || t.Bytes > 0 && there.Bytes > t.Bytes
}

func (t Total) plus(o Total) Total  { return Total{t.Messages + o.Messages, t.Bytes + o.Bytes} }
func (t Total) minus(o Total) Total { return Total{t.Messages - o.Messages, t.Bytes - o.Bytes} }

// The time of messages is told apart by so many bits of their ids: about an hour, and within the hour about the tenth part of a second.
const (
	coarse = 42
	fine   = 26
)

// scope is what a total bound holds for, all archives or those of one domain, while it is measured.
type scope struct {
	most, there Total
	parts       map[int64]Total // by time
	// low and high are the time in which the bound lies; what is before it goes.
	low, high storage.MessageID
	cut       storage.MessageID // what is up to here goes; 0: nothing
}

// cutAt goes from the oldest parts on until what remains is within the bound. It returns the part in which that is, or the last.
func (s *scope) cutAt() (at int64, ok bool) {
	for _, at := range slices.Sorted(maps.Keys(s.parts)) {
		left := s.there.minus(s.parts[at])
		if !s.most.exceeds(left) {
			return at, true
		}
		s.there = left
	}
	return 0, false
}

// totals is a Work that holds all archives together within the total bounds: it measures them by the hour, then the hour in which the bound
// lies, and removes what is older. The size of blocks in the middle of long lists is known to the store, so that measuring costs little.
//
// What a block holds counts for the time of its oldest message. So too little goes rather than too much; then it is done once more.
type totals struct {
	m       *Module
	scopes  map[string]*scope // by domain; "" is the server
	phase   func(*totals, context.Context) (*journal.Unit, error)
	all     *owners
	measure []measure
	trim    *storage.Trim
	times   int
	done    func()
}

// measure is a list, or a piece of it, that is to be measured for a scope.
type measure struct {
	of    *scope
	kind  storage.RefKind
	owner string
	r     storage.Range
	shift int
}

const (
	measuredPerSlice = 500 // messages or blocks
	maxTimes         = 6   // the rest is for the next round
)

func (r *Retention) totals() map[string]*scope {
	m := map[string]*scope{}
	if r.Total.bounded() {
		m[""] = &scope{most: r.Total}
	}
	for domain, t := range r.TotalOf {
		if t.bounded() {
			m[domain] = &scope{most: t}
		}
	}
	return m
}

// of returns the scopes of an archive.
func (t *totals) of(owner string) (list []*scope) {
	_, domain, _ := strings.Cut(owner, "@")
	for _, name := range []string{"", domain} {
		if s := t.scopes[name]; s != nil {
			list = append(list, s)
		}
	}
	return list
}

// Next implements journal.Work.
func (t *totals) Next(ctx context.Context, _ time.Duration, failed error) (u *journal.Unit, err error) {
	defer func() { // also when it panics: the next round comes all the same
		if u == nil || err != nil {
			t.done()
		}
	}()
	if failed != nil {
		return nil, fmt.Errorf("archive: total bound: %w", failed)
	}
	if t.phase == nil {
		t.begin()
	}
	if u, err = t.phase(t, ctx); err != nil {
		return nil, fmt.Errorf("archive: total bound: %w", err)
	}
	return u, nil
}

func slice() *journal.Unit {
	return journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "trim"})
}

func (t *totals) begin() {
	t.all, t.phase = newOwners(t.m.messages), (*totals).weighHours
	for _, s := range t.scopes {
		s.there, s.parts, s.cut = Total{}, map[int64]Total{}, 0
	}
}

// weigh measures what is waiting, and what of finds in the next archives, until the slice is full; ended is at the end of all.
func (t *totals) weigh(ctx context.Context, of func(kind storage.RefKind, owner string)) (u *journal.Unit, ended bool, err error) {
	u = slice()
	for range ownersPerSlice {
		if len(t.measure) == 0 {
			kind, owner, ok, err := t.all.next(ctx)
			if err != nil || !ok {
				return u, true, err
			}
			of(kind, owner)
			continue
		}
		w := &t.measure[0]
		v, err := t.m.messages.Volume(ctx, w.kind, w.owner, w.r)
		if err != nil {
			return nil, false, err
		}
		for _, p := range v.Parts {
			at, size := int64(p.Oldest)>>w.shift, Total{p.Messages, p.Bytes}
			w.of.parts[at] = w.of.parts[at].plus(size)
			if w.shift == coarse {
				w.of.there = w.of.there.plus(size)
			}
		}
		u.Add(v.Keep...)
		if w.r.After = v.Through; !v.More {
			t.measure = t.measure[1:]
		}
		if len(v.Parts) >= measuredPerSlice/2 || len(v.Keep) > 0 {
			break
		}
	}
	return u, false, nil
}

// weighHours measures everything by the hour.
func (t *totals) weighHours(ctx context.Context) (*journal.Unit, error) {
	u, ended, err := t.weigh(ctx, func(kind storage.RefKind, owner string) {
		for _, s := range t.of(owner) {
			t.measure = append(t.measure, measure{of: s, kind: kind, owner: owner, r: storage.Range{Limit: measuredPerSlice}, shift: coarse})
		}
	})
	if !ended || err != nil {
		return u, err
	}
	over := map[bool]int{} // the server's, those of domains
	for name, s := range t.scopes {
		if s.low, s.high = 0, 0; s.most.exceeds(s.there) {
			over[name == ""]++
		}
	}
	if len(over) == 0 {
		return nil, nil
	}
	for name, s := range t.scopes {
		// What goes for a domain need not go for the server: that has its turn afterwards.
		if !s.most.exceeds(s.there) || name == "" && over[false] > 0 {
			continue
		}
		at, _ := s.cutAt()
		s.low, s.high = storage.MessageID(at<<coarse), storage.MessageID((at+1)<<coarse)
		s.parts = map[int64]Total{}
	}
	t.all, t.phase = newOwners(t.m.messages), (*totals).weighHour
	return u, nil
}

// weighHour measures the hour in which a bound lies.
func (t *totals) weighHour(ctx context.Context) (*journal.Unit, error) {
	u, ended, err := t.weigh(ctx, func(kind storage.RefKind, owner string) {
		for _, s := range t.of(owner) {
			if s.high != 0 {
				r := storage.Range{After: max(s.low-1, 0), Before: s.high, Limit: measuredPerSlice}
				t.measure = append(t.measure, measure{of: s, kind: kind, owner: owner, r: r, shift: fine})
			}
		}
	})
	if !ended || err != nil {
		return u, err
	}
	for _, s := range t.scopes {
		if s.high == 0 {
			continue
		}
		s.cut = s.high - 1
		if at, ok := s.cutAt(); ok {
			s.cut = storage.MessageID((at+1)<<fine) - 1
		}
	}
	t.all, t.phase = newOwners(t.m.messages), (*totals).cutAll
	return u, nil
}

// cutAll removes what is older than the bounds allow, and begins anew: with what came meanwhile, and what was counted for a later time than it is.
func (t *totals) cutAll(ctx context.Context) (*journal.Unit, error) {
	for range ownersPerSlice {
		if t.trim != nil {
			u, err := t.trim.Next(ctx, 0, nil)
			if u != nil || err != nil {
				return u, err
			}
			t.trim = nil
		}
		kind, owner, ok, err := t.all.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			if t.times++; t.times == maxTimes {
				return nil, nil
			}
			t.begin()
			break
		}
		through := storage.MessageID(0)
		for _, s := range t.of(owner) {
			through = max(through, s.cut)
		}
		if through > 0 {
			t.trim = storage.NewTrim(t.m.messages, kind, owner, through, nil)
		}
	}
	return slice(), nil
}
