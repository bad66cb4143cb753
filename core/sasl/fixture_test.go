package sasl

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"
)

// accounts is a CredentialSource; the key is the user name.
type accounts map[string]map[Hash]Credentials

func (a accounts) Lookup(_ context.Context, username string, h Hash) (Credentials, bool, error) {
	c, ok := a[username][h]
	return c, ok, nil
}

func newAccounts(t testing.TB, passwords map[string]string) accounts {
	t.Helper()
	a := accounts{}
	for name, password := range passwords {
		a[name] = map[Hash]Credentials{}
		for _, h := range Hashes() {
			c, err := DeriveCredentials(h, password, NewSalt(), minIterations)
			if err != nil {
				t.Fatal(err)
			}
			a[name][h] = c
		}
	}
	return a
}

var testSecret = []byte("0123456789abcdef")

func newTestServer(t testing.TB, source CredentialSource, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Domain: "example.org", Source: source, Secret: testSecret, Iterations: minIterations, AllowPlain: true}
	for _, f := range change {
		f(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakeChannel is a secure channel that can be bound, without a handshake.
func fakeChannel() Channel {
	return Channel{Secure: true, Version: tls.VersionTLS13, Bindings: []Binding{
		{TLSExporter, []byte("exported keying material, 32 b.")}, {TLSServerEndPoint, []byte("hash of the certificate")},
	}}
}

// run lets a client and an exchange talk until one is through or fails.
func run(c Client, x Exchange) (Identity, error) {
	in, err := c.Start()
	if err != nil {
		return Identity{}, err
	}
	for range 4 {
		reply, err := x.Step(context.Background(), in)
		if err != nil {
			return Identity{}, err
		}
		in, err = c.Next(reply.Data, reply.Done)
		if err != nil {
			return Identity{}, err
		}
		if reply.Done {
			return reply.Identity, nil
		}
	}
	return Identity{}, errors.New("no end")
}

func wantCondition(t *testing.T, err error, want Condition) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Condition != want {
		t.Fatalf("error %v, want condition %s", err, want)
	}
}

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	out, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// handshake makes a real TLS connection in memory and gives both views of it.
func handshake(t testing.TB, cert tls.Certificate, version uint16) (client, server tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true, MaxVersion: version, MinVersion: tls.VersionTLS12})
	s := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState()
}
