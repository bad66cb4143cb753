package mam

import (
	"context"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	// maxAsked bounds how many questions for words wait at once, maxAskedEach those of one person: she does not keep all others from asking.
	maxAsked     = 64
	maxAskedEach = 8
	// slicesBefore is how far the index is brought up to date before a question is answered: about 2,000 messages.
	slicesBefore = 10
	// indexEvery is how often new messages are indexed when nobody asks. If there are none, that is two look-ups.
	indexEvery = 5 * time.Second
)

// find answers a question for words: once the index is up to date, or nearly so. The answer is sent later.
func (m *Module) find(req *module.Request, src *source, q *question) error {
	who := req.IQ.From.Bare().Clone()
	if !m.asked.enter(who) {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "Too many searches are waiting; try again later."}
	}
	req.Defer()
	m.d.Journal.Submit(req.Unit)
	m.d.Journal.Background(&updating{Indexing: storage.NewIndexing(m.finder, slicesBefore), done: func(behind bool) {
		m.finding.Post(func() {
			defer m.asked.leave(who)
			m.found(req, src, q, behind)
		})
	}})
	return nil
}

// askers counts the questions for words that wait, by who asks.
type askers struct {
	mu  sync.Mutex
	by  map[jid.JID]int
	all int
}

// enter counts a question; false: there are too many.
func (a *askers) enter(who jid.JID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= maxAsked || a.by[who] >= maxAskedEach {
		return false
	}
	if a.by == nil {
		a.by = map[jid.JID]int{}
	}
	a.by[who]++
	a.all++
	return true
}

// leave is enter's end.
func (a *askers) leave(who jid.JID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.by[who]--; a.by[who] == 0 {
		delete(a.by, who)
	}
}

// found reads and sends the answer. The time of a search is bounded, whatever is looked for.
func (m *Module) found(req *module.Request, src *source, q *question, behind bool) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := m.answer(ctx, src, q)
	if err != nil {
		m.d.Log.Error("a search failed", "archive", src.owner.String(), "err", err)
		if reply := req.IQ.ErrorReply(err); reply != nil {
			m.sender(req)(reply)
		}
		return
	}
	a.unstable = behind
	m.deliver(req, src, q, a)
}

// updating is the indexing that somebody waits for.
type updating struct {
	*storage.Indexing
	done func(behind bool)
}

// Next implements journal.Work.
func (w *updating) Next(ctx context.Context, budget time.Duration, failed error) (u *journal.Unit, err error) {
	whole := false
	defer func() { // a panic ends it, too
		if !whole || u == nil || err != nil {
			w.done(!whole || w.Behind() || err != nil)
		}
	}()
	u, err = w.Indexing.Next(ctx, budget, failed)
	whole = true
	return u, err
}

// Start implements module.Starter: the index follows what is kept, so that a search finds little to do.
func (m *Module) Start(context.Context) error {
	if m.finder == nil {
		return nil
	}
	m.follow.mu.Lock()
	defer m.follow.mu.Unlock()
	m.follow.timer = m.d.Clock.AfterFunc(indexEvery, m.indexNow)
	return nil
}

// Stop implements module.Starter.
func (m *Module) Stop(context.Context) error {
	m.follow.mu.Lock()
	defer m.follow.mu.Unlock()
	m.follow.stopped = true
	if m.follow.timer != nil {
		m.follow.timer.Stop()
	}
	return nil
}

// follower is the timer of the index.
type follower struct {
	mu      sync.Mutex
	timer   module.Timer
	stopped bool
}

// indexNow has new messages indexed, and comes again a while after that is done.
func (m *Module) indexNow() {
	m.d.Journal.Background(&updating{Indexing: storage.NewIndexing(m.finder, 0), done: func(bool) {
		m.follow.mu.Lock()
		defer m.follow.mu.Unlock()
		if !m.follow.stopped {
			m.follow.timer = m.d.Clock.AfterFunc(indexEvery, m.indexNow)
		}
	}})
}
