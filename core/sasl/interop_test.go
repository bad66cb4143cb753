package sasl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
	msasl "mellium.im/sasl"
)

const interopPassword = "r0m\u00e9o, \u2168=" // a comma, an equals sign, and what SASLprep changes

var xdgHashes = map[Hash]scram.HashGeneratorFcn{SHA1: scram.SHA1, SHA256: scram.SHA256, SHA512: scram.SHA512}

// xdgClient lets github.com/xdg-go/scram be the client.
type xdgClient struct {
	conv *scram.ClientConversation
}

func (c xdgClient) Start() ([]byte, error) {
	s, err := c.conv.Step("")
	return []byte(s), err
}

func (c xdgClient) Next(in []byte, final bool) ([]byte, error) {
	s, err := c.conv.Step(string(in))
	if err == nil && final && !c.conv.Valid() {
		err = fmt.Errorf("xdg: not valid")
	}
	return []byte(s), err
}

// TestXdgClient: their client against our server, all hashes and bindings.
func TestXdgClient(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"jul=iet": interopPassword}))
	cert := newCertificate(t)
	clientState, serverState := handshake(t, cert, tls.VersionTLS13)
	exporter, err := scram.NewTLSExporterBinding(&clientState)
	if err != nil {
		t.Fatal(err)
	}
	endPoint, err := scram.NewTLSServerEndpointBinding(&clientState)
	if err != nil {
		t.Fatal(err)
	}
	for h, generator := range xdgHashes {
		kinds := map[string]struct {
			plus  bool
			offer Offer
			begin func(*scram.Client) *scram.ClientConversation
		}{
			"n": {false, srv.Offer(FromTLS(&serverState, cert.Leaf)), (*scram.Client).NewConversation},
			"y": {false, srv.Offer(Channel{Secure: true}), (*scram.Client).NewConversationAdvertisingChannelBinding},
			"exporter": {true, srv.Offer(FromTLS(&serverState, cert.Leaf)), func(c *scram.Client) *scram.ClientConversation {
				return c.NewConversationWithChannelBinding(exporter)
			}},
			"end point": {true, srv.Offer(FromTLS(&serverState, cert.Leaf)), func(c *scram.Client) *scram.ClientConversation {
				return c.NewConversationWithChannelBinding(endPoint)
			}},
		}
		for name, kind := range kinds {
			for password, good := range map[string]bool{interopPassword: true, "wrong": false} {
				t.Run(fmt.Sprintf("%v/%s/%v", h, name, good), func(t *testing.T) {
					client, err := generator.NewClient("jul=iet", password, "jul=iet@example.org")
					if err != nil {
						t.Fatal(err)
					}
					x, err := srv.Start(string(h.Mechanism(kind.plus)), kind.offer)
					if err != nil {
						t.Fatal(err)
					}
					id, err := run(xdgClient{kind.begin(client)}, x)
					if !good {
						wantCondition(t, err, NotAuthorized)
						return
					}
					if err != nil || id.Authzid != "jul=iet@example.org" {
						t.Fatalf("%+v, %v", id, err)
					}
				})
			}
		}
	}
}

// xdgServer lets github.com/xdg-go/scram be the server.
type xdgServer struct {
	conv *scram.ServerConversation
}

func (x xdgServer) Step(_ context.Context, in []byte) (Reply, error) {
	out, err := x.conv.Step(string(in))
	return Reply{Data: []byte(out), Done: x.conv.Done(), Identity: Identity{Username: x.conv.Username()}}, err
}

// TestXdgServer: our client against their server.
func TestXdgServer(t *testing.T) {
	cert := newCertificate(t)
	clientState, serverState := handshake(t, cert, tls.VersionTLS13)
	side := FromTLS(&clientState, clientState.PeerCertificates[0])
	exporter, err := scram.NewTLSExporterBinding(&serverState)
	if err != nil {
		t.Fatal(err)
	}
	for h, generator := range xdgHashes {
		for _, plus := range []bool{false, true} {
			for password, good := range map[string]bool{interopPassword: true, "wrong": false} {
				t.Run(fmt.Sprintf("%s/%v", h.Mechanism(plus), good), func(t *testing.T) {
					their, err := generator.NewClient("juliet", interopPassword, "")
					if err != nil {
						t.Fatal(err)
					}
					stored, err := their.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of 16 bytes", Iters: 4096})
					if err != nil {
						t.Fatal(err)
					}
					ours, err := DeriveCredentials(h, interopPassword, []byte("salt of 16 bytes"), 4096)
					if err != nil || string(ours.StoredKey) != string(stored.StoredKey) || string(ours.ServerKey) != string(stored.ServerKey) {
						t.Fatalf("other keys than theirs: %v", err)
					}
					server, err := generator.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
					if err != nil {
						t.Fatal(err)
					}
					conv := server.NewConversation()
					if plus {
						conv = server.NewConversationWithChannelBindingRequired(exporter)
					}
					_, c, err := NewClient(ClientConfig{
						Username: "juliet", Password: password, Offered: []Name{h.Mechanism(plus)}, OfferedBindings: []BindingType{TLSExporter},
						Channel: Channel{Secure: true, Bindings: side.Bindings},
					})
					if err != nil {
						t.Fatal(err)
					}
					_, err = run(c, xdgServer{conv})
					if (err == nil) != good {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

// melliumClient lets mellium.im/sasl be the client.
type melliumClient struct{ n *msasl.Negotiator }

func (c melliumClient) Start() ([]byte, error) {
	_, out, err := c.n.Step(nil)
	return out, err
}

func (c melliumClient) Next(in []byte, final bool) ([]byte, error) {
	if final && len(in) == 0 {
		return nil, nil
	}
	_, out, err := c.n.Step(in)
	return out, err
}

// TestMelliumClient: their client against our server.
func TestMelliumClient(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"juliet": "r0m30, ="}))
	cert := newCertificate(t)
	clientState, serverState := handshake(t, cert, tls.VersionTLS13)
	offer := srv.Offer(FromTLS(&serverState, cert.Leaf))
	mechanisms := []msasl.Mechanism{msasl.ScramSha1, msasl.ScramSha256, msasl.ScramSha1Plus, msasl.ScramSha256Plus, msasl.Plain}
	for _, m := range mechanisms {
		for password, good := range map[string]bool{"r0m30, =": true, "wrong": false} {
			t.Run(fmt.Sprintf("%s/%v", m.Name, good), func(t *testing.T) {
				var remote []string
				for _, n := range offer.Mechanisms {
					remote = append(remote, string(n))
				}
				options := []msasl.Option{
					msasl.Credentials(func() ([]byte, []byte, []byte) { return []byte("juliet"), []byte(password), nil }), msasl.RemoteMechanisms(remote...),
				}
				if strings.HasSuffix(m.Name, plusSuffix) {
					options = append(options, msasl.TLSState(clientState))
				}
				x, err := srv.Start(m.Name, offer)
				if err != nil {
					t.Fatal(err)
				}
				id, err := run(melliumClient{msasl.NewClient(m, options...)}, x)
				if !good {
					wantCondition(t, err, NotAuthorized)
					return
				}
				if err != nil || id.Username != "juliet" {
					t.Fatalf("%+v, %v", id, err)
				}
			})
		}
	}
}

// melliumServer lets mellium.im/sasl be the server.
type melliumServer struct{ n *msasl.Negotiator }

func (x melliumServer) Step(_ context.Context, in []byte) (Reply, error) {
	more, out, err := x.n.Step(in)
	return Reply{Data: out, Done: !more}, err
}

// TestMelliumServer: our client against their server, which has no -PLUS.
func TestMelliumServer(t *testing.T) {
	for m, h := range map[*msasl.Mechanism]Hash{&msasl.ScramSha1: SHA1, &msasl.ScramSha256: SHA256} {
		for password, good := range map[string]bool{"r0m30, =": true, "wrong": false} {
			t.Run(fmt.Sprintf("%s/%v", m.Name, good), func(t *testing.T) {
				salt := []byte("salt of 16 bytes")
				salted, err := SaltedPassword(h, "r0m30, =", salt, 4096)
				if err != nil {
					t.Fatal(err)
				}
				server := msasl.NewServer(*m, func(*msasl.Negotiator) bool { return true },
					msasl.SaltedCredentials(func(_, _ []byte, _ string) ([]byte, []byte, int64, error) { return salt, salted, 4096, nil }))
				_, c, err := NewClient(ClientConfig{Username: "juliet", Password: password, Offered: []Name{h.Mechanism(false)}})
				if err != nil {
					t.Fatal(err)
				}
				_, err = run(c, melliumServer{server})
				if (err == nil) != good {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestEndPointHashByAlgorithm(t *testing.T) {
	leaf := newCertificate(t).Leaf
	tests := []struct {
		name string
		alg  x509.SignatureAlgorithm
		size int // 0: no binding
	}{
		{"SHA-1 becomes SHA-256", x509.SHA1WithRSA, 32},
		{"MD5 becomes SHA-256", x509.MD5WithRSA, 32},
		{"SHA-256", x509.ECDSAWithSHA256, 32},
		{"SHA-384", x509.ECDSAWithSHA384, 48},
		{"SHA-512", x509.SHA512WithRSAPSS, 64},
		{"Ed25519 has none", x509.PureEd25519, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := *leaf
			c.SignatureAlgorithm = tt.alg
			got, err := EndPointHash(&c)
			if len(got) != tt.size || (err != nil) != (tt.size == 0) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
