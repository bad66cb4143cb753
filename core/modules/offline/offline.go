package offline

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// feature is what XEP-0160 §4 calls the service in disco#info.
const feature = "msgoffline"

// Options of the module; zero values take the defaults.
type Options struct {
	MaxMessages int // of one account; 1,000
	MaxBytes    int // of one account; 4 MiB
}

// Redeliverer hands kept messages to a session; core/server provides the router.
type Redeliverer interface {
	Redeliver(ctx context.Context, to event.SessionInfo, kept []storage.Stored, fresh func(i int) bool, done func(taken int))
}

// Module implements module.Module.
type Module struct {
	o      Options
	d      module.Deps
	router Redeliverer
	sizes  sizes
	flush  flusher
}

var _ module.Starter = (*Module)(nil)

// New returns the module.
func New(o Options) *Module {
	if o.MaxMessages <= 0 {
		o.MaxMessages = 1000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 4 << 20
	}
	return &Module{o: o}
}

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "offline", Specs: []module.Spec{{ID: "XEP-0160", Version: "1.0.1", Status: "complete"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	m.d = r.Deps
	m.sizes.init()
	m.flush.init(m)
	r.Need(&m.router)
	r.Feature(module.ScopeServer, feature)
	ev := r.Deps.Events
	ev.Route.Account.On(event.Guard, "offline", m.guard)
	ev.Route.Account.On(event.Rewrite, "offline", m.keepOrder)
	ev.Route.Account.On(event.Record, "offline", m.record)
	ev.Route.Account.On(event.After, "offline", m.stored)
	ev.Presence.Available.On(event.Record, "offline", m.arriving)
	ev.Presence.Available.On(event.After, "offline", m.available)
	ev.C2S.Closed.On(event.After, "offline", m.closed)
	return nil
}

// Start implements module.Starter.
func (m *Module) Start(context.Context) error { return nil }

// Stop implements module.Starter: it waits for the deliveries that are under way.
func (m *Module) Stop(ctx context.Context) error { return m.flush.stop(ctx) }

// wanted tells whether a message is to be kept: nobody is there for it, and it is worth it.
func wanted(am *event.AccountMessage) bool {
	return len(am.Targets) == 0 && hints.Of(am.Stanza).Offline()
}

// guard refuses a message that would not fit. XEP-0160 §2: the sender is told as if there were no offline storage.
func (m *Module) guard(ctx context.Context, am *event.AccountMessage) error {
	if !wanted(am) {
		return nil
	}
	s, err := m.size(ctx, am.Account.String())
	if err != nil {
		return err
	}
	if s.messages >= m.o.MaxMessages || s.bytes+weight(am.Stanza) > m.o.MaxBytes {
		return stanza.NewError(stanza.ServiceUnavailable, "Too many messages are waiting for the recipient already.")
	}
	return nil
}

// keepOrder has a message wait in the list if the session that it is for is still being given what came before.
func (m *Module) keepOrder(_ context.Context, am *event.AccountMessage) error {
	if len(am.Targets) == 0 || !hints.Of(am.Stanza).Offline() {
		return nil
	}
	if i, ok := m.flush.behind(am.Account, am.Targets); ok {
		am.Targets = slices.Delete(slices.Clone(am.Targets), i, i+1)
		m.keep(am, behind)
	}
	return nil
}

func (m *Module) record(_ context.Context, am *event.AccountMessage) error {
	if wanted(am) && !am.Offline {
		m.keep(am, nil)
	}
	return nil
}

// behind marks a message that somebody was there for: it only waits behind others. It stands after the weight in a reference's note.
var behind = []byte{1}

// freshFor is how long such a message needs no delay stamp.
const freshFor = time.Minute

// fresh tells whether a message was only kept behind others, and not for long: to its receiver it comes as it would have come.
func (m *Module) fresh(s *storage.Stored) bool {
	_, n := binary.Uvarint(s.Note)
	return n > 0 && bytes.Equal(s.Note[n:], behind) && m.d.Clock.Now().Sub(s.Msg.Time()) < freshFor
}

// keep puts a message into the list.
func (m *Module) keep(am *event.AccountMessage, mark []byte) {
	n := weight(am.Stanza)
	am.Ref(storage.Offline, am.Account.String(), "", append(binary.AppendUvarint(nil, uint64(n)), mark...))
	am.Offline = true
	account, id := am.Account, am.ID
	m.sizes.add(account.String(), n)
	m.flush.queue(account, id)
	am.Unit.After(direct{}, func(err error) {
		if err != nil {
			m.flush.settled(account, id)
		}
	})
}

// direct runs a step where it is posted from, the committer's goroutine: it only forgets a number there.
type direct struct{}

// Post implements journal.Poster.
func (direct) Post(fn func()) { fn() }

// weight is what a message counts for the bound in bytes: also its attributes can be large.
func weight(st *stanza.Stanza) int {
	return st.Payload.Len() + len(st.ID) + len(st.Lang) + len(st.Type) + len(st.From.String()) + len(st.To.String())
}

// stored looks whether somebody has come while the message was committed: her list was read before the message was in it.
func (m *Module) stored(ctx context.Context, am *event.AccountMessage) error {
	if am.Offline {
		m.deliver(ctx, am.Account)
		m.flush.settled(am.Account, am.ID)
	}
	return nil
}

// arriving is called before messages can be routed to a session: nothing may overtake the list. That there is none now says nothing, one may begin
// any moment until the session is there.
func (m *Module) arriving(_ context.Context, p *event.PresenceChange) error {
	if s := p.Session.Info(); !s.Available || s.Priority < 0 { // otherwise it has got the list before
		m.flush.expect(s.JID.Bare(), s.JID)
	}
	return nil
}

// available delivers the list, if there is one (RFC 6121 §8.5.2.2.1, XEP-0160 §3).
func (m *Module) available(ctx context.Context, p *event.PresenceChange) error {
	who := p.Session.Info().JID
	if account := who.Bare(); m.flush.pending(account) {
		m.deliver(ctx, account)
		m.flush.forget(account, who) // nothing comes of it if its priority is negative
	}
	return nil
}

// closed: what the session had not acknowledged is in the list now, and other sessions may be there for it.
func (m *Module) closed(ctx context.Context, e *event.SessionClosed) error {
	account := e.Info.JID.Bare()
	m.sizes.drop(account.String())
	m.flush.forget(account, e.Info.JID)
	m.deliver(ctx, account)
	return nil
}

// deliver starts a delivery if somebody is there.
func (m *Module) deliver(ctx context.Context, account jid.JID) {
	if _, ok := m.receiver(ctx, account); ok {
		m.flush.start(account)
	}
}

// receiver is the session that gets the list: of those available with a priority of at least 0 the one with the highest, and of equals the
// one that came last.
func (m *Module) receiver(ctx context.Context, account jid.JID) (event.SessionInfo, bool) {
	return m.best(m.d.Sessions.Of(ctx, account))
}

func (*Module) best(sessions []event.SessionInfo) (best event.SessionInfo, ok bool) {
	for _, s := range sessions {
		if s.Available && s.Priority >= 0 && (!ok || s.Priority >= best.Priority) {
			best, ok = s, true
		}
	}
	return best, ok
}

// size returns what is waiting for an account.
func (m *Module) size(ctx context.Context, account string) (size, error) {
	if s, ok := m.sizes.get(account); ok {
		return s, nil
	}
	var s size
	r := storage.Range{Limit: 500}
	for {
		refs, more, err := m.d.Store.Messages().Refs(ctx, storage.Offline, account, r)
		if err != nil {
			return size{}, fmt.Errorf("offline: size of list: %w", err)
		}
		for i := range refs {
			n, _ := binary.Uvarint(refs[i].Note) // 0 if the list's other writer has left none
			s.messages++
			s.bytes += int(n)
			r.After = refs[i].ID
		}
		if !more || s.messages >= m.o.MaxMessages {
			break
		}
	}
	m.sizes.put(account, s)
	return s, nil
}
