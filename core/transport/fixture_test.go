package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if runAsClients() {
		return
	}
	goleak.VerifyTestMain(m)
}

var (
	serverCert = sync.OnceValue(func() tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), DNSNames: []string{"example.org"},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), // also for the clock of synctest
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	})
	versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}
)

func serverConfig() *tls.Config {
	cert := serverCert()
	return &tls.Config{
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if r, ok := h.Conn.(interface{ ServedLeaf(*x509.Certificate) }); ok {
				r.ServedLeaf(cert.Leaf)
			}
			return &cert, nil
		},
	}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MaxVersion: version, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}

// socketPair gives both ends of a TCP connection.
func socketPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nl.Close() }()
	there, err = net.Dial("tcp", nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err = nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return here, there
}

// gate holds back what is written through it, so that a test decides how it is
// cut into segments.
type gate struct {
	net.Conn
	held bytes.Buffer
	shut bool
}

func (g *gate) Write(p []byte) (int, error) {
	if g.shut {
		return g.held.Write(p)
	}
	return g.Conn.Write(p)
}

// hold runs f and gives what it wrote, unsent.
func (g *gate) hold(f func()) []byte {
	g.shut = true
	f()
	g.shut = false
	out := bytes.Clone(g.held.Bytes())
	g.held.Reset()
	return out
}

// tlsPair gives a server Conn after its handshake, the client's TLS and its gate.
func tlsPair(t testing.TB, version uint16, opts ConnOptions) (*Conn, *tls.Conn, *gate) {
	t.Helper()
	here, there := socketPair(t)
	return handshakePair(t, here, there, version, opts)
}

func handshakePair(t testing.TB, here, there net.Conn, version uint16, opts ConnOptions) (*Conn, *tls.Conn, *gate) {
	t.Helper()
	c, g := NewConn(here, opts), &gate{Conn: there}
	client := tls.Client(g, clientConfig(version))
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := c.Handshake(t.Context(), Server, serverConfig()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	return c, client, g
}

// fed runs the ReadLoop of c and gives what it fed, piece by piece. The error of
// the loop comes on the second channel.
func fed(t testing.TB, c *Conn) (<-chan string, <-chan error) {
	t.Helper()
	pieces, end := make(chan string, 1000), make(chan error, 1)
	go func() {
		end <- c.ReadLoop(t.Context(), func(p []byte) (bool, error) {
			pieces <- string(p)
			return true, nil
		})
	}()
	t.Cleanup(c.Abort)
	return pieces, end
}

// collect reads pieces until they are n bytes.
func collect(t testing.TB, pieces <-chan string, n int) string {
	t.Helper()
	var all []byte
	for len(all) < n {
		select {
		case p := <-pieces:
			all = append(all, p...)
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d bytes came", len(all), n)
		}
	}
	return string(all)
}
