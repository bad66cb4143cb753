package offline

import (
	"context"
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// pageSize is how many messages are on their way to a session at once.
const pageSize = 50

// maxTries bounds how often a delivery is tried that makes no progress; the list waits for the next occasion then.
const maxTries = 3

// flusher delivers lists, at most one delivery for an account at a time. While one is under way, or about to begin, or a message for the list is
// being committed, what comes for its receiver goes to the end of the list instead of overtaking it.
type flusher struct {
	m *Module

	mu     sync.Mutex
	busy   map[jid.JID]*delivery // by account
	closed bool
	wg     sync.WaitGroup
	ctx    context.Context // ended by stop; of reads that belong to no stream
	cancel context.CancelFunc
}

// delivery is a list on its way to a session.
type delivery struct {
	to      jid.JID // the session that gets it; zero: nobody yet
	running bool    // a goroutine is at it
	again   bool    // it has to look again when it is done
	// queued are messages that were sent to the end of the list and are not committed yet; until they are, nothing may overtake them either.
	queued map[storage.MessageID]struct{}
}

func (f *flusher) init(m *Module) {
	f.m, f.busy = m, map[jid.JID]*delivery{}
	f.ctx, f.cancel = context.WithCancel(context.Background())
}

// of returns what is known of an account, made if there is nothing; f.mu is held.
func (f *flusher) of(account jid.JID) *delivery {
	d := f.busy[account]
	if d == nil {
		d = &delivery{queued: map[storage.MessageID]struct{}{}}
		f.busy[account.Clone()] = d
	}
	return d
}

// tidy forgets an account of which nothing is under way; f.mu is held.
func (f *flusher) tidy(account jid.JID, d *delivery) {
	if !d.running && d.to.IsZero() && len(d.queued) == 0 {
		delete(f.busy, account)
	}
}

// expect says that a session is about to get the account's list: called before anything can be routed to it.
func (f *flusher) expect(account, to jid.JID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.of(account); d.to.IsZero() {
		d.to = to.Clone()
	}
}

// pending tells whether something of the account is under way.
func (f *flusher) pending(account jid.JID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy[account] != nil
}

// behind tells whether a message has to wait behind the list, and for which of its targets.
func (f *flusher) behind(account jid.JID, targets []event.SessionInfo) (int, bool) {
	f.mu.Lock()
	d := f.busy[account]
	var to jid.JID
	if d != nil {
		to = d.to
	}
	f.mu.Unlock()
	if d == nil {
		return 0, false
	}
	if to.IsZero() { // whoever is about to get it
		best, ok := f.m.best(targets)
		if !ok {
			return 0, false
		}
		to = best.JID
	}
	i := slices.IndexFunc(targets, func(s event.SessionInfo) bool { return s.JID == to })
	return i, i >= 0
}

// queue says that a message goes to the list and is not committed yet.
func (f *flusher) queue(account jid.JID, id storage.MessageID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(account).queued[id] = struct{}{}
}

// settled says that a message is in the list, or failed to get there.
func (f *flusher) settled(account jid.JID, id storage.MessageID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.busy[account]; d != nil {
		delete(d.queued, id)
		f.tidy(account, d)
	}
}

// forget ends what was expected of a session.
func (f *flusher) forget(account, to jid.JID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.busy[account]; d != nil && d.to == to && !d.running {
		d.to = jid.JID{}
		f.tidy(account, d)
	}
}

// start delivers an account's list, or has the present delivery look again.
func (f *flusher) start(account jid.JID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	d := f.of(account)
	if d.running {
		d.again = true
		return
	}
	d.running = true
	f.wg.Add(1)
	go f.run(account.Clone(), d)
}

func (f *flusher) run(account jid.JID, d *delivery) {
	defer f.wg.Done()
	defer func() {
		if v := recover(); v != nil {
			f.m.d.Log.Error("delivering kept messages panicked", "account", account.String(), "panic", v)
			f.mu.Lock()
			delete(f.busy, account)
			f.mu.Unlock()
		}
	}()
	for {
		f.deliver(account, d)
		f.mu.Lock()
		if d.again && !f.closed {
			d.again = false
			f.mu.Unlock()
			continue
		}
		d.running, d.to = false, jid.JID{}
		f.tidy(account, d)
		f.mu.Unlock()
		return
	}
}

// deliver hands the list to a session, page by page, until it is empty or nobody is there any more.
func (f *flusher) deliver(account jid.JID, d *delivery) {
	m := f.m
	owner := account.String()
	after := storage.MessageID(0)
	for tries := 0; tries < maxTries; {
		to, ok := m.receiver(f.ctx, account)
		if !ok {
			return
		}
		f.mu.Lock()
		d.to = to.JID
		f.mu.Unlock()
		page, more, err := m.d.Store.Messages().List(f.ctx, storage.Offline, owner, storage.Range{After: after, Limit: pageSize})
		if err != nil {
			m.d.Log.Error("kept messages cannot be read", "account", owner, "err", err)
			return
		}
		if len(page) == 0 {
			return
		}
		taken := make(chan int, 1)
		m.router.Redeliver(f.ctx, to, page, func(i int) bool { return m.fresh(&page[i]) }, func(n int) { taken <- n })
		select {
		case n := <-taken:
			m.sizes.drop(owner)
			if n > 0 {
				after, tries = page[n-1].ID, 0
			}
			if n < len(page) { // that session is gone, or the store fails: to whoever is there, from where it stopped
				tries++
				continue
			}
		case <-f.ctx.Done():
			return
		}
		if !more {
			return
		}
	}
}

// stop waits for the deliveries under way.
func (f *flusher) stop(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	done := make(chan struct{})
	go func() { f.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
