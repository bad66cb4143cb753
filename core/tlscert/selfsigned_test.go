package tlscert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var testHosts = []string{"example.org", "rooms.example.org", "matrix.example.org", "rooms.matrix.example.org"}

func loadOne(t *testing.T, s SelfSigned, names ...string) tls.Certificate {
	t.Helper()
	certs, err := s.Load(t.Context(), names)
	if err != nil || len(certs) != 1 {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	return certs[0]
}

func caPool(t *testing.T, s SelfSigned) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the file for people")
	}
	if bytes.Contains(text, []byte("PRIVATE")) {
		t.Fatal("a key in the file for people")
	}
	return pool
}

// A client that trusts the authority gets through to each host of the server.
func TestSelfSignedHandshake(t *testing.T) {
	src := SelfSigned{Dir: filepath.Join(t.TempDir(), "tls")}
	hosts := append([]string{"localhost", "rooms.localhost"}, testHosts...)
	store, err := Open(t.Context(), Options{Source: src, Names: hosts})
	if err != nil {
		t.Fatal(err)
	}
	if m := store.Missing(append(hosts, "upload.example.org", "any.matrix.example.org", "127.0.0.1", "::1")); m != nil {
		t.Errorf("missing %v", m)
	}
	if m := store.Missing([]string{"example.com", "a.b.example.org", "10.0.0.1"}); len(m) != 3 {
		t.Errorf("missing only %v", m)
	}
	pool := caPool(t, src)
	for _, host := range append(hosts, "upload.example.org", "demo.localhost", "127.0.0.1") {
		t.Run(host, func(t *testing.T) {
			state, cerr, serr := shake(t, &tls.Config{ServerName: host, RootCAs: pool}, store.Config(C2S))
			if cerr != nil || serr != nil {
				t.Fatal(cerr, serr)
			}
			if state.Version != tls.VersionTLS13 {
				t.Errorf("version %x", state.Version)
			}
		})
	}
	_, cerr, _ := shake(t, &tls.Config{ServerName: "example.com", RootCAs: pool}, store.Config(C2S))
	if cerr == nil {
		t.Error("it stands for a foreign host")
	}
	if st := store.Status(); len(st) != 1 || !st[0].SelfSigned || st[0].Problem != "" {
		t.Errorf("%+v", st)
	}
}

func TestSelfSignedStays(t *testing.T) {
	now := time.Now()
	src := SelfSigned{Dir: filepath.Join(t.TempDir(), "tls"), Clock: func() time.Time { return now }}
	first := loadOne(t, src, "example.org")
	keyOf := func(c tls.Certificate) []byte { return c.Leaf.RawSubjectPublicKeyInfo }
	caOf := func(c tls.Certificate) []byte { return c.Certificate[1] }

	tests := []struct {
		name                      string
		prepare                   func()
		names                     []string
		sameLeaf, sameKey, sameCA bool
	}{
		{"again", func() {}, []string{"example.org"}, true, true, true},
		{"a name below the wildcard, still written out", func() {}, []string{"example.org", "matrix.example.org"}, false, true, true},
		{"fewer names", func() {}, []string{"example.org"}, true, true, true},
		{"31 days before the end", func() { now = now.Add(leafLife - 31*24*time.Hour) }, []string{"example.org"}, true, true, true},
		{"29 days before the end", func() { now = now.Add(2 * 24 * time.Hour) }, []string{"example.org"}, false, true, true},
		{"another domain", func() {}, []string{"example.org", "other.test"}, false, true, false},
		{"near the authority's end", func() { now = now.Add(caLife - leafLife + time.Hour) }, []string{"example.org"}, false, true, false},
		{"a damaged leaf", func() { write(t, filepath.Join(src.Dir, leafFile), []byte("rubbish")) }, []string{"example.org"}, false, false, true},
		{"a damaged authority", func() { write(t, filepath.Join(src.Dir, caFile), []byte("rubbish")) }, []string{"example.org"}, false, true, false},
		{"a lost file for people", func() { _ = os.Remove(src.CAFile()) }, []string{"example.org"}, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.prepare()
			next := loadOne(t, src, tt.names...)
			if got := bytes.Equal(first.Certificate[0], next.Certificate[0]); got != tt.sameLeaf {
				t.Errorf("same leaf: %v", got)
			}
			if got := bytes.Equal(keyOf(first), keyOf(next)); got != tt.sameKey {
				t.Errorf("same key: %v", got)
			}
			if got := bytes.Equal(caOf(first), caOf(next)); got != tt.sameCA {
				t.Errorf("same authority: %v", got)
			}
			err := Verifier{Roots: caPool(t, src), Clock: src.Clock}.Verify(parse(t, next), tt.names[len(tt.names)-1], "xmpp-server")
			if err != nil {
				t.Error(err)
			}
			first = next
		})
	}
}

func parse(t *testing.T, c tls.Certificate) []*x509.Certificate {
	t.Helper()
	var chain []*x509.Certificate
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return chain
}

func TestSelfSignedModes(t *testing.T) {
	src := SelfSigned{Dir: filepath.Join(t.TempDir(), "a", "tls")}
	loadOne(t, src, "example.org")
	for name, want := range map[string]os.FileMode{"": 0o700, caFile: 0o600, leafFile: 0o600, caCertFile: 0o644} {
		info, err := os.Stat(filepath.Join(src.Dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	entries, _ := os.ReadDir(src.Dir)
	if len(entries) != 3 {
		t.Errorf("left over: %v", entries)
	}
}

func TestSelfSignedRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), nil)
	if err := os.Mkdir(filepath.Join(dir, leafFile), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		src   SelfSigned
		hosts []string
	}{
		{"no names", SelfSigned{Dir: filepath.Join(dir, "x")}, nil},
		{"no host name", SelfSigned{Dir: filepath.Join(dir, "x")}, []string{"."}},
		{"a file in the way of the directory", SelfSigned{Dir: filepath.Join(dir, "file")}, []string{"example.org"}},
		{"a directory in the way of the file", SelfSigned{Dir: dir}, []string{"example.org"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.src.Load(t.Context(), tt.hosts); err == nil {
				t.Error("no error")
			}
		})
	}
}

// The authority a person imports can vouch for this server's names only.
func TestAuthorityIsLimited(t *testing.T) {
	src := SelfSigned{Dir: filepath.Join(t.TempDir(), "tls")}
	loadOne(t, src, "example.org")
	ca, err := src.read(caFile)
	if err != nil || ca == nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{"example.org": true, "a.b.example.org": true, "example.com": false, "badexample.org": false, "127.0.0.1": false} {
		t.Run(name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
			template.DNSNames, template.IPAddresses = splitNames([]string{name})
			leaf := sign(t, template, ca.Leaf, key.Public(), ca.PrivateKey.(*ecdsa.PrivateKey))
			_, err = leaf.Verify(x509.VerifyOptions{Roots: caPool(t, src), DNSName: name})
			if (err == nil) != good {
				t.Errorf("%v", err)
			}
		})
	}
}
