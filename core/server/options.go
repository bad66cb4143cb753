package server

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// Options of a Server. Domains, Store and Certs are required; zero values of the others take the defaults.
type Options struct {
	Domains []string // account domains, the default first
	Store   storage.Store
	Certs   *tlscert.Store
	Modules []module.Module
	Remote  router.Remote // who delivers to other servers; nil: nobody
	Listen  Listen
	C2S     c2s.Config
	// Passwords says which are accepted, Iterations how much work each login is (0: core/sasl's default).
	Passwords  auth.Policy
	Iterations int
	// NoPlain and RequireBinding restrict how clients log in; see c2s.Options.
	NoPlain        bool
	RequireBinding bool
	// SweepEvery is how often what has expired is removed from the store; an hour.
	SweepEvery time.Duration
	Clock      module.Clock // nil: the system's
	Rand       io.Reader    // nil: crypto/rand
	Log        *slog.Logger // nil: discarded
	Version    string
}

// Listen are addresses (host:port) by service; none: the service is not offered.
type Listen struct {
	C2S       []string
	C2SDirect []string // TLS from the first byte (XEP-0368)
}

func (o *Options) fill() error {
	if len(o.Domains) == 0 || o.Store == nil || o.Certs == nil {
		return errors.New("server: new: domains, a store and certificates are required")
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = time.Hour
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
	if o.Version == "" {
		o.Version = "unknown"
	}
	return nil
}
