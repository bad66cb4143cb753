package tlscert

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
)

func TestConfig(t *testing.T) {
	ca := newAuthority(t)
	store := open(t, &fixed{certs: []tls.Certificate{ca.issue(t, nil, "example.org")}})
	tests := []struct {
		name     string
		svc      Service
		client   *tls.Config
		ok       bool
		protocol string
	}{
		{"c2s", C2S, &tls.Config{}, true, ""},
		{"c2s, ALPN is not looked at after STARTTLS", C2S, &tls.Config{NextProtos: []string{"xmpp-client"}}, true, ""},
		{"direct with ALPN", C2SDirect, &tls.Config{NextProtos: []string{"xmpp-client"}}, true, "xmpp-client"},
		{"direct without ALPN", C2SDirect, &tls.Config{}, true, ""},
		{"direct with the ALPN of HTTP", C2SDirect, &tls.Config{NextProtos: []string{"http/1.1"}}, false, ""},
		{"direct with the ALPN of servers", C2SDirect, &tls.Config{NextProtos: []string{"xmpp-server"}}, false, ""},
		{"server, direct", S2SDirect, &tls.Config{NextProtos: []string{"xmpp-server"}}, true, "xmpp-server"},
		{"https", HTTPS, &tls.Config{NextProtos: []string{"h2"}}, true, "h2"},
		{"TLS 1.2", C2S, &tls.Config{MaxVersion: tls.VersionTLS12}, true, ""},
		{"TLS 1.1", C2S, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false, ""},
		{"TLS 1.2 without forward secrecy", C2S, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false, ""},
		{"X25519 only", C2S, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := tt.client.Clone()
			client.ServerName, client.RootCAs = "example.org", ca.pool()
			state, cerr, serr := shake(t, client, store.Config(tt.svc))
			if (cerr == nil && serr == nil) != tt.ok || state.NegotiatedProtocol != tt.protocol {
				t.Errorf("client %v, server %v, protocol %q", cerr, serr, state.NegotiatedProtocol)
			}
		})
	}
	if !store.Config(C2S).SessionTicketsDisabled || store.Config(HTTPS).SessionTicketsDisabled {
		t.Error("tickets")
	}
}

// A server stream takes a certificate without the client usage and without a
// known root: the decision is the verifier's (attack 19).
func TestServerStreamCertificates(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	here := open(t, &fixed{certs: []tls.Certificate{ca.issue(t, nil, "here.test")}})
	for name, issuer := range map[string]authority{"known root": ca, "foreign root": foreign} {
		for _, direct := range []bool{false, true} {
			there := open(t, &fixed{certs: []tls.Certificate{issuer.issue(t, nil, "there.test")}})
			svc := S2S
			if direct {
				svc = S2SDirect
			}
			var seen []*x509.Certificate
			cfg := here.Config(svc)
			cfg.VerifyConnection = func(cs tls.ConnectionState) error { seen = cs.PeerCertificates; return nil }
			state, cerr, serr := shake(t, there.Outgoing("there.test", "here.test", direct), cfg)
			if cerr != nil || serr != nil {
				t.Fatalf("%s: %v, %v", name, cerr, serr)
			}
			v := Verifier{Roots: ca.pool()}
			if err := v.Verify(state.PeerCertificates, "here.test", "xmpp-server"); err != nil {
				t.Error(err)
			}
			if err := v.Verify(seen, "there.test", "xmpp-server"); (err == nil) != (name == "known root") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

type recordingConn struct {
	net.Conn
	leaf *x509.Certificate
}

func (c *recordingConn) ServedLeaf(leaf *x509.Certificate) { c.leaf = leaf }

func TestRecorder(t *testing.T) {
	ca := newAuthority(t)
	store := open(t, &fixed{certs: []tls.Certificate{ca.issue(t, nil, "a.test"), ca.issue(t, nil, "b.test")}})
	conn := &recordingConn{}
	got, err := store.GetCertificate(&tls.ClientHelloInfo{ServerName: "b.test", Conn: conn})
	if err != nil || conn.leaf == nil || conn.leaf != got.Leaf || conn.leaf.DNSNames[0] != "b.test" {
		t.Errorf("%v, %v", conn.leaf, err)
	}
}
