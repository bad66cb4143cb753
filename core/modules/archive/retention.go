package archive

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Keep bounds one archive. 0 takes what the level above says, a negative value is without bound.
type Keep struct {
	Age      time.Duration
	Messages int
	Bytes    int64 // of the stored stanzas
}

// Retention says how much is kept: of the server's archives, and by domain or bare JID (of an account or a room) where that differs.
type Retention struct {
	Keep Keep
	Of   map[string]Keep
	// Total bounds all archives together, TotalOf those of a domain; the oldest of all go first, also those that Of would keep.
	Total   Total
	TotalOf map[string]Total
	// Every is the pause between two rounds; ten minutes.
	Every time.Duration
}

// over returns k with the fields that it leaves open as in above.
func (k Keep) over(above Keep) Keep {
	if k.Age == 0 {
		k.Age = above.Age
	}
	if k.Messages == 0 {
		k.Messages = above.Messages
	}
	if k.Bytes == 0 {
		k.Bytes = above.Bytes
	}
	return k
}

func (k Keep) bounded() bool { return k.Age > 0 || k.Messages > 0 || k.Bytes > 0 }

// of returns what holds for an archive: the address, else its domain, else the server; field by field.
func (r *Retention) of(owner string) Keep {
	_, domain, _ := strings.Cut(owner, "@")
	return r.Of[owner].over(r.Of[domain].over(r.Keep))
}

// bounded tells whether anything is ever removed.
func (r *Retention) bounded() bool {
	if r.Keep.bounded() || len(r.totals()) > 0 {
		return true
	}
	for _, k := range r.Of {
		if k.bounded() {
			return true
		}
	}
	return false
}

// rounds is the timer of the retention.
type rounds struct {
	mu      sync.Mutex
	timer   module.Timer
	stopped bool
}

const defaultEvery = 10 * time.Minute

// Start implements module.Starter: the first round begins at once.
func (m *Module) Start(context.Context) error {
	if m.o.Keep.bounded() {
		m.round()
	}
	return nil
}

// Stop implements module.Starter.
func (m *Module) Stop(context.Context) error {
	m.rounds.mu.Lock()
	defer m.rounds.mu.Unlock()
	m.rounds.stopped = true
	if m.rounds.timer != nil {
		m.rounds.timer.Stop()
	}
	return nil
}

func (m *Module) round() {
	every := m.o.Keep.Every
	if every <= 0 {
		every = defaultEvery
	}
	again := func() {
		m.rounds.mu.Lock()
		defer m.rounds.mu.Unlock()
		if !m.rounds.stopped {
			m.rounds.timer = m.d.Clock.AfterFunc(every, m.round)
		}
	}
	done := again
	if scopes := m.o.Keep.totals(); len(scopes) > 0 {
		done = func() { m.d.Journal.Background(&totals{m: m, scopes: scopes, done: again}) }
	}
	m.d.Journal.Background(&round{m: m, now: m.d.Clock.Now(), all: newOwners(m.messages), done: done})
}

// round is a Work that goes over all archives once.
type round struct {
	m    *Module
	now  time.Time
	all  *owners
	trim *storage.Trim
	done func()
}

// Next implements journal.Work.
func (r *round) Next(ctx context.Context, budget time.Duration, failed error) (u *journal.Unit, err error) {
	defer func() { // also when it panics: the next round comes all the same
		if u == nil || err != nil {
			r.done()
		}
	}()
	return r.next(ctx, budget, failed)
}

func (r *round) next(ctx context.Context, budget time.Duration, failed error) (*journal.Unit, error) {
	if r.trim == nil && failed != nil {
		return nil, fmt.Errorf("archive: retention: %w", failed)
	}
	for range ownersPerSlice {
		if r.trim == nil {
			more, err := r.owner(ctx)
			if err != nil || !more {
				return nil, err
			}
		}
		if r.trim != nil {
			u, err := r.trim.Next(ctx, budget, failed)
			if u != nil || err != nil {
				return u, err
			}
			r.trim = nil
		}
	}
	return slice(), nil
}

// owner looks at the next archive, and begins to trim it if it is too large; more is false at the end.
func (r *round) owner(ctx context.Context) (more bool, err error) {
	kind, owner, ok, err := r.all.next(ctx)
	if err != nil || !ok {
		return false, err
	}
	k := r.m.o.Keep.of(owner)
	through, err := r.m.messages.Beyond(ctx, kind, owner, max(k.Messages, 0), max(k.Bytes, 0))
	if err != nil {
		return false, fmt.Errorf("archive: retention: %w", err)
	}
	if k.Age > 0 {
		through = max(through, storage.MessageID(r.now.Add(-k.Age).UnixMilli()<<20)-1)
	}
	if through > 0 {
		r.trim = storage.NewTrim(r.m.messages, kind, owner, through, nil)
	}
	return true, nil
}
