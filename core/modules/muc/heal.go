package muc

import (
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// A room heals itself: occupants of other servers that have not been heard of are asked whether they are there (XEP-0045 §18.1.2, XEP-0199).
// Those of this server are known to have gone when their session ends.

const (
	pulseEvery   = 5 * time.Minute
	pulseTimeout = time.Minute
	maxPinging   = 20  // of one room at once
	maxAsking    = 500 // of all rooms at once
	maxMissed    = 4   // unanswered in a row: a client that sleeps for a while is not gone
)

// pulse is when a session of another server was last heard of.
type pulse struct {
	at      time.Time
	missed  int
	asking  bool
	unknown bool // her server cannot be reached: she is due at once
}

// watch begins to care for a session, if it is one of another server.
func (a *actor) watch(full jid.JID) {
	if a.m.d.Hosts.IsAccountDomain(full.Domain()) {
		return
	}
	if a.remote == nil {
		a.remote = map[jid.JID]*pulse{}
	}
	a.remote[full] = &pulse{at: a.m.d.Clock.Now()}
	a.startPulse()
}

// heard notes that a session has said something.
func (a *actor) heard(in *inbound) {
	if len(a.remote) == 0 || in == nil || in.st == nil {
		return
	}
	if p := a.remote[in.st.From]; p != nil && in.st.Type != stanza.TypeError {
		*p = pulse{at: a.m.d.Clock.Now(), asking: p.asking}
	}
}

// startPulse starts the timer, which runs as long as there are such sessions.
func (a *actor) startPulse() {
	if a.pulses != nil || a.m.stopped.Load() {
		return
	}
	a.pulses = a.m.d.Clock.AfterFunc(pulseEvery, func() {
		a.q.Post(func() {
			defer a.rest()
			if a.pulses = nil; a.room != nil && len(a.remote) > 0 {
				a.takePulse()
				a.startPulse()
			}
		})
	})
}

// takePulse asks those who have been silent for longest.
func (a *actor) takePulse() {
	now := a.m.d.Clock.Now()
	var due []jid.JID
	for full, p := range a.remote {
		if !p.asking && (p.unknown || now.Sub(p.at) >= a.m.o.Silent) {
			due = append(due, full)
		}
	}
	slices.SortFunc(due, func(x, y jid.JID) int {
		if c := a.remote[x].at.Compare(a.remote[y].at); c != 0 {
			return c
		}
		return strings.Compare(x.String(), y.String())
	})
	for _, full := range due {
		if a.pinging >= maxPinging || a.m.asking.Load() >= maxAsking {
			return
		}
		a.ping(full, xmlstream.NewNode(ns.Ping, "ping"), false)
	}
}

// ping asks one session; last says that this is the second question, which every client answers.
func (a *actor) ping(full jid.JID, question *xmlstream.Node, last bool) {
	p := a.remote[full]
	p.asking = true
	a.pinging++
	a.pending++
	a.m.asking.Add(1)
	iq := stanza.NewIQ(stanza.TypeGet, a.m.newID(), question)
	a.m.d.Router.Request(a.ctx, iq.With(a.jid, full), pulseTimeout, a.q, func(answer *stanza.Stanza) {
		defer a.rest()
		a.pinging--
		a.pending--
		a.m.asking.Add(-1)
		if a.remote[full] != p { // she has left, or left and come back
			return
		}
		p.asking = false
		a.pulseOf(full, p, answer, last)
	})
}

// pulseOf judges an answer.
func (a *actor) pulseOf(full jid.JID, p *pulse, answer *stanza.Stanza, last bool) {
	e := answer.ErrorFrom()
	switch {
	case e == nil:
		*p = pulse{at: a.m.d.Clock.Now()}
	case e.Condition == stanza.ServiceUnavailable && !last: // XEP-0199 §4.1: perhaps she does not know pings; RFC 6121 §8.5.3.2.3: perhaps there is no such session
		a.ping(full, xmlstream.NewNode(ns.DiscoInfo, "query"), true)
	case e.Condition == stanza.RemoteServerTimeout: // no answer: she may sleep (XEP-0198)
		p.missed++
		p.at = a.m.d.Clock.Now()
		if p.unknown = false; p.missed >= maxMissed {
			a.lose(full, e.Condition)
		}
	case e.Condition == stanza.RemoteServerNotFound:
		if !p.unknown { // so are the others of that server, most likely
			for other, q := range a.remote {
				q.unknown = q.unknown || other.Domain() == full.Domain()
			}
		}
		if a.lose(full, e.Condition); a.pinging <= maxPinging/2 {
			a.takePulse()
		}
	case unreachable[e.Condition]:
		a.lose(full, e.Condition)
	default: // an error of hers: she is there
		*p = pulse{at: a.m.d.Clock.Now()}
	}
}

// lose takes a session out of the room in its turn.
func (a *actor) lose(full jid.JID, why stanza.Condition) {
	if p := a.remote[full]; p != nil {
		p.asking = true // no more questions
	}
	a.accept(task{class: exclusive, run: func(a *actor, _ *inbound) { a.gone(full, why) }})
}
