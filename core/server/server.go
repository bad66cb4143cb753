package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/transport"
)

// Server is the core of one appliance.
type Server struct {
	o         Options
	log       *slog.Logger
	journal   *journal.Committer
	events    *event.Catalogue
	accounts  *auth.Accounts
	sessions  *session.Manager
	router    *router.Router
	registry  *module.Registry
	modules   map[string]module.Module
	order     []string // of starting modules
	c2s       *c2s.Server
	listeners *transport.Listeners
	life      life
	keys      keys
}

// New assembles a server. Nothing runs before Start; the store stays the caller's.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	secret, err := o.secret(ctx)
	if err != nil {
		return nil, err
	}
	last, err := o.Store.Messages().LastID(ctx)
	if err != nil {
		return nil, fmt.Errorf("server: read last message id: %w", err)
	}
	s := &Server{o: o, log: o.Log, events: event.NewCatalogue(), registry: module.NewRegistry(), modules: map[string]module.Module{}}
	s.keys = keys{secret}
	s.events.OnPanic = func(point, who string, v any, stack []byte) {
		s.log.Error("a module panicked", "point", point, "module", who, "panic", v, "stack", string(stack))
	}
	s.journal = journal.New(journal.Options{Backend: o.Store, Log: o.Log, Clock: o.Clock.Now})
	if err := s.services(storage.NewIDs(last, o.Clock.Now), secret); err != nil {
		return nil, err
	}
	return s, nil
}

// services makes the parts, each with what it needs of those before it.
func (s *Server) services(ids *storage.IDs, secret []byte) (err error) {
	o := &s.o
	s.accounts, err = auth.New(auth.Options{Store: o.Store.Accounts(), Journal: s.journal, Events: s.events, Clock: o.Clock,
		Policy: o.Passwords, Iterations: o.Iterations})
	if err != nil {
		return err
	}
	s.sessions, err = session.New(session.Options{Store: o.Store, Journal: s.journal, Events: s.events, Clock: o.Clock, Rand: o.Rand, Log: o.Log,
		Limits: o.C2S.SessionLimits(),
		// The router needs the sessions; they need it only once something is routed.
		Restore: func(ctx context.Context, account jid.JID, kept storage.Stored) (*stanza.Stanza, error) {
			return s.router.Restore(ctx, account, kept)
		},
		Undelivered: func(ctx context.Context, full jid.JID, st *stanza.Stanza) { s.router.Undelivered(ctx, full, st) },
	})
	if err != nil {
		return err
	}
	s.router, err = router.New(router.Options{Domains: o.Domains, Sessions: s.sessions, Accounts: s.accounts, Journal: s.journal, IDs: ids,
		Events: s.events, Remote: o.Remote, Clock: o.Clock, Rand: o.Rand, Log: o.Log})
	if err != nil {
		return err
	}
	if err := s.register(ids, secret); err != nil {
		return err
	}
	salts, err := derive(secret, "salts of unknown users")
	if err != nil {
		return err
	}
	s.c2s, err = c2s.New(c2s.Options{Hosts: s.router, Sessions: s.sessions, Router: s.router, Accounts: s.accounts, Events: s.events,
		Journal: s.journal, TLS: o.Certs.Config(tlscert.C2S), Secret: salts, Config: o.C2S, NoPlain: o.NoPlain, RequireBinding: o.RequireBinding,
		Clock: o.Clock, Rand: o.Rand, Log: o.Log})
	if err != nil {
		return err
	}
	s.listeners = transport.NewListeners(transport.Options{PerIP: perIP(o.C2S)})
	return nil
}

// SetLimits changes the limits of clients while the server runs; see c2s.Server.SetConfig.
func (s *Server) SetLimits(c c2s.Config) {
	c.Off = s.o.C2S.Off
	s.c2s.SetConfig(c)
	s.sessions.SetLimits(c.SessionLimits())
	s.listeners.SetPerIP(perIP(c))
}

func perIP(c c2s.Config) int {
	if c.Off {
		return -1
	}
	return c.WithDefaults().ConnectionsPerIP
}

// register has every module say what it takes part in, and fills their needs.
func (s *Server) register(ids *storage.IDs, secret []byte) error {
	codecSecret, err := derive(secret, "stanza ids")
	if err != nil {
		return err
	}
	codec, err := stanzaid.NewCodec(codecSecret)
	if err != nil {
		return err
	}
	deps := module.Deps{Log: s.o.Log, Clock: s.o.Clock, Rand: s.o.Rand, Store: s.o.Store, Journal: s.journal, IDs: ids, Events: s.events,
		Router: s.router, Sessions: s.sessions, Hosts: s.router, Version: s.o.Version}
	s.registry.For("server", deps).Provide(s.router, codec, accounts{s.accounts}, s.keys)
	for _, m := range s.o.Modules {
		info := m.Info()
		if s.modules[info.Name] != nil {
			return fmt.Errorf("server: the module %s is there twice", info.Name)
		}
		s.modules[info.Name] = m
		s.registry.Infos = append(s.registry.Infos, info)
		if err := m.Register(s.registry.For(info.Name, deps)); err != nil {
			return fmt.Errorf("server: register module %s: %w", info.Name, err)
		}
	}
	if s.order, err = s.registry.Resolve(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return s.router.Attach(s.registry)
}

// Accounts, Sessions, Router, Registry, Events, Journal and Listeners are the parts, for the appliance and for tests.
func (s *Server) Accounts() *auth.Accounts { return s.accounts }

// Module returns a module by its name, nil if there is none.
func (s *Server) Module(name string) module.Module { return s.modules[name] }

// Sessions returns the table of sessions.
func (s *Server) Sessions() *session.Manager { return s.sessions }

// Router returns the router.
func (s *Server) Router() *router.Router { return s.router }

// Registry returns what the modules have registered.
func (s *Server) Registry() *module.Registry { return s.registry }

// Events returns the catalogue of points.
func (s *Server) Events() *event.Catalogue { return s.events }

// Journal returns the committer.
func (s *Server) Journal() *journal.Committer { return s.journal }

// Listeners returns what accepts connections.
func (s *Server) Listeners() *transport.Listeners { return s.listeners }

// C2S returns the streams of clients.
func (s *Server) C2S() *c2s.Server { return s.c2s }
