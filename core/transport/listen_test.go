package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// serveCounting tells that a connection is served, then how many bytes came.
func serveCounting(got chan<- int) func(context.Context, *Conn) {
	return func(ctx context.Context, c *Conn) {
		got <- 0
		_ = c.ReadLoop(ctx, func(p []byte) (bool, error) {
			got <- len(p)
			return true, nil
		})
	}
}

func echo(ctx context.Context, c *Conn) {
	_ = c.ReadLoop(ctx, func(p []byte) (bool, error) {
		_, err := c.Write(p)
		return true, err
	})
}

func listen(t testing.TB, opts Options, spec Spec) (*Listeners, string) {
	t.Helper()
	l := NewListeners(opts)
	spec.Key, spec.Addrs = "listen.test", []string{"127.0.0.1:0"}
	if err := l.Listen(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := l.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return l, l.Addrs("listen.test")[0].String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func answers(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

func TestListen(t *testing.T) {
	for name, cfg := range map[string]*tls.Config{"plain": nil, "direct TLS": serverConfig()} {
		t.Run(name, func(t *testing.T) {
			l, addr := listen(t, Options{}, Spec{TLS: cfg, Serve: echo})
			c := dial(t, addr)
			if cfg != nil {
				c = tls.Client(c, clientConfig(tls.VersionTLS13))
			}
			if !answers(c) {
				t.Error("no answer")
			}
			if s := l.Stats(); s.Open != 1 || s.Accepted != 1 || s.RefusedPerIP+s.FailedHandshakes+s.AcceptErrors != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A port that is taken: the error names the key and the address, and nothing
// stays open.
func TestListenRefuses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	tests := []struct {
		name, addr string
		want       []string
		err        error
	}{
		{"busy", busy.Addr().String(), []string{"listen.c2s: ", busy.Addr().String(), "already in use by another program"}, syscall.EADDRINUSE},
		{"not ours", "192.0.2.1:0", []string{"listen.c2s: 192.0.2.1:0", "no address of this machine"}, syscall.EADDRNOTAVAIL},
		{"no port", "127.0.0.1", []string{"listen.c2s: ", "127.0.0.1", "missing port"}, nil},
		{"rubbish", "::::", []string{"listen.c2s: ", "::::"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewListeners(Options{})
			err := l.Listen(t.Context(), Spec{Key: "listen.c2s", Addrs: []string{"127.0.0.1:0", tt.addr}, Serve: echo})
			if err == nil {
				t.Fatal("listens")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
			if tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("%v is not %v", err, tt.err)
			}
			if l.Addrs("listen.c2s") != nil {
				t.Error("the other address stayed open")
			}
			if err := l.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	l := NewListeners(Options{})
	_ = l.Stop(t.Context())
	if err := l.Listen(t.Context(), Spec{Key: "listen.c2s", Addrs: []string{"127.0.0.1:0"}, Serve: echo}); err == nil {
		t.Error("listens after Stop")
	}
}

func TestPerIP(t *testing.T) {
	l, addr := listen(t, Options{PerIP: 2}, Spec{Serve: echo})
	first, second := dial(t, addr), dial(t, addr)
	if !answers(first) || !answers(second) {
		t.Fatal("refused within the limit")
	}
	if answers(dial(t, addr)) {
		t.Fatal("a third one")
	}
	_ = first.Close()
	for l.Stats().Open > 1 {
		runtime.Gosched()
	}
	if !answers(dial(t, addr)) {
		t.Error("a place that was given back is not free")
	}
	l.SetPerIP(-1)
	for range 5 {
		if !answers(dial(t, addr)) {
			t.Error("refused without a limit")
		}
	}
	if s := l.Stats(); s.RefusedPerIP != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNetwork(t *testing.T) {
	tests := []struct{ name, a, b string }{
		{"IPv4", "192.0.2.1", "192.0.2.2"},
		{"IPv6 networks", "2001:db8:0:1::1", "2001:db8:0:2::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if network(netip.MustParseAddr(tt.a)) == network(netip.MustParseAddr(tt.b)) {
				t.Error("one peer")
			}
		})
	}
	if network(netip.MustParseAddr("2001:db8::1")) != network(netip.MustParseAddr("2001:db8::2")) {
		t.Error("one IPv6 network is several peers")
	}
	if network(netip.MustParseAddr("fe80::1%eth0")) != network(netip.MustParseAddr("fe80::2%eth1")) {
		t.Error("zones")
	}
	if network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address")
	}
}

// A connection may go on in goroutines of its own after Serve.
func TestServeHandsOver(t *testing.T) {
	_, addr := listen(t, Options{}, Spec{Serve: func(ctx context.Context, c *Conn) {
		c.Go(func() { echo(ctx, c) })
	}})
	c := dial(t, addr)
	for range 2 {
		if !answers(c) {
			t.Fatal("closed with Serve")
		}
	}
}

func TestServeEndsOrPanics(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	serve := map[string]func(context.Context, *Conn){
		"ends":                  func(context.Context, *Conn) {},
		"panics":                func(context.Context, *Conn) { panic("oh") },
		"panics in a goroutine": func(_ context.Context, c *Conn) { c.Go(func() { panic("oh") }) },
	}
	for name, f := range serve {
		t.Run(name, func(t *testing.T) {
			opts := Options{ConnOptions: ConnOptions{Log: slog.New(slog.NewTextHandler(&lockedWriter{mu: &mu, w: &log}, nil))}}
			l, addr := listen(t, opts, Spec{Serve: f})
			c := dial(t, addr)
			if n, _ := io.Copy(io.Discard, c); n != 0 {
				t.Error(n)
			}
			for l.Stats().Open > 0 {
				runtime.Gosched()
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "panic in a connection"); n != 2 || !strings.Contains(log.String(), "listen_test.go") {
		t.Errorf("%d panics logged: %s", n, log.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestStop(t *testing.T) {
	ended := make(chan error, 1)
	l := NewListeners(Options{})
	err := l.Listen(t.Context(), Spec{Key: "k", Addrs: []string{"127.0.0.1:0"}, Serve: func(ctx context.Context, c *Conn) {
		err := c.ReadLoop(ctx, func(p []byte) (bool, error) { _, err := c.Write(p); return true, err })
		_, _ = c.Write([]byte("bye")) // it may say so
		ended <- err
	}})
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addrs("k")[0].String()
	c := dial(t, addr)
	if !answers(c) {
		t.Fatal("no answer")
	}
	if err := l.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if rest, _ := io.ReadAll(c); string(rest) != "bye" {
		t.Errorf("%q", rest)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listens")
	}
}

// What does not end in time is cut.
func TestStopCuts(t *testing.T) {
	l := NewListeners(Options{})
	served := make(chan struct{})
	err := l.Listen(t.Context(), Spec{Key: "k", Addrs: []string{"127.0.0.1:0"}, Serve: func(_ context.Context, c *Conn) {
		close(served)
		_, _ = c.Read(make([]byte, 1)) // does not look at ctx
	}})
	if err != nil {
		t.Fatal(err)
	}
	dial(t, l.Addrs("k")[0].String())
	<-served
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 connections") {
		t.Error(err)
	}
	if l.Stats().Open != 0 {
		t.Error("still open")
	}
}

// failingListener gives errors before it is closed.
type failingListener struct {
	net.Listener
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func (l *failingListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *failingListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *failingListener) Addr() net.Addr { return &net.TCPAddr{} }

// No file descriptors left: it waits longer each time, up to a second, says so
// once, and goes on.
func TestAcceptBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := NewListeners(Options{ConnOptions: ConnOptions{Log: slog.New(slog.NewTextHandler(&log, nil))}})
		nl := &failingListener{errs: make(chan error), closed: make(chan struct{})}
		l.accept.Add(1)
		go l.acceptLoop(nl, Spec{Key: "k", Serve: echo})
		l.mu.Lock()
		l.open["k"] = []net.Listener{nl}
		l.mu.Unlock()
		start := time.Now()
		for range 12 {
			nl.errs <- syscall.EMFILE
		}
		// 5, 10, ... 640 ms and then a second each, before the twelfth was taken.
		if d := time.Since(start); d != 1275*time.Millisecond+3*time.Second {
			t.Errorf("%v for 12 errors", d)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "cannot accept"); n != 1 || l.Stats().AcceptErrors != 12 {
			t.Errorf("%d lines, %d errors", n, l.Stats().AcceptErrors)
		}
	})
}

// Attack 3: connections that are opened and dropped leave nothing behind.
func TestOpenClose(t *testing.T) {
	cycles := 20_000
	if testing.Short() {
		cycles = 2000
	}
	for name, tt := range map[string]struct {
		tls   *tls.Config
		hello string
	}{
		"plain, half a stream":    {nil, "<stream:stream "},
		"TLS, half a ClientHello": {serverConfig(), "\x16\x03\x01\x02\x00\x01\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			l, addr := listen(t, Options{PerIP: -1}, Spec{TLS: tt.tls, Serve: echo})
			goroutines := runtime.NumGoroutine() // with the listener's
			churn(t, addr, tt.hello, 200)        // what is made once
			settle(l, goroutines)
			heap := used()
			for range cycles / 2 / 200 { // in rounds: what the runtime keeps grows with the most goroutines that there were at a time
				churn(t, addr, tt.hello, 200)
				settle(l, goroutines) // else the test does not end
			}
			if now := used(); now > heap+2<<20 {
				t.Errorf("%d bytes, %d before", now, heap)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.conns) != 0 || len(l.perIP) != 0 {
				t.Errorf("%d connections, %d addresses kept", len(l.conns), len(l.perIP))
			}
		})
	}
}

// settle waits until the connections and their goroutines have ended.
func settle(l *Listeners, goroutines int) {
	for l.Stats().Open > 0 || runtime.NumGoroutine() > goroutines {
		runtime.Gosched()
	}
}

// churn opens, sends a little, and resets: that leaves no TIME_WAIT behind.
func churn(t *testing.T, addr, hello string, n int) {
	t.Helper()
	var group sync.WaitGroup
	for range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range n / 16 {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(c, hello)
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}()
	}
	group.Wait()
}
