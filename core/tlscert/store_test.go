package tlscert

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fixed is a Source of given certificates, or of an error.
type fixed struct {
	mu    sync.Mutex
	certs []tls.Certificate
	err   error
}

func (f *fixed) Load(context.Context, []string) ([]tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.certs, f.err
}

func (f *fixed) set(certs []tls.Certificate, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.certs, f.err = certs, err
}

func open(t *testing.T, src Source, names ...string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Source: src, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChoose(t *testing.T) {
	ca := newAuthority(t)
	src := &fixed{certs: []tls.Certificate{
		ca.issue(t, nil, "default.test"), ca.issue(t, nil, "example.org", "*.example.org"), ca.issue(t, nil, "Rooms.Example.org"),
	}}
	store := open(t, src)
	tests := []struct {
		name, sni string
		want      int
	}{
		{"none", "", 0},
		{"unknown", "example.com", 0},
		{"exact", "example.org", 1},
		{"upper case", "EXAMPLE.ORG", 1},
		{"wildcard", "upload.example.org", 1},
		{"wildcard is one label", "a.b.example.org", 0},
		{"exact before wildcard", "rooms.example.org", 2},
		{"the pattern itself", "*.example.org", 1},
		{"only a dot", ".", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := store.GetCertificate(&tls.ClientHelloInfo{ServerName: tt.sni})
			if err != nil || !bytes.Equal(got.Certificate[0], src.certs[tt.want].Certificate[0]) {
				t.Errorf("%v, %v", got.Leaf.DNSNames, err)
			}
		})
	}
}

// Two certificates for one name: a client gets the one it can verify.
func TestChooseByAlgorithm(t *testing.T) {
	ca := newAuthority(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, &fixed{certs: []tls.Certificate{ca.issue(t, nil, "example.org"), ca.issueFor(t, key, nil, "example.org")}})
	for name, suite := range map[string]uint16{"ECDSA": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "RSA": tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256} {
		client := &tls.Config{ServerName: "example.org", RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}
		state, cerr, serr := shake(t, client, store.Config(C2S))
		if cerr != nil || serr != nil || state.PeerCertificates[0].PublicKeyAlgorithm.String() != name {
			t.Errorf("%s: %v %v", name, cerr, serr)
		}
	}
}

func TestReload(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	pair := writePair(t, dir, ca.issue(t, nil, "example.org"))
	store := open(t, Files{pair})
	serves := func() string {
		return store.Certificate("example.org").Leaf.SerialNumber.String() + store.Certificate("example.org").Leaf.DNSNames[0]
	}
	was := serves()
	if changed, err := store.Reload(t.Context()); changed || err != nil {
		t.Errorf("the same files: %v, %v", changed, err)
	}
	good := ca.issue(t, nil, "new.example.org")
	expired := ca.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}, "late.example.org")
	early := ca.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, "early.example.org")
	mixed := good
	mixed.PrivateKey = expired.PrivateKey
	for name, tt := range map[string]struct {
		do   func()
		want string // in the error
	}{
		"expired":                   {func() { writePair(t, dir, expired) }, "the old one stays"},
		"not valid yet":             {func() { writePair(t, dir, early) }, "the old one stays"},
		"the key of another":        {func() { writePair(t, dir, mixed) }, "does not match"},
		"rubbish":                   {func() { write(t, pair.CertFile, []byte("rubbish")) }, pair.CertFile},
		"a cut file":                {func() { write(t, pair.CertFile, []byte("-----BEGIN CERTIFICATE-----\nMIIB")) }, pair.CertFile},
		"an empty key":              {func() { writePair(t, dir, good); write(t, pair.KeyFile, nil) }, pair.KeyFile},
		"a certificate for a key":   {func() { writePair(t, dir, good); copyFile(t, pair.KeyFile, pair.CertFile) }, pair.CertFile},
		"a directory for a file is": {func() { store.opts.Source = Files{{dir, pair.KeyFile}} }, "tls.cert"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.do()
			changed, err := store.Reload(t.Context())
			if changed || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v", changed, err)
			}
			if serves() != was {
				t.Error("the old one did not stay")
			}
			store.opts.Source = Files{pair}
		})
	}
	writePair(t, dir, good)
	if changed, err := store.Reload(t.Context()); !changed || err != nil || serves() == was {
		t.Errorf("the new one: %v, %v", changed, err)
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	c, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, c)
}

func TestOpenRefuses(t *testing.T) {
	ca := newAuthority(t)
	noLeaf := ca.issue(t, nil, "example.org")
	noLeaf.Leaf = nil
	for name, opts := range map[string]Options{
		"no source":       {},
		"no files":        {Source: Files{}},
		"files not there": {Source: Files{{"/nonexistent/cert", "/nonexistent/key"}}},
		"no certificate":  {Source: &fixed{}},
		"no leaf":         {Source: &fixed{certs: []tls.Certificate{noLeaf}}},
		"a failing one":   {Source: &fixed{err: errors.New("x")}},
		"a bad name":      {Source: &fixed{certs: []tls.Certificate{ca.issue(t, nil, "a")}}, Names: []string{"a..b "}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(t.Context(), opts); err == nil {
				t.Error("opened")
			}
		})
	}
}

// At start an expired certificate is served, and said to be.
func TestExpiredAtStart(t *testing.T) {
	ca := newAuthority(t)
	now := time.Now()
	cert := ca.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-100*time.Hour), now.Add(100*time.Hour) }, "example.org")
	for name, tt := range map[string]struct {
		at      time.Duration
		problem string
		missing bool
	}{
		"early":   {-101 * time.Hour, "not valid yet", true},
		"good":    {-99 * time.Hour, "", false},
		"soon":    {0, "within a week", false},
		"expired": {101 * time.Hour, "has expired", true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), Options{Source: &fixed{certs: []tls.Certificate{cert}}, Clock: func() time.Time { return now.Add(tt.at) }})
			if err != nil {
				t.Fatal(err)
			}
			if p := s.Status()[0].Problem; !strings.Contains(p, tt.problem) || (p == "") != (tt.problem == "") {
				t.Errorf("%q", p)
			}
			if missing := s.Missing([]string{"example.org"}); (missing != nil) != tt.missing {
				t.Errorf("missing %v", missing)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	ca := newAuthority(t)
	cn := ca.issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName = "common.example.org"
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}, "example.org", "*.Rooms.example.org", "xn--bcher-kva.example")
	store := open(t, &fixed{certs: []tls.Certificate{cn, ca.issue(t, nil, "second.test")}})
	ask := []string{
		"example.org", "Example.ORG.", "a.rooms.example.org", "rooms.example.org", "a.b.rooms.example.org", "common.example.org",
		"Bücher.example", "second.test", "127.0.0.1", "127.0.0.2", "", "*.rooms.example.org",
	}
	want := []string{"rooms.example.org", "a.b.rooms.example.org", "common.example.org", "127.0.0.2", "", "*.rooms.example.org"}
	if d := cmp.Diff(want, store.Missing(ask)); d != "" {
		t.Error(d)
	}
}

func TestSetNames(t *testing.T) {
	store := open(t, SelfSigned{Dir: t.TempDir()}, "example.org")
	if changed, err := store.SetNames(t.Context(), []string{"example.org", "rooms.slack.example.org"}); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if m := store.Missing([]string{"example.org", "rooms.slack.example.org"}); m != nil {
		t.Error(m)
	}
	if _, err := store.SetNames(t.Context(), []string{"."}); err == nil {
		t.Error("a bad list was taken")
	}
	if changed, err := store.Reload(t.Context()); changed || err != nil {
		t.Error("the bad list stayed", changed, err)
	}
}

func TestRun(t *testing.T) {
	ca := newAuthority(t)
	first, second := ca.issue(t, nil, "example.org"), ca.issue(t, nil, "example.org")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		src := &fixed{certs: []tls.Certificate{first}}
		clock := func() time.Time { return first.Leaf.NotBefore.Add(time.Minute) }
		store, err := Open(t.Context(), Options{Source: src, Clock: clock, Every: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); store.Run(ctx) }()
		after := func(d time.Duration, change func()) *tls.Certificate {
			change()
			time.Sleep(d) // the clock of the bubble
			synctest.Wait()
			return store.Certificate("example.org")
		}
		if c := after(59*time.Minute, func() { src.set([]tls.Certificate{second}, nil) }); !bytes.Equal(c.Certificate[0], first.Certificate[0]) {
			t.Error("reloaded too early")
		}
		if c := after(2*time.Minute, func() {}); !bytes.Equal(c.Certificate[0], second.Certificate[0]) {
			t.Error("not reloaded")
		}
		if c := after(time.Hour, func() { src.set(nil, errors.New("disk full")) }); !bytes.Equal(c.Certificate[0], second.Certificate[0]) {
			t.Error("the old one did not stay")
		}
		cancel()
		<-done
		if s := log.String(); strings.Count(s, "reloaded certificates") != 1 || !strings.Contains(s, "disk full") {
			t.Error(s)
		}
	})
}
