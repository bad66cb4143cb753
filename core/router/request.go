package router

import (
	"context"
	"encoding/base32"
	"io"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// requests are the iqs of our own that wait for an answer.
type requests struct {
	mu      sync.Mutex
	pending map[string]*request // by id; bounded by the timeouts that callers give
	// late are those that were given up: an answer that comes after all is nobody's, above all not that of the client in whose name was asked.
	late   map[string]request
	gaveUp []string // their ids in a circle
	next   int
	closed bool
}

// maxLate is how many requests that were given up are remembered; beyond it the oldest is forgotten.
const maxLate = 1024

type request struct {
	from, to jid.JID
	queue    journal.Poster
	reply    func(*stanza.Stanza)
	timer    module.Timer
}

// Request sends an iq of our own; see module.Router.
func (r *Router) Request(ctx context.Context, iq *stanza.Stanza, timeout time.Duration, q journal.Poster, reply func(*stanza.Stanza)) {
	id, err := r.newID()
	if err != nil {
		r.log.Error("no id for a request", "err", err)
		q.Post(func() { reply(iq.ErrorReply(err)) })
		return
	}
	iq = iq.Copy()
	iq.ID = id
	p := &request{from: iq.From, to: iq.To, queue: q, reply: reply}
	late := iq.ErrorReply(stanza.NewError(stanza.RemoteServerTimeout, "There was no answer in time."))
	r.requests.mu.Lock()
	if r.requests.closed {
		r.requests.mu.Unlock()
		q.Post(func() { reply(late) })
		return
	}
	r.requests.pending[id] = p
	p.timer = r.o.Clock.AfterFunc(timeout, func() {
		if r.requests.giveUp(id, p) {
			q.Post(func() { reply(late) })
		}
	})
	r.requests.mu.Unlock()
	r.Send(ctx, iq)
}

// newID returns an id that a peer cannot guess: 80 random bits.
func (r *Router) newID() (string, error) {
	var b [10]byte
	if _, err := io.ReadFull(r.o.Rand, b[:]); err != nil {
		return "", err
	}
	return "r" + base32.StdEncoding.EncodeToString(b[:]), nil
}

// answer gives a result or error to the request that waits for it. It must have the id, come from whom the request was sent to, and be
// addressed to whom the request came from (RFC 6120 §8.1.3, §13.4); nothing else matches.
func (r *Router) answer(u *journal.Unit, st *stanza.Stanza) bool {
	r.requests.mu.Lock()
	p := r.requests.pending[st.ID]
	tooLate := p == nil && r.requests.isLate(st)
	r.requests.mu.Unlock()
	if tooLate {
		r.o.Journal.Submit(u)
		return true
	}
	if p == nil || !p.matches(st) || !r.requests.take(st.ID, p) {
		return false
	}
	u.After(p.queue, func(error) { p.reply(st) })
	r.o.Journal.Submit(u)
	return true
}

func (p request) matches(st *stanza.Stanza) bool {
	if st.From != p.to && !(st.From.IsZero() && p.to == p.from.Bare()) {
		return false
	}
	// A client answers its own account without a "to" (RFC 6120 §10.3.3).
	return st.To == p.from || st.To.IsZero() && p.from == st.From.Bare()
}

// take removes a request; false: somebody else has done so.
func (q *requests) take(id string, p *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending[id] != p {
		return false
	}
	delete(q.pending, id)
	p.timer.Stop()
	return true
}

// giveUp is take, for a request that has had its time.
func (q *requests) giveUp(id string, p *request) bool {
	if !q.take(id, p) {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.late == nil {
		q.late, q.gaveUp = map[string]request{}, make([]string, maxLate)
	}
	delete(q.late, q.gaveUp[q.next])
	q.late[id] = request{from: p.from, to: p.to}
	q.gaveUp[q.next], q.next = id, (q.next+1)%maxLate
	return true
}

// isLate tells whether st answers a request that was given up; mu is held.
func (q *requests) isLate(st *stanza.Stanza) bool {
	p, ok := q.late[st.ID]
	return ok && p.matches(st)
}

func (q *requests) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending)
}

func (q *requests) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, p := range q.pending {
		p.timer.Stop()
	}
	clear(q.pending)
}
