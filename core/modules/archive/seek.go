package archive

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

const (
	// maxSought bounds how many retracted messages wait to be looked for in long archives, maxSoughtEach those of one archive. What is beyond
	// stays as it is.
	maxSought     = 256
	maxSoughtEach = 8
)

// seeker looks for retracted messages that are not among the newest, one after the other and behind live units.
type seeker struct {
	m       *Module
	mu      sync.Mutex
	waiting []*sought // the first is under way
}

// seek has a message looked for among all that an archive has of one person.
func (m *Module) seek(s *sought) {
	k := &m.seeker
	k.mu.Lock()
	each := 0
	for _, w := range k.waiting {
		if w.owner == s.owner {
			each++
		}
	}
	full := len(k.waiting) >= maxSought || each >= maxSoughtEach
	if !full {
		k.waiting = append(k.waiting, s)
	}
	begin := !full && len(k.waiting) == 1
	k.mu.Unlock()
	if full {
		m.d.Log.Warn("a retracted message is not looked for: too many are", "archive", s.owner)
	}
	if begin {
		m.d.Journal.Background(k)
	}
}

// Next implements journal.Work: a slice looks at some messages, or leaves the tombstone.
func (k *seeker) Next(ctx context.Context, _ time.Duration, failed error) (u *journal.Unit, err error) {
	if failed != nil {
		k.m.d.Log.Error("a tombstone could not be written", "err", failed)
	}
	s := k.first()
	if s == nil {
		return nil, nil
	}
	u = journal.NewUnit(journal.AccountLane(s.owner))
	done := true
	defer func() { // whatever happened to this one, the next has its turn
		if v := recover(); v != nil {
			err = fmt.Errorf("archive: panic: %v", v)
		}
		if err != nil {
			k.m.d.Log.Error("a retracted message could not be looked for", "archive", s.owner, "err", err)
			err = nil
		}
		if done {
			k.shift()
		}
	}()
	op, ended, err := k.m.look(ctx, s)
	if op != nil {
		u.Add(*op)
	}
	done = ended || err != nil
	return u, err
}

func (k *seeker) first() *sought {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) == 0 {
		return nil
	}
	return k.waiting[0]
}

// shift leaves the one that was looked for. The work goes on until it finds nothing left.
func (k *seeker) shift() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = k.waiting[1:]
}
