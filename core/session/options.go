package session

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Options of a Manager. Store, Journal and Events are required.
type Options struct {
	Store   storage.Store
	Journal journal.Submitter
	Events  *event.Catalogue
	Clock   module.Clock // nil: the system's
	Rand    io.Reader    // nil: crypto/rand
	Log     *slog.Logger // nil: discarded
	Node    string       // cluster node
	Limits  Limits

	// Restore returns a kept message as it is to be sent to account's session: stamped for the account's archive and with a delay. Nil: the
	// stanza as it was stored, with a delay.
	Restore func(ctx context.Context, account jid.JID, kept storage.Stored) (*stanza.Stanza, error)
	// Undelivered takes a stanza that is kept nowhere and did not reach the client of a session that is over: it is treated as one to an
	// unavailable resource (XEP-0198 §4). It runs in the session's queue. Nil: such stanzas are dropped.
	Undelivered func(ctx context.Context, full jid.JID, st *stanza.Stanza)
}

// Limits of sessions; zero values take the defaults.
type Limits struct {
	PerUser      int           // sessions of an account, with those that wait for their client; 20
	QueueStanzas int           // stanzas in a ring; 4,096
	QueueBytes   int           // bytes in a ring; 2 MiB
	SpoolStanzas int           // stanzas of a ring with what is in the store only; 65,536
	ResumeTime   time.Duration // how long a session waits for its client; 10 min; negative: not at all
	SettleTime   time.Duration // how long a resumption waits for what the old connection brought; 10 s
}

func (l *Limits) fill() {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.PerUser, 20}, {&l.QueueStanzas, 4096}, {&l.QueueBytes, 2 << 20}, {&l.SpoolStanzas, 65536}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if l.ResumeTime == 0 {
		l.ResumeTime = 10 * time.Minute
	}
	if l.SettleTime <= 0 {
		l.SettleTime = 10 * time.Second
	}
}

// SetLimits changes the limits, for all sessions.
func (m *Manager) SetLimits(l Limits) {
	l.fill()
	m.limits.Store(&l)
}

func (o *Options) fill() error {
	if o.Store == nil || o.Journal == nil || o.Events == nil {
		return errors.New("session: new manager: Store, Journal and Events are required")
	}
	if o.Clock == nil {
		o.Clock = module.RealClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Restore == nil {
		o.Restore = restorePlain
	}
	return nil
}

// restorePlain is the default of Options.Restore.
func restorePlain(_ context.Context, account jid.JID, kept storage.Stored) (*stanza.Stanza, error) {
	st, err := stanza.Unmarshal(kept.Body)
	if err != nil {
		return nil, err
	}
	return delayed(st, kept.Msg.Time(), account.Domain()), nil
}

type counters struct {
	bound, resumed, notResumed, detached, ended, overflows, spools atomic.Uint64
}

// Stats are figures for the metrics page. All but Sessions grow only.
type Stats struct {
	Sessions                                                       uint64 // bound now, with those that wait for their client
	Bound, Resumed, NotResumed, Detached, Ended, Overflows, Spools uint64
}

// Stats returns the figures.
func (m *Manager) Stats() Stats {
	c := &m.stats
	st := Stats{
		Bound: c.bound.Load(), Resumed: c.resumed.Load(), NotResumed: c.notResumed.Load(), Detached: c.detached.Load(),
		Ended: c.ended.Load(), Overflows: c.overflows.Load(), Spools: c.spools.Load(),
	}
	if st.Bound > st.Ended {
		st.Sessions = st.Bound - st.Ended
	}
	return st
}
