package caps

import (
	"context"

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
	a       announcement
	waiting []asker // the first is asked
}

// maxAskers bounds how many sessions wait for one answer; further ones are known when they announce it again.
const maxAskers = 1000

// maxFeatures bounds an answer.
const maxFeatures = 2048

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

// wait adds a session to those that wait for an answer; true: it is to be asked. mu is held.
func (m *Module) wait(a announcement, who asker) bool {
	q := m.asking[a.key]
	if q == nil {
		if len(m.asking) >= m.o.MaxWaiting {
			return false
		}
		m.asking[a.key] = &question{a: a, waiting: []asker{who}}
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
	s := &set{features: make(map[string]struct{}, len(caps.Features))}
	for _, f := range caps.Features {
		s.features[f] = struct{}{}
	}
	return &caps, s
}

// answered takes an answer: one that has the hash stands for all that announce it, any other for the session that gave it (XEP-0115 §5.4).
func (m *Module) answered(ctx context.Context, a announcement, from asker, st *stanza.Stanza) {
	caps, s := parse(st)
	verified := caps != nil && a.key.verify(*caps)
	var told []*gain
	var next *asker
	m.mu.Lock()
	q := m.asking[a.key]
	if q == nil {
		m.mu.Unlock()
		return
	}
	var rest []asker
	for _, w := range q.waiting {
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
	if verified {
		m.remember(a.key, s)
	}
	if len(rest) > 0 {
		q.waiting, next = rest, &rest[0]
	} else {
		delete(m.asking, a.key)
	}
	m.mu.Unlock()
	for _, g := range told {
		m.tell(ctx, g)
	}
	if next != nil {
		m.ask(ctx, a, *next)
	}
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
