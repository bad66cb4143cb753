package httpd

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// callers is a listener to which connections come from made-up addresses.
type callers struct {
	net.Listener
	from []string
}

type call struct {
	net.Conn
	from   string
	closed bool
}

func (c *call) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 5000}
}
func (c *call) Close() error { c.closed = true; return nil }

func (l *callers) Accept() (net.Conn, error) {
	if len(l.from) == 0 {
		return nil, errors.New("nobody calls any more")
	}
	c := &call{from: l.from[0]}
	l.from = l.from[1:]
	return c, nil
}

// Attacks row 26: one address has so many connections; those of a proxy are everybody's.
func TestConnectionsPerAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		secure bool
		limit  int
		from   []string
		want   int // are accepted
	}{
		{"three of one", true, 2, []string{"203.0.113.1", "203.0.113.1", "203.0.113.1"}, 2},
		{"of different ones", true, 2, []string{"203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.2"}, 4},
		{"of one IPv6 network", true, 2, []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"}, 3},
		{"written in two ways", true, 1, []string{"203.0.113.1", "::ffff:203.0.113.1"}, 1},
		{"of this machine", true, 1, []string{"127.0.0.1", "127.0.0.1", "::1", "::1"}, 4},
		{"of a private network, directly", true, 1, []string{"10.0.0.1", "10.0.0.1"}, 1},
		{"of a private network, where proxies are", false, 1, []string{"10.0.0.1", "10.0.0.1", "172.17.0.2", "172.17.0.2"}, 4},
		{"without TLS", false, 1, []string{"203.0.113.1", "203.0.113.1"}, 1},
		{"without a limit", true, 0, []string{"203.0.113.1", "203.0.113.1"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(slog.New(slog.DiscardHandler))
			s.SetPerIP(c.limit)
			l := s.bound.listener(&callers{from: c.from}, c.secure)
			var accepted []net.Conn
			for {
				conn, err := l.Accept()
				if err != nil {
					break
				}
				accepted = append(accepted, conn)
			}
			if len(accepted) != c.want {
				t.Errorf("%d are accepted", len(accepted))
			}
			for _, conn := range accepted {
				_, _ = conn.Close(), conn.Close() // twice is once
			}
			if len(s.bound.has) != 0 {
				t.Errorf("at the end there are %v", s.bound.has)
			}
		})
	}
}

// What a proxy on this machine passes on counts for whom it names last; what somebody else says of that is not believed.
func TestRequestsThroughProxy(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	s.SetPerIP(1)
	entered, leave := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(s.bound.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-leave
		}
	})))
	defer srv.Close()
	ask := func(path, forwarded string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	done := make(chan struct{})
	go func() { defer close(done); ask("/slow", "198.51.100.1, 203.0.113.1") }()
	<-entered
	for _, c := range []struct {
		forwarded string
		want      int
	}{
		{"203.0.113.1", 429}, {"1.2.3.4, 203.0.113.1", 429}, {"203.0.113.2", 200}, {"203.0.113.1, 203.0.113.3", 200}, {"", 200}, {"nonsense", 200}, {"127.0.0.1", 200},
	} {
		if got := ask("/", c.forwarded); got != c.want {
			t.Errorf("for %q: %d", c.forwarded, got)
		}
	}
	close(leave)
	<-done
	if got := ask("/", "203.0.113.1"); got != 200 {
		t.Errorf("afterwards: %d", got)
	}
	srv.Client().CloseIdleConnections()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "203.0.113.9:1"
	r.Header.Set("X-Forwarded-For", "203.0.113.1")
	if from, passedOn := Peer(r); passedOn || from.Addr().String() != "203.0.113.9" {
		t.Errorf("somebody says that she is %s", from)
	}
}
