package xmpptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/router"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// Password is that of every account that AddUser makes.
const Password = "correct horse battery"

// iterations is the work of a login in tests: as little as the mechanisms allow.
const iterations = 4096

// Options of a Server; the zero value is a server for example.org with all modules.
type Options struct {
	Domains []string // example.org
	Modules modules.Options
	// Extra modules beside the list; a new value for each start.
	Extra  func() []module.Module
	C2S    c2s.Config
	Clock  module.Clock
	Remote router.Remote
	Dir    string // data directory; one of the test's own
	// Store, if set, wraps the store: to see or to break what is written.
	Store func(storage.Store) storage.Store
}

// Server is a running server.
type Server struct {
	*server.Server
	o     Options
	store *sqlite.Store
	certs *tlscert.Store
	roots *x509.CertPool
	log   *slog.Logger
}

// Start starts a server that stops with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if len(o.Domains) == 0 {
		o.Domains = []string{"example.org"}
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s := &Server{o: o, log: slog.New(slog.NewTextHandler(&testLog{t: t}, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	s.start(t)
	t.Cleanup(func() { s.Shutdown(t) })
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	var err error
	if s.store, err = sqlite.Open(ctx, sqlite.Options{Dir: filepath.Join(s.o.Dir, "data"), Log: s.log}); err != nil {
		t.Fatal("open store:", err)
	}
	src := tlscert.SelfSigned{Dir: filepath.Join(s.o.Dir, "tls")}
	if s.certs, err = tlscert.Open(ctx, tlscert.Options{Source: src, Names: s.o.Domains}); err != nil {
		t.Fatal("make certificate:", err)
	}
	ca, err := os.ReadFile(src.CAFile())
	if err != nil {
		t.Fatal("read certificate:", err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(ca)
	list := modules.List(s.o.Modules)
	if s.o.Extra != nil {
		list = append(list, s.o.Extra()...)
	}
	var store storage.Store = s.store
	if s.o.Store != nil {
		store = s.o.Store(store)
	}
	s.Server, err = server.New(ctx, server.Options{Domains: s.o.Domains, Store: store, Certs: s.certs, Modules: list, Remote: s.o.Remote,
		Listen: server.Listen{C2S: []string{"127.0.0.1:0"}, C2SDirect: []string{"127.0.0.1:0"}}, C2S: s.o.C2S, Iterations: iterations,
		Clock: s.o.Clock, Log: s.log, Version: "test"})
	if err != nil {
		t.Fatal("assemble server:", err)
	}
	if r, ok := s.o.Remote.(*Remote); ok {
		r.attach(s)
	}
	if err := s.Server.Start(ctx); err != nil {
		t.Fatal("start server:", err)
	}
}

// stopTime is how long a server may take to stop before the test fails.
const stopTime = 30 * time.Second

// Shutdown stops the server; what it keeps stays.
func (s *Server) Shutdown(t testing.TB) {
	t.Helper()
	if s.Server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := s.Server.Stop(ctx); err != nil {
		t.Error("stop server:", err)
	}
	if err := s.store.Close(); err != nil {
		t.Error("close store:", err)
	}
	s.Server = nil
}

// Restart stops the server cleanly and starts it on the same data. Its ports are others then.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Shutdown(t)
	s.start(t)
}

// Data returns the store.
func (s *Server) Data() storage.Store { return s.store }

// Domain returns the default domain.
func (s *Server) Domain() string { return s.o.Domains[0] }

// AddUser makes an account if there is none.
func (s *Server) AddUser(t testing.TB, bare jid.JID) {
	t.Helper()
	ctx := context.Background()
	ok, err := s.Accounts().Exists(ctx, bare)
	if err == nil && !ok {
		err = s.Accounts().Create(ctx, bare, Password, false)
	}
	if err != nil {
		t.Fatalf("make account %s: %v", bare, err)
	}
}

// addr returns the address of a listener.
func (s *Server) addr(t testing.TB, key string) string {
	t.Helper()
	a := s.Listeners().Addrs(key)
	if len(a) == 0 {
		t.Fatalf("%s has no address", key)
	}
	return a[0].String()
}

// TLS returns the settings of a client that trusts the server's certificate.
func (s *Server) TLS(domain string, alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: domain, NextProtos: alpn, MinVersion: tls.VersionTLS12}
}

// testLog writes the server's log lines into the test's output.
type testLog struct{ t testing.TB }

func (l *testLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
		l.say(line)
	}
	return len(p), nil
}

// say survives a goroutine that outlives the test: the line is lost then.
func (l *testLog) say(line string) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintln(os.Stderr, line)
		}
	}()
	l.t.Log(line)
}
