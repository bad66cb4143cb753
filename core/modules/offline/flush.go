package offline

import (
	"context"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// pageSize is how many messages are on their way to a session at once.
const pageSize = 50

// maxTries bounds how often a delivery is tried that makes no progress; the list waits for the next occasion then.
const maxTries = 3

// flusher delivers lists, at most one delivery for an account at a time.
type flusher struct {
	m *Module

	mu     sync.Mutex
	busy   map[jid.JID]bool // accounts being delivered to; true: look again when done
	closed bool
	wg     sync.WaitGroup
	ctx    context.Context // ended by stop; of reads that belong to no stream
	cancel context.CancelFunc
}

func (f *flusher) init(m *Module) {
	f.m, f.busy = m, map[jid.JID]bool{}
	f.ctx, f.cancel = context.WithCancel(context.Background())
}

// start delivers an account's list, or has the present delivery look again.
func (f *flusher) start(account jid.JID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if _, busy := f.busy[account]; busy {
		f.busy[account] = true
		return
	}
	f.busy[account.Clone()] = false
	f.wg.Add(1)
	go f.run(account)
}

func (f *flusher) run(account jid.JID) {
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
		f.deliver(account)
		f.mu.Lock()
		again := f.busy[account] && !f.closed
		if !again {
			delete(f.busy, account)
			f.mu.Unlock()
			return
		}
		f.busy[account] = false
		f.mu.Unlock()
	}
}

// deliver hands the list to a session, page by page, until it is empty or nobody is there any more.
func (f *flusher) deliver(account jid.JID) {
	m := f.m
	owner := account.String()
	after := storage.MessageID(0)
	for tries := 0; tries < maxTries; {
		to, ok := m.receiver(f.ctx, account)
		if !ok {
			return
		}
		page, more, err := m.d.Store.Messages().List(f.ctx, storage.Offline, owner, storage.Range{After: after, Limit: pageSize})
		if err != nil {
			m.d.Log.Error("kept messages cannot be read", "account", owner, "err", err)
			return
		}
		if len(page) == 0 {
			return
		}
		taken := make(chan int, 1)
		m.router.Redeliver(f.ctx, to, page, func(n int) { taken <- n })
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
