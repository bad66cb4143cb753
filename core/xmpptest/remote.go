package xmpptest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Remote plays the servers of other domains: it keeps what the server sends to them and says what they say. It is Options.Remote of a server.
type Remote struct {
	domains []string
	// Answer, if set, is asked first about every stanza, in the goroutine that routes it: what it returns is sent back in this order, and the
	// stanza is not kept. nil: the stanza is kept.
	Answer func(st *stanza.Stanza) []*stanza.Stanza

	mu   sync.Mutex
	r    *router.Router
	j    *journal.Committer
	in   []*stanza.Stanza
	wake chan struct{}
	out  []*stanza.Stanza // what is to be said, in order
	busy bool             // somebody is saying it
}

var _ router.Remote = (*Remote)(nil)

// NewRemote returns what answers for these domains; others do not exist.
func NewRemote(domains ...string) *Remote {
	return &Remote{domains: domains, wake: make(chan struct{})}
}

// attach gives it a server that was started.
func (r *Remote) attach(s *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r, r.j = s.Router(), s.Journal()
}

func (r *Remote) server() (*router.Router, *journal.Committer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r, r.j
}

// Deliver implements router.Remote.
func (r *Remote) Deliver(_ context.Context, u *journal.Unit, st *stanza.Stanza) bool {
	if !slices.Contains(r.domains, st.To.Domain()) {
		return false
	}
	_, j := r.server()
	if r.Answer != nil {
		if answers := r.Answer(st); answers != nil {
			j.Submit(u)
			r.Queue(answers...)
			r.Flush()
			return true
		}
	}
	r.mu.Lock()
	r.in = append(r.in, st)
	close(r.wake)
	r.wake = make(chan struct{})
	r.mu.Unlock()
	j.Submit(u)
	return true
}

// Queue appends to what is to be said: a test that keeps the order of what happens in its own state queues under its own lock and flushes without.
func (r *Remote) Queue(sts ...*stanza.Stanza) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = append(r.out, sts...)
}

// Flush says what is queued, in order as on one stream: if somebody else is at it, that one goes on.
func (r *Remote) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		return
	}
	r.busy = true
	for len(r.out) > 0 {
		st := r.out[0]
		r.out = r.out[1:]
		rt := r.r
		r.mu.Unlock()
		rt.Send(event.WithOrigin(context.Background(), st.From.Domain()), st)
		r.mu.Lock()
	}
	r.busy = false
}

// Send has a stanza come from one of the domains. It returns when it is decided where it goes, unless somebody else is at Flush.
func (r *Remote) Send(t testing.TB, xml string) {
	t.Helper()
	if err := r.send(xml); err != nil {
		t.Fatal(err)
	}
}

func (r *Remote) send(xml string) error {
	n, err := parsePattern(xml)
	if err != nil {
		return err
	}
	st, err := stanza.FromChild(xmlstream.NewFragment(n).At(0))
	if err != nil {
		return fmt.Errorf("%w in %s", err, xml)
	}
	if !slices.Contains(r.domains, st.From.Domain()) {
		return fmt.Errorf("a remote domain does not speak for %s", st.From)
	}
	r.Queue(st)
	r.Flush()
	return nil
}

// poll returns the next stanza for a domain ("": for any), or what to wait for.
func (r *Remote) poll(domain string) (*stanza.Stanza, chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, st := range r.in {
		if domain == "" || st.To.Domain() == domain {
			r.in = slices.Delete(r.in, i, i+1)
			return st, nil
		}
	}
	return nil, r.wake
}

func (r *Remote) next(domain string) (*stanza.Stanza, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		st, wake := r.poll(domain)
		if st != nil {
			return st, nil
		}
		select {
		case <-wake:
		case <-timer.C:
			return nil, fmt.Errorf("nothing came in %s", patience)
		}
	}
}

// Next returns the next stanza that the server sends to one of the domains.
func (r *Remote) Next(t testing.TB) *stanza.Stanza {
	t.Helper()
	st, err := r.next("")
	if err != nil {
		t.Fatal("remote:", err)
	}
	return st
}

// Pending returns what has come and was not asked for.
func (r *Remote) Pending() []*stanza.Stanza {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.in)
}

// Linked tells the server that a domain can be reached again.
func (s *Server) Linked(t testing.TB, domain string) {
	t.Helper()
	if err := s.Events().Route.Linked.Fire(t.Context(), &event.Linked{Domain: domain}); err != nil {
		t.Fatal(err)
	}
}

// Settle waits until the server has dealt with what was sent and with what that brought about, as far as it can be asked; clients' streams are not read
// for it.
func (s *Server) Settle(t testing.TB) {
	t.Helper()
	for range 2 * rounds {
		s.drain(t)
	}
}

// domain is an actor that is a remote domain.
func (p *play) domain(name string) (jid.JID, bool) {
	if p.remote == nil || !slices.Contains(p.remote.domains, name) {
		return jid.JID{}, false
	}
	j, err := jid.New("", name, "")
	return j, err == nil
}

// remoteVerbs are the steps of a remote domain.
var remoteVerbs = map[string]func(p *play, domain, arg string) error{
	"send": func(p *play, _, arg string) error {
		xml, err := p.vars.fill(arg)
		if err != nil {
			return err
		}
		p.server()
		return p.remote.send(xml)
	},
	"receive": func(p *play, domain, arg string) error {
		want, err := parsePattern(arg)
		if err != nil {
			return err
		}
		st, err := p.remote.next(domain)
		if err != nil {
			return fmt.Errorf("expected %s: %w", arg, err)
		}
		if err := p.vars.match(want, st.Node()); err != nil {
			return fmt.Errorf("%w\n received: %s\n expected: %s", err, st, arg)
		}
		return nil
	},
	"nothing": func(p *play, domain, _ string) error {
		p.settle()
		if st, _ := p.remote.poll(domain); st != nil {
			return fmt.Errorf("received %s", st)
		}
		return nil
	},
	"linked": func(p *play, domain, _ string) error {
		p.server().Linked(p.t, domain)
		return nil
	},
}
