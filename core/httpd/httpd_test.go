package httpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealthPages(t *testing.T) {
	h := NewHealth()
	var broken error
	h.Check("store", func() error { return broken })
	h.Check("bridges", func() error { return nil })
	h.Expose(func(context.Context) map[string]float64 {
		return map[string]float64{"sessions": 3, `bridge_delivered_total{bridge="demo"}`: 7, `bad{x}`: 1}
	})
	m := &Mux{}
	h.Register(m)
	srv := httptest.NewServer(m)
	defer srv.Close()
	defer srv.Client().CloseIdleConnections()

	if code, body := get(t, srv.Client(), srv.URL+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, body := get(t, srv.Client(), srv.URL+"/readyz"); code != 200 || body != "bridges: ok\nstore: ok\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
	broken = errors.New("the disk is full")
	if code, body := get(t, srv.Client(), srv.URL+"/readyz"); code != 503 || !strings.Contains(body, "store: the disk is full") {
		t.Errorf("readyz of a broken store: %d %q", code, body)
	}
}

func TestMetrics(t *testing.T) {
	h := NewHealth()
	h.Expose(func(context.Context) map[string]float64 {
		return map[string]float64{"sessions": 3, `bridge_delivered_total{bridge="demo"}`: 7}
	})
	m := &Mux{}
	h.Register(m)
	srv := httptest.NewServer(m)
	defer srv.Close()
	defer srv.Client().CloseIdleConnections()
	code, body := get(t, srv.Client(), srv.URL+"/metrics")
	for _, want := range []string{"viaduct_sessions 3", `viaduct_bridge_delivered_total{bridge="demo"} 7`, "# TYPE viaduct_bridge_delivered_total counter", "go_goroutines"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("metrics (%d) lack %q", code, want)
		}
	}
}

// Attacks row 34: every route that is not public refuses a request without credentials, in every spelling of its path.
func TestRoutesNeedCredentials(t *testing.T) {
	m := &Mux{}
	reached := false
	m.Handle("GET /v1/users", Authorised, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	m.Handle("GET /setup/", Public, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv := httptest.NewServer(m)
	defer srv.Close()
	c := srv.Client()
	defer c.CloseIdleConnections()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"/v1/users", "//v1/users", "/setup/../v1/users", "/setup/%2e%2e/v1/users", "/setup/..%2fv1/users", "/v1/users/", "/V1/users", "/v1/./users"} {
		if code, _ := get(t, c, srv.URL+path); code == 200 && !strings.HasPrefix(path, "/setup/") {
			t.Errorf("%s: %d", path, code)
		}
		if reached {
			t.Fatalf("%s reached the handler", path)
		}
	}
	m.Authorise = func(r *http.Request) bool { return r.URL.Query().Get("token") == "made-up" }
	if code, _ := get(t, c, srv.URL+"/v1/users?token=made-up"); code != 200 || !reached {
		t.Errorf("with credentials: %d", code)
	}
	defer func() {
		if recover() == nil {
			t.Error("a route without access was accepted")
		}
	}()
	m.Handle("/x", 0, http.NotFoundHandler())
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "v") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "admin.sock")
	log := slog.New(slog.DiscardHandler)
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, 200, "hello") })

	if _, err := UnixClient(path).Get("http://x.invalid/"); !NotListening(err) {
		t.Errorf("no socket: %v", err)
	}
	for range 2 { // the second finds the socket of the first
		s := New(log)
		if err := s.ListenUnix(t.Context(), "admin.sock", path, hello); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("socket: %v %v", info.Mode(), err)
		}
		if code, body := get(t, UnixClient(path), "http://x.invalid/"); code != 200 || body != "hello" {
			t.Errorf("%d %q", code, body)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	err = New(log).ListenUnix(t.Context(), "admin.sock", filepath.Join(dir, strings.Repeat("x", 120)), hello)
	if err == nil || !strings.Contains(err.Error(), "choose a shorter data_dir") {
		t.Errorf("too long a path: %v", err)
	}
}

func TestBusyPort(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	defer s.Stop(context.WithoutCancel(t.Context())) //nolint:errcheck // a test
	if err := s.Listen(t.Context(), "listen.admin", []string{"127.0.0.1:0"}, nil, http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	addr := s.Addrs("listen.admin")[0].String()
	err := s.Listen(t.Context(), "listen.http", []string{addr}, nil, http.NotFoundHandler())
	if err == nil || err.Error() != "listen.http: "+addr+" is already in use by another program; stop it or choose another port" {
		t.Errorf("error %v", err)
	}
}

func TestHostMeta(t *testing.T) {
	m := &Mux{}
	HostMeta{WebSocket: "wss://example.org:5443/xmpp-websocket"}.Register(m)
	srv := httptest.NewServer(m)
	defer srv.Close()
	defer srv.Client().CloseIdleConnections()
	for path, want := range map[string]string{
		"/.well-known/host-meta": "<?xml version='1.0' encoding='UTF-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>" +
			"<Link rel='urn:xmpp:alt-connections:websocket' href='wss://example.org:5443/xmpp-websocket'/></XRD>",
		"/.well-known/host-meta.json": `{"links":[{"href":"wss://example.org:5443/xmpp-websocket","rel":"urn:xmpp:alt-connections:websocket"}]}`,
	} {
		if code, body := get(t, srv.Client(), srv.URL+path); code != 200 || body != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
