package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/transport"
)

// Keys by which listeners are named in errors and asked for their addresses: those of the configuration file.
const (
	KeyC2S       = "listen.c2s"
	KeyC2SDirect = "listen.c2s_tls"
)

// Errors of Ready.
var (
	ErrNotStarted = errors.New("server: not started yet")
	ErrStopping   = errors.New("server: being stopped")
)

// life is how far the server is.
type life struct {
	mu      sync.Mutex
	state   error    // nil: ready
	begun   bool     // Start was called
	started []string // modules that have to be stopped
	sweep   module.Timer
}

// Start runs the server; when it returns, clients can come. After an error everything is down again.
func (s *Server) Start(ctx context.Context) error {
	s.life.mu.Lock()
	again := s.life.begun
	s.life.begun, s.life.state = true, ErrNotStarted
	s.life.mu.Unlock()
	if again {
		return errors.New("server: started twice")
	}
	s.journal.Start()
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.Stop(ctx))
	}
	s.life.mu.Lock()
	s.life.state = nil
	s.life.mu.Unlock()
	s.sweep()
	return nil
}

func (s *Server) start(ctx context.Context) error {
	for _, name := range s.order {
		m, ok := s.modules[name].(module.Starter)
		if !ok {
			continue
		}
		if err := m.Start(ctx); err != nil {
			return fmt.Errorf("server: start module %s: %w", name, err)
		}
		s.life.mu.Lock()
		s.life.started = append(s.life.started, name)
		s.life.mu.Unlock()
	}
	if err := s.sessions.Restore(ctx); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return s.listen(ctx)
}

func (s *Server) listen(ctx context.Context) error {
	for _, spec := range []transport.Spec{
		{Key: KeyC2S, Addrs: s.o.Listen.C2S, Serve: s.c2s.Serve},
		{Key: KeyC2SDirect, Addrs: s.o.Listen.C2SDirect, Serve: s.c2s.ServeTLS(s.o.Certs.Config(tlscert.C2SDirect))},
	} {
		if len(spec.Addrs) == 0 {
			continue
		}
		if err := s.listeners.Listen(ctx, spec); err != nil {
			return fmt.Errorf("server: %w", err)
		}
	}
	return nil
}

// sweep has what has expired removed from the store, now and every SweepEvery.
func (s *Server) sweep() {
	sweeper, ok := s.o.Store.(storage.Sweeper)
	if !ok {
		return
	}
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.state != nil {
		return
	}
	s.journal.Background(storage.NewSweep(sweeper, s.o.Clock.Now()))
	s.life.sweep = s.o.Clock.AfterFunc(s.o.SweepEvery, s.sweep)
}

// Stop takes the server down: no more connections, sessions are kept or told, what is under way is committed. It may be called without Start, and
// more than once. When ctx ends it hurries, and reports what was not done.
func (s *Server) Stop(ctx context.Context) error {
	s.life.mu.Lock()
	s.life.begun, s.life.state = true, ErrStopping
	if s.life.sweep != nil {
		s.life.sweep.Stop()
	}
	started := s.life.started
	s.life.started = nil
	s.life.mu.Unlock()

	s.listeners.CloseListeners()
	errs := []error{s.sessions.Stop(ctx), s.c2s.Stop(ctx), s.listeners.Stop(ctx)}
	for i := len(started) - 1; i >= 0; i-- {
		if err := s.modules[started[i]].(module.Starter).Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("server: stop module %s: %w", started[i], err))
		}
	}
	s.router.Stop()
	errs = append(errs, s.journal.Stop(ctx))
	return errors.Join(errs...)
}

// Ready returns nil while clients can come: /readyz.
func (s *Server) Ready() error {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if !s.life.begun {
		return ErrNotStarted
	}
	return s.life.state
}

// Health returns nil while the store answers: /healthz.
func (s *Server) Health(ctx context.Context) error {
	if _, err := s.o.Store.Table(secretTable).Get(ctx, secretOwner, secretKey); err != nil {
		return fmt.Errorf("server: the store does not answer: %w", err)
	}
	return nil
}
