package websocket

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ws "github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a handler whose streams are played by the test.
type rig struct {
	t     *testing.T
	url   string
	conns chan *transport.Conn
	heard chan string // what the stream's side read, in pieces; closed at its end
}

func newRig(t *testing.T, tls bool) (*rig, *http.Client) {
	t.Helper()
	r := &rig{t: t, conns: make(chan *transport.Conn, 1), heard: make(chan string, 100)}
	l := transport.NewListeners(transport.Options{})
	serve := func(ctx context.Context, c *transport.Conn) {
		defer close(r.heard)
		r.conns <- c
		_ = c.ReadLoop(ctx, func(p []byte) (bool, error) { r.heard <- string(p); return true, nil })
		_ = c.Close()
	}
	h := Handler(Options{Carry: l.Carry, Serve: serve, Limits: xmlstream.C2S})
	srv := httptest.NewUnstartedServer(h)
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	r.url = srv.URL + Path
	t.Cleanup(func() {
		if err := l.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		srv.Client().CloseIdleConnections()
		srv.Close()
	})
	return r, srv.Client()
}

func (r *rig) dial(c *http.Client, o ws.DialOptions) (*ws.Conn, *http.Response, error) {
	o.HTTPClient = c
	conn, resp, err := ws.Dial(r.t.Context(), r.url, &o) //nolint:bodyclose // the library's contract: it need not be closed
	if err == nil {
		r.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, resp, err
}

func (r *rig) connect() (*ws.Conn, *transport.Conn) {
	r.t.Helper()
	conn, _, err := r.dial(http.DefaultClient, ws.DialOptions{Subprotocols: []string{"xmpp"}}) //nolint:bodyclose // see dial
	if err != nil {
		r.t.Fatal(err)
	}
	return conn, <-r.conns
}

func send(t *testing.T, c *ws.Conn, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := c.Write(t.Context(), ws.MessageText, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
}

func frame(t *testing.T, c *ws.Conn) string {
	t.Helper()
	kind, p, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kind != ws.MessageText {
		t.Fatalf("a frame of kind %v", kind)
	}
	return string(p)
}

func (r *rig) hears(want string) {
	r.t.Helper()
	got := ""
	for len(got) < len(want) {
		p, ok := <-r.heard
		if !ok {
			break
		}
		got += p
	}
	if got != want {
		r.t.Errorf("the stream hears %q, not %q", got, want)
	}
}

const (
	open   = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>"
	header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>"
)

// TestBothWays: RFC 7395 §3.3.2 to §3.6.
func TestBothWays(t *testing.T) {
	r, _ := newRig(t, false)
	c, conn := r.connect()
	if !conn.Secure() {
		t.Error("a connection through this machine's proxy is not taken for secure")
	}
	send(t, c, open)
	r.hears(header)
	// The answer comes in pieces that have nothing to do with elements.
	answer := strings.Replace(header, " to=", " from=", 1) + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
	for _, p := range []string{answer[:30], answer[30:190], answer[190:]} {
		if _, err := conn.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.org' version='1.0'/>",
		"<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
	} {
		if got := frame(t, c); got != want {
			t.Errorf("frame %q, not %q", got, want)
		}
	}
	if _, err := conn.Write([]byte("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" + header + "<message to='a@b'><body>&lt;hi</body></message>")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
		"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>",
		"<message xmlns='jabber:client' to='a@b'><body>&lt;hi</body></message>",
	} {
		if got := frame(t, c); got != want {
			t.Errorf("frame %q, not %q", got, want)
		}
	}
	// What is longer than may be said before a login passes now; a client's prefixes do not.
	long := strings.Repeat("x", xmlstream.PreAuth.MaxBytes)
	send(t, c, "<c:message xmlns:c='jabber:client'><c:body>"+long+"</c:body></c:message>")
	r.hears("<message><body>" + long + "</body></message>")
	send(t, c, "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
	r.hears("</stream:stream>")
	if _, err := conn.Write([]byte("</stream:stream>")); err != nil {
		t.Fatal(err)
	}
	if got := frame(t, c); got != "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>" {
		t.Errorf("the end is %q", got)
	}
	_ = c.Close(ws.StatusNormalClosure, "")
	if p, more := <-r.heard; more {
		t.Errorf("after the end came %q", p)
	}
}

// TestRefused: each of these ends the stream with an error inside a stream (attacks rows 1, 2 and 4).
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		kind      ws.MessageType
		frame     string
		condition string
	}{
		"two elements":     {ws.MessageText, open + "<a/>", "not-well-formed"},
		"half an element":  {ws.MessageText, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'>", "not-well-formed"},
		"white space":      {ws.MessageText, " ", "not-well-formed"},
		"an entity":        {ws.MessageText, "<a>&b;</a>", "restricted-xml"},
		"a comment":        {ws.MessageText, "<a><!-- --></a>", "restricted-xml"},
		"a binary frame":   {ws.MessageBinary, open, "unsupported-stanza-type"},
		"a large frame":    {ws.MessageText, "<a>" + strings.Repeat("x", 2*xmlstream.PreAuth.MaxBytes) + "</a>", "policy-violation"},
		"broken character": {ws.MessageText, "<a>\x01</a>", "not-well-formed"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRig(t, false)
			c, _ := r.connect()
			if err := c.Write(t.Context(), tt.kind, []byte(tt.frame)); err != nil {
				t.Fatal(err)
			}
			if got := frame(t, c); !strings.HasPrefix(got, "<open ") {
				t.Errorf("first comes %q", got)
			}
			if got := frame(t, c); !strings.Contains(got, "<"+tt.condition+" ") || !strings.HasPrefix(got, "<stream:error xmlns:stream=") {
				t.Errorf("the error is %q", got)
			}
			if got := frame(t, c); !strings.HasPrefix(got, "<close ") {
				t.Errorf("last comes %q", got)
			}
			_ = c.CloseNow()
			if p, more := <-r.heard; more {
				t.Errorf("the stream hears %q", p)
			}
		})
	}
}

// TestKeepAlive: white space is a ping and no frame, and a client that is gone is found by it.
func TestKeepAlive(t *testing.T) {
	r, _ := newRig(t, false)
	pinged := make(chan struct{}, 1)
	c, _, err := r.dial(http.DefaultClient, ws.DialOptions{Subprotocols: []string{"xmpp"}, OnPingReceived: func(context.Context, []byte) bool { //nolint:bodyclose // see dial
		pinged <- struct{}{}
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn := <-r.conns
	if _, err := conn.Write([]byte(header)); err != nil {
		t.Fatal(err)
	}
	frame(t, c)
	if _, err := conn.Write([]byte(" ")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := c.Read(context.Background())
		ended <- err
	}()
	<-pinged
	_ = conn.Close()
	if err := <-ended; err == nil {
		t.Error("white space came as a frame")
	}
}

// TestRequests that are none of ours get a status and words.
func TestRequests(t *testing.T) {
	r, client := newRig(t, false)
	resp, err := client.Get(r.url)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired || !bytes.Contains(body, []byte("RFC 7395")) {
		t.Errorf("a page is %d %q", resp.StatusCode, body)
	}
	_, resp, err = r.dial(client, ws.DialOptions{Subprotocols: []string{"chat"}}) //nolint:bodyclose // see dial
	if err == nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another subprotocol: %v, %v", resp, err)
	}
	// Any origin may connect: nothing that a browser adds counts for anything.
	c, _, err := r.dial(client, ws.DialOptions{Subprotocols: []string{"other", "xmpp"}, HTTPHeader: http.Header{"Origin": {"https://chat.example.com"}}}) //nolint:bodyclose // see dial
	if err != nil || c.Subprotocol() != "xmpp" {
		t.Errorf("another origin: %v", err)
	}
	<-r.conns
}

// TestTLS: the channel of the carrier binds the login.
func TestTLS(t *testing.T) {
	r, client := newRig(t, true)
	_, _, err := r.dial(client, ws.DialOptions{Subprotocols: []string{"xmpp"}}) //nolint:bodyclose // see dial
	if err != nil {
		t.Fatal(err)
	}
	conn := <-r.conns
	state, ok := conn.ConnectionState()
	want, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if !ok || err != nil {
		t.Fatal("no TLS state", err)
	}
	if got, ok := conn.ChannelBinding("tls-exporter"); !ok || !bytes.Equal(got, want) {
		t.Error("the binding is not that of the connection")
	}
}

// TestRemote: whom a proxy names.
func TestRemote(t *testing.T) {
	for name, tt := range map[string]struct {
		from, forwarded, want string
	}{
		"direct":               {"203.0.113.7:4000", "", "203.0.113.7:4000"},
		"direct, and it lies":  {"203.0.113.7:4000", "198.51.100.1", "203.0.113.7:4000"},
		"through a proxy":      {"127.0.0.1:4000", "198.51.100.1", "198.51.100.1:0"},
		"a chain":              {"[::1]:4000", "10.0.0.1, 198.51.100.1", "198.51.100.1:0"},
		"nonsense":             {"127.0.0.1:4000", "nobody", "127.0.0.1:4000"},
		"an IPv4 in IPv6":      {"[::ffff:127.0.0.1]:4000", "2001:db8::1", "[2001:db8::1]:0"},
		"an IPv4 in IPv6 only": {"[::ffff:203.0.113.7]:4000", "", "203.0.113.7:4000"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, Path, nil)
			req.RemoteAddr = tt.from
			if tt.forwarded != "" {
				req.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			if got := remote(req).String(); got != tt.want {
				t.Errorf("%s, not %s", got, tt.want)
			}
		})
	}
}

// TestNoTLS: without TLS only a proxy is served, which is near.
func TestNoTLS(t *testing.T) {
	for from, want := range map[string]int{
		"203.0.113.7:4000":          http.StatusForbidden,
		"[2001:db8::7]:4000":        http.StatusForbidden,
		"[::ffff:203.0.113.7]:4000": http.StatusForbidden,
		"nobody":                    http.StatusForbidden,
		// These go on to the next check, of the subprotocol.
		"127.0.0.1:4000":         http.StatusBadRequest,
		"[::1]:4000":             http.StatusBadRequest,
		"[::ffff:10.1.2.3]:4000": http.StatusBadRequest,
		"172.17.0.1:4000":        http.StatusBadRequest,
		"100.64.0.1:4000":        http.StatusBadRequest,
		"[fd00::1]:4000":         http.StatusBadRequest,
	} {
		t.Run(from, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, Path, nil)
			req.RemoteAddr = from
			req.Header.Set("Upgrade", "websocket")
			req.Header.Set("X-Forwarded-For", "127.0.0.1")
			w := httptest.NewRecorder()
			Handler(Options{}).ServeHTTP(w, req)
			if w.Code != want {
				t.Errorf("%d, not %d", w.Code, want)
			}
		})
	}
}

// TestDeadline: a reader whose time is up ends, and the connection with it.
func TestDeadline(t *testing.T) {
	r, _ := newRig(t, false)
	_, conn := r.connect()
	conn.SetReadDeadline(time.Unix(1, 0))
	for range r.heard { //nolint:revive // until the reader has ended
	}
	if _, err := conn.Write([]byte(header)); err == nil {
		t.Error("the connection is still there")
	}
}
