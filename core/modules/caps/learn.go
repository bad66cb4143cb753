package caps

import (
	"context"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// asker is a session whose capabilities wait for an answer.
type asker struct {
	full, account jid.JID
	quiet         bool
}

// question is a hash that somebody is being asked about.
type question struct {
	waiting []asker
	asked   jid.JID // one of them
	number  uint64  // the smaller, the older
}

// maxAskers bounds how many sessions wait for one answer; further ones are known when they announce it again.
const maxAskers = 1000

// Bounds of an answer: thousands of them are kept. Clients have about a hundred features with 4 KiB of names.
const (
	maxFeatures     = 1024
	maxFeatureBytes = 32 << 10
)

// gain is what one watcher call tells.
type gain struct {
	asker
	now, was *set
}

// learn takes what a presence announces. quiet: whoever watches knows it already.
func (m *Module) learn(ctx context.Context, st *stanza.Stanza, full, account jid.JID, quiet bool) {
	a, ok := read(st)
	full = full.Clone()
	m.mu.Lock()
	e := m.entity(full, account)
	if _, known := e.told[account]; !known && len(e.told) < maxAccounts {
		e.told[account] = nil
	}
	if !ok {
		e.key, e.set = key{}, nil
		e.told[account] = nil
		m.mu.Unlock()
		return
	}
	if e.key != a.key {
		e.key, e.set = a.key, m.hashes[a.key]
	}
	if e.set == nil {
		e.set = m.hashes[a.key]
	}
	who := asker{full, account, quiet}
	if e.set == nil {
		ask := m.wait(a, who)
		m.mu.Unlock()
		if ask {
			m.ask(ctx, a, who)
		}
		return
	}
	g := m.settle(e, who)
	m.mu.Unlock()
	m.tell(ctx, g)
}

// settle notes that a session's set is known to the watchers; mu is held.
func (m *Module) settle(e *entity, who asker) *gain {
	was, ok := e.told[who.account]
	if !ok || was == e.set {
		return nil
	}
	e.told[who.account] = e.set
	if who.quiet {
		return nil
	}
	return &gain{who, e.set, was}
}

// tell calls the watchers, with nothing locked.
func (m *Module) tell(ctx context.Context, g *gain) {
	if g == nil {
		return
	}
	gained := func(f string) bool { return g.now.has(f) && !g.was.has(f) }
	for _, fn := range m.watchers {
		fn(ctx, g.full, g.account, gained)
	}
}

// wait adds a session to those that wait for an answer; true: it is to be asked. mu is held. Who has not answered so many questions yet is asked no
// more: made-up hashes fill nobody's table but one's own.
func (m *Module) wait(a announcement, who asker) bool {
	q := m.asking[a.key]
	if q == nil {
		if !m.mayAsk(who.full) {
			return false
		}
		if len(m.asking) >= m.o.MaxWaiting {
			m.giveWay()
		}
		m.asked++
		m.asking[a.key] = &question{waiting: []asker{who}, asked: who.full, number: m.asked}
		m.count(who.full, 1)
		return true
	}
	for _, w := range q.waiting {
		if w.full == who.full && w.account == who.account {
			return false
		}
	}
	if len(q.waiting) < maxAskers {
		q.waiting = append(q.waiting, who)
	}
	return false
}

// giveWay forgets the oldest question: it has had the most time for its answer. Its sessions are known when they announce it again. mu is held.
func (m *Module) giveWay() {
	var oldest key
	least := m.asked + 1
	for k, q := range m.asking {
		if q.number < least {
			oldest, least = k, q.number
		}
	}
	delete(m.asking, oldest)
}

// mayAsk tells whether a session may be asked one more question: so many of one account, and of one other server a quarter of all. mu is held.
func (m *Module) mayAsk(full jid.JID) bool {
	if m.open[full.Bare().String()] >= m.o.MaxPerPeer {
		return false
	}
	return m.d.Hosts.IsLocal(full.Domain()) || m.open[full.Domain()] < max(1, m.o.MaxWaiting/4)
}

// count counts the requests that a session has not answered; mu is held.
func (m *Module) count(full jid.JID, n int) {
	names := []string{full.Bare().String()}
	if !m.d.Hosts.IsLocal(full.Domain()) {
		names = append(names, full.Domain())
	}
	for _, k := range names {
		if m.open[k] += n; m.open[k] <= 0 {
			delete(m.open, k)
		}
	}
}

// ask asks a session (XEP-0115 §6.2, XEP-0390 §6.3).
func (m *Module) ask(ctx context.Context, a announcement, who asker) {
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.DiscoInfo, "query", "node", a.node))
	iq.To, iq.From = who.full, who.account.DomainJID()
	if who.account.IsZero() {
		iq.From = who.full.DomainJID()
	}
	ctx = event.WithSession(context.WithoutCancel(ctx), nil)
	m.d.Router.Request(ctx, iq, m.o.Timeout, m.queue, func(st *stanza.Stanza) { m.answered(ctx, a, who, st) })
}

// parse reads an answer; nil: it says nothing.
func parse(st *stanza.Stanza) (*hash.Caps, *set) {
	c, ok := st.Child(ns.DiscoInfo, "query")
	if !ok || st.Type != stanza.TypeResult {
		return nil, nil
	}
	caps, err := hash.Parse(c.Node())
	if err != nil || len(caps.Features) > maxFeatures {
		return nil, nil
	}
	size := 0
	for _, f := range caps.Features {
		size += len(f)
	}
	if size > maxFeatureBytes {
		return nil, nil
	}
	s := &set{features: make(map[string]struct{}, len(caps.Features))}
	for _, f := range caps.Features {
		s.features[strings.Clone(f)] = struct{}{} // the answer itself is not kept
	}
	return &caps, s
}

// answered takes an answer, or that there was none: one that has the hash stands for all that announce it, any other for the session that gave it
// (XEP-0115 §5.4).
func (m *Module) answered(ctx context.Context, a announcement, from asker, st *stanza.Stanza) {
	caps, s := parse(st)
	verified := caps != nil && a.key.verify(*caps)
	m.mu.Lock()
	m.count(from.full, -1)
	if verified {
		m.remember(a.key, s)
	}
	q := m.asking[a.key]
	waiting := []asker{from} // of a question that had to give way
	if q != nil {
		waiting = q.waiting
	}
	var told []*gain
	var rest []asker
	for _, w := range waiting {
		e := m.entities[w.full]
		if e == nil || e.key != a.key {
			continue // gone, or it says something else by now
		}
		if !verified && w.full != from.full {
			rest = append(rest, w)
			continue
		}
		if s != nil {
			e.set = s
			told = append(told, m.settle(e, w))
		}
	}
	next := m.goOn(a.key, q, from, rest)
	m.mu.Unlock()
	for _, g := range told {
		m.tell(ctx, g)
	}
	if next != nil {
		m.ask(ctx, a, *next)
	}
}

// goOn has one of those asked who still wait for an answer: one of another account than that which gave none first, so that nobody holds up the others
// with many sessions. mu is held.
func (m *Module) goOn(k key, q *question, from asker, rest []asker) *asker {
	switch {
	case q == nil:
		return nil
	case len(rest) == 0:
		delete(m.asking, k)
		return nil
	}
	q.waiting = rest
	if q.asked != from.full && slices.ContainsFunc(rest, func(w asker) bool { return w.full == q.asked }) {
		return nil // the answer was to an earlier question; this one is under way
	}
	for _, others := range []bool{true, false} {
		for i := range rest {
			if (rest[i].full.Bare() != from.full.Bare()) == others && m.mayAsk(rest[i].full) {
				q.asked = rest[i].full
				m.count(q.asked, 1)
				return &rest[i]
			}
		}
	}
	delete(m.asking, k) // nobody is left who answers
	return nil
}

// remember keeps a set under its hash; mu is held.
func (m *Module) remember(k key, s *set) {
	if len(m.hashes) >= m.o.MaxHashes {
		for old := range m.hashes {
			delete(m.hashes, old)
			break
		}
	}
	m.hashes[k] = s
}
