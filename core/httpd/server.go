package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// maxSocketPath is the longest path of a unix socket on Linux (sun_path without its NUL).
const maxSocketPath = 107

// Server listens.
type Server struct {
	log   *slog.Logger
	bound bound

	mu      sync.Mutex
	servers []*http.Server
	addrs   map[string][]net.Addr
	wg      sync.WaitGroup
}

// New returns a server that does not listen yet.
func New(log *slog.Logger) *Server { return &Server{log: log, addrs: map[string][]net.Addr{}} }

// Listen serves a handler on addresses (host:port); key names them in errors ("listen.admin"). cfg nil means plain HTTP.
func (s *Server) Listen(ctx context.Context, key string, addrs []string, cfg *tls.Config, h http.Handler) error {
	for _, a := range addrs {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a)
		if err != nil {
			return listenError(key, a, err)
		}
		l = s.bound.listener(l, cfg != nil)
		if cfg != nil {
			l = tls.NewListener(l, cfg)
		}
		s.serve(key, l, s.bound.handler(h))
	}
	return nil
}

func listenError(key, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is already in use by another program; stop it or choose another port", key, addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: %s may not be opened by this user; ports below 1024 need a right", key, addr)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// ListenUnix serves a handler on a unix socket with mode 0600. The socket that a dead process left is replaced: the caller holds the lock of
// the directory.
func (s *Server) ListenUnix(ctx context.Context, key, path string, h http.Handler) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("%s: the socket's path %s has %d bytes and the system allows %d; choose a shorter data_dir", key, path, len(path), maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: cannot replace the old socket: %w", key, err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	// The data directory is 0700 already; the mode says it once more.
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", key, err), l.Close())
	}
	s.serve(key, l, h)
	return nil
}

func (s *Server) serve(key string, l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	s.servers = append(s.servers, srv)
	s.addrs[key] = append(s.addrs[key], l.Addr())
	s.mu.Unlock()
	s.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http listener ended", "listener", key, "error", err)
		}
	})
}

// Addrs returns the addresses that are listened on under a key.
func (s *Server) Addrs(key string) []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addrs[key]
}

// Stop lets requests end until ctx does, then breaks them off.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, srv.Close())
		}
	}
	s.wg.Wait()
	return errors.Join(errs...)
}

// UnixClient returns a client whose every request goes to a unix socket.
func UnixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

// NotListening tells whether a client's error means that nobody listens on the socket.
func NotListening(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
