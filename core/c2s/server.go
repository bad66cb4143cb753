package c2s

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Router takes over the unit of each stanza; see module.Router.
type Router interface {
	Route(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
}

// Options of a Server. All without a remark are required.
type Options struct {
	Hosts    module.Hosts
	Sessions *session.Manager
	Router   Router
	Accounts *auth.Accounts
	Events   *event.Catalogue
	Journal  journal.Submitter
	TLS      *tls.Config // after <starttls/>
	Secret   []byte      // at least 16 bytes, the same after a restart: salts of unknown users
	Config   Config
	Throttle *auth.Throttle // nil: one of its own, none with Config.Off
	NoPlain  bool           // do not offer PLAIN
	// RequireBinding offers the -PLUS mechanisms only.
	RequireBinding bool
	Clock          module.Clock // nil: the system's
	Rand           io.Reader    // nil: crypto/rand
	Log            *slog.Logger // nil: discarded
}

// Server runs the streams of clients.
type Server struct {
	o       Options
	framing stream.Framing
	steps   map[xmlstream.Name]step
	sasl    map[string]*sasl.Server // by domain
	stats   counters
	config  atomic.Pointer[Config]

	mu      sync.Mutex
	clients map[*client]struct{}
	stopped bool
	readers sync.WaitGroup
}

// New checks the options.
func New(o Options) (*Server, error) {
	if o.Hosts == nil || o.Sessions == nil || o.Router == nil || o.Accounts == nil || o.Events == nil || o.Journal == nil || o.TLS == nil {
		return nil, errors.New("c2s: new server: hosts, sessions, router, accounts, events, journal and TLS are required")
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
	o.Config = o.Config.WithDefaults()
	if o.Throttle == nil && !o.Config.Off {
		o.Throttle = auth.NewThrottle(auth.ThrottleOptions{Clock: o.Clock})
	}
	s := &Server{o: o, steps: elements(), sasl: map[string]*sasl.Server{}, clients: map[*client]struct{}{}}
	s.SetConfig(o.Config)
	for _, domain := range o.Hosts.Domains() {
		srv, err := sasl.NewServer(sasl.Config{
			Domain: domain, Source: o.Accounts.Source(domain), Secret: o.Secret, AllowPlain: !o.NoPlain, RequireBinding: o.RequireBinding,
			NormalizeUser: normalizeUser, NormalizeDomain: normalizeDomain, Admit: o.Accounts.Admit(domain), Rand: o.Rand,
		})
		if err != nil {
			return nil, fmt.Errorf("c2s: new server: %w", err)
		}
		s.sasl[domain] = srv
	}
	return s, nil
}

// Config returns the limits in force.
func (s *Server) Config() Config { return *s.config.Load() }

// SetConfig changes the limits. Streams that are open keep the rates and sizes that they began with. Config.Off is not taken up after New: the limiter of
// guesses is there or it is not.
func (s *Server) SetConfig(c Config) {
	c.Off = s.o.Config.Off
	c = c.WithDefaults()
	s.config.Store(&c)
}

// normalizeUser and normalizeDomain prepare the parts of identities as addresses are prepared, so that both are compared in one form.
func normalizeUser(name string) (string, error) {
	j, err := jid.New(name, "localhost", "")
	return j.Local(), err
}

func normalizeDomain(name string) (string, error) {
	j, err := jid.New("", name, "")
	return j.Domain(), err
}

// domain returns the account domain that a client asks for.
func (s *Server) domain(to string) (string, bool) {
	j, err := jid.Parse(to)
	if err != nil || j.HasLocal() || j.IsFull() || !s.o.Hosts.IsAccountDomain(j.Domain()) || s.sasl[j.Domain()] == nil {
		return "", false
	}
	return j.Clone().Domain(), true
}

func (s *Server) defaultDomain() string {
	if d := s.o.Hosts.Domains(); len(d) > 0 {
		return d[0]
	}
	return ""
}

// Serve runs a connection: one that begins in the clear (RFC 6120 §5), or one that something secure carries (RFC 7395 §4). It returns when another
// goroutine of the connection goes on.
func (s *Server) Serve(ctx context.Context, conn *transport.Conn) {
	c := s.admit(ctx, conn)
	if c == nil {
		return
	}
	at := stageTLS
	if conn.Secure() {
		at = stageAuth
	}
	c.run(c.ctx, at)
}

// ServeTLS returns what runs connections that begin with TLS (XEP-0368). The handshake is a part of the time that there is to log in.
func (s *Server) ServeTLS(config *tls.Config) func(ctx context.Context, conn *transport.Conn) {
	return func(ctx context.Context, conn *transport.Conn) {
		c := s.admit(ctx, conn)
		if c == nil {
			return
		}
		c.out.speak(false)
		if err := conn.Handshake(c.ctx, transport.Server, config); err != nil {
			c.lost(err)
			return
		}
		c.onward(stageAuth)
	}
}

// admit registers a connection; nil if the server is being stopped.
func (s *Server) admit(ctx context.Context, conn *transport.Conn) *client {
	var b [15]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		s.o.Log.Error("c2s: make stream id", "error", err)
		conn.Abort()
		return nil
	}
	c := &client{srv: s, conn: conn, id: base64.RawURLEncoding.EncodeToString(b[:]), dec: xmlstream.NewDecoder(xmlstream.PreAuth), neg: &negotiation{}}
	c.log = s.o.Log.With("conn", c.id)
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.writer = transport.NewWriter(conn, c, nil)
	c.out.over = c.linger
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		c.cancel()
		conn.Abort()
		return nil
	}
	s.clients[c] = struct{}{}
	s.readers.Add(1)
	s.mu.Unlock()
	s.stats.connections.Add(1)
	config := s.Config()
	c.life.in(s.o.Clock, seconds(config.AuthSeconds), c.tooSlow)
	c.life.sign(s.o.Clock.Now())
	if !config.Off {
		conn.SetRate(config.BytesPerSecond, burstSeconds*config.BytesPerSecond)
	}
	return c
}

// onward goes on in a fresh goroutine: a TLS handshake and a login need a deep stack, an idle session does not.
func (c *client) onward(next stage) {
	c.out.speak(true)
	c.conn.Go(func() { c.run(c.ctx, next) })
}

// run reads until the connection is paused or over.
func (c *client) run(ctx context.Context, at stage) {
	c.stage = at
	whole := false
	defer func() {
		if !whole { // a panic, which transport logs: the session is told all the same
			c.lost(errors.New("c2s: panic"))
		}
	}()
	_, err := c.drain() // what was read before this loop
	if err == nil {
		err = c.conn.ReadLoop(ctx, c.feed)
	}
	if next := c.next; next != nil && (err == nil || errors.Is(err, transport.ErrPause)) {
		c.next = nil
		next()
		whole = true
		return
	}
	whole = true
	c.lost(err)
}

// lost is the end of a connection, for whatever reason. It is called once.
func (c *client) lost(err error) {
	c.life.stop()
	c.leave()
	c.cancel()
	c.dec.Close()
	_ = c.conn.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		c.log.Debug("c2s: connection ended", "error", err)
	}
	s := c.srv
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
	s.stats.closed.Add(1)
	s.readers.Done()
}

// lingerTime is how long the client's end is waited for after ours: a socket that is closed with unread bytes loses what was sent last.
const lingerTime = 2 * time.Second

// linger closes the connection when the client does, or soon.
func (c *client) linger() {
	if err := c.conn.CloseWrite(); err != nil {
		c.conn.Abort()
		return
	}
	c.life.in(c.srv.o.Clock, lingerTime, c.conn.Abort)
}

// tooSlow ends a connection that has not logged in in time.
func (c *client) tooSlow() {
	c.srv.stats.tooSlow.Add(1)
	c.finish(c.srv.framing.AppendEnd(c.srv.framing.AppendError(nil, stream.NewError(stream.ConnectionTimeout, "Logging in took too long."))))
	c.life.in(c.srv.o.Clock, lingerTime, c.conn.Abort)
}

// Stop ends all streams with system-shutdown and waits for them. Sessions are stopped before, by the session manager.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	list := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		list = append(list, c)
	}
	s.mu.Unlock()
	for _, c := range list {
		c.End(nil, string(stream.SystemShutdown), "The server is being stopped.")
	}
	done := make(chan struct{})
	go func() { s.readers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range list {
		c.conn.Abort()
	}
	<-done
	return fmt.Errorf("c2s: stop: %w", ctx.Err())
}

type counters struct {
	connections, closed, logins, loginFailures, stanzas, streamErrors, tooSlow, deadPeers, paced atomic.Uint64
}

// Stats are figures for the metrics page; all but Open grow only.
type Stats struct {
	Open                                                                                 uint64
	Connections, Logins, LoginFailures, Stanzas, StreamErrors, TooSlow, DeadPeers, Paced uint64
}

// Stats returns the figures.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Connections: c.connections.Load(), Logins: c.logins.Load(), LoginFailures: c.loginFailures.Load(), Stanzas: c.stanzas.Load(),
		StreamErrors: c.streamErrors.Load(), TooSlow: c.tooSlow.Load(), DeadPeers: c.deadPeers.Load(), Paced: c.paced.Load(),
	}
	st.Open = st.Connections - min(st.Connections, c.closed.Load())
	return st
}
