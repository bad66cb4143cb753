package sasl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func fixedNonce(s string) func() (string, error) {
	return func() (string, error) { return s, nil }
}

// The examples of RFC 5802 §5 and RFC 7677 §3, both sides.
func TestScramVectors(t *testing.T) {
	tests := []struct {
		name                     string
		hash                     Hash
		salt                     string
		clientNonce, serverNonce string
		first, challenge, last   string
		success                  string
	}{
		{
			name: "RFC 5802", hash: SHA1, salt: "QSXCR+Q6sek8bf92", clientNonce: "fyko+d2lbbFgONRv9qkxdawL", serverNonce: "3rfcNHYJY1ZVvWVs7j",
			first:     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			challenge: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			last:      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			success:   "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			name: "RFC 7677", hash: SHA256, salt: "W22ZaJ0SNY7soEsUEjb6gQ==", clientNonce: "rOprNGfwEbeRWgbNEkqO", serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			first:     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			last:      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			success:   "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cred, err := DeriveCredentials(tt.hash, "pencil", unbase64(t, tt.salt), 4096)
			if err != nil {
				t.Fatal(err)
			}
			srv := newTestServer(t, accounts{"user": {tt.hash: cred}}, func(c *Config) {
				c.OmitDowngradeHash, c.nonce = true, fixedNonce(tt.serverNonce)
			})
			x, err := srv.Start(string(tt.hash.Mechanism(false)), srv.Offer(Channel{Secure: true}))
			if err != nil {
				t.Fatal(err)
			}
			_, client, err := NewClient(ClientConfig{
				Username: "user", Password: "pencil", Offered: []Name{tt.hash.Mechanism(false)}, nonce: fixedNonce(tt.clientNonce),
			})
			if err != nil {
				t.Fatal(err)
			}
			first, _ := client.Start()
			if string(first) != tt.first {
				t.Errorf("client-first\n got %s\nwant %s", first, tt.first)
			}
			challenge, err := x.Step(context.Background(), []byte(tt.first))
			if err != nil || string(challenge.Data) != tt.challenge || challenge.Done {
				t.Errorf("server-first\n got %s %v\nwant %s", challenge.Data, err, tt.challenge)
			}
			final, err := client.Next([]byte(tt.challenge), false)
			if err != nil || string(final) != tt.last {
				t.Errorf("client-final\n got %s %v\nwant %s", final, err, tt.last)
			}
			success, err := x.Step(context.Background(), []byte(tt.last))
			if err != nil || string(success.Data) != tt.success || !success.Done {
				t.Errorf("server-final\n got %s %v\nwant %s", success.Data, err, tt.success)
			}
			if success.Identity != (Identity{Username: "user", Authzid: "user@example.org", Mechanism: tt.hash.Mechanism(false)}) {
				t.Errorf("identity %+v", success.Identity)
			}
			if _, err := client.Next([]byte(tt.success), true); err != nil {
				t.Errorf("client refuses the server: %v", err)
			}
		})
	}
}

// The examples of XEP-0474 §5.3 and XEP-0515. Their c= lacks a comma of the
// gs2 header, so only the hash and the proof over the messages are followed.
func TestDowngradeVectors(t *testing.T) {
	list := []Name{ScramSHA1, ScramSHA1Plus}
	types := []BindingType{TLSServerEndPoint, TLSExporter}
	if got := DowngradeHash(SHA1, list, types); got != "G6k/rBLDqgOhRRaCuuatSDFkJ08=" {
		t.Errorf("hash %s", got)
	}
	cred, err := DeriveCredentials(SHA1, "pencil", unbase64(t, "QSXCR+Q6sek8bf92"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	const nonce = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"
	const server = "a09117a6-ac50-4f2f-93f1-93799c2bddf6"
	tests := []struct{ name, extensions, extra, proof string }{
		{"XEP-0474", ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=", ",x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3", "M/SIDjT+dfcxUh89jZEypRvFxB4="},
		{"XEP-0515", ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,t=0304", "", "KHUfN8dSy1K95crT4D5y1ItLJfs="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch := fakeChannel()
			if tt.name == "XEP-0474" {
				ch.Version = 0
			}
			srv := newTestServer(t, accounts{"user": {SHA1: cred}}, func(c *Config) {
				c.Hashes, c.AllowPlain, c.nonce = []Hash{SHA1}, false, fixedNonce(server)
			})
			x := &scramServer{s: srv, name: ScramSHA1Plus, hash: SHA1, plus: true, offer: srv.Offer(ch)}
			reply, err := x.Step(context.Background(), []byte("p=tls-exporter,,n=user,r="+nonce))
			if err != nil {
				t.Fatal(err)
			}
			want := "r=" + nonce + server + ",s=QSXCR+Q6sek8bf92,i=4096" + tt.extensions
			if string(reply.Data) != want {
				t.Fatalf("server-first\n got %s\nwant %s", reply.Data, want)
			}
			m, err := parseClientFinal([]byte("c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=" + nonce + server + tt.extra + ",p=" + tt.proof))
			if err != nil {
				t.Fatal(err)
			}
			x.auth = append(x.auth, m.bare...)
			if !x.verify(m.proof) {
				t.Fatalf("the proof of the example does not hold; c decodes to %q", m.binding)
			}
		})
	}
}

func TestScramAllMechanisms(t *testing.T) {
	source := newAccounts(t, map[string]string{"juliet": "r0m30 & ünïcode"})
	srv := newTestServer(t, source)
	cert := newCertificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		clientState, serverState := handshake(t, cert, version)
		clientSide, serverSide := FromTLS(&clientState, clientState.PeerCertificates[0]), FromTLS(&serverState, cert.Leaf)
		offer := srv.Offer(serverSide)
		for _, n := range offer.Mechanisms {
			for _, binding := range clientSide.Bindings {
				t.Run(fmt.Sprintf("%s/%s/%s", tls.VersionName(version), n, binding.Type), func(t *testing.T) {
					side := clientSide
					side.Bindings = []Binding{binding}
					_, c, err := NewClient(ClientConfig{
						Username: "Juliet", Password: "r0m30 & ünïcode", Mechanisms: []Name{n},
						Offered: offer.Mechanisms, OfferedBindings: offer.BindingTypes(), Channel: side,
					})
					if err != nil {
						t.Fatal(err)
					}
					x, err := srv.Start(string(n), offer)
					if err != nil {
						t.Fatal(err)
					}
					id, err := run(c, x)
					_, plus, _ := n.Scram()
					want := Identity{Username: "juliet", Authzid: "juliet@example.org", Mechanism: n}
					if plus {
						want.Binding = binding.Type
					}
					if err != nil || id != want {
						t.Fatalf("identity %+v, %v; want %+v", id, err, want)
					}
				})
			}
		}
	}
}

// A server whose key material is not ours must not get through -PLUS (attack
// 13): the proxy has a valid other certificate and relays the messages.
func TestScramProxyIsSeen(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"juliet": "secret"}))
	cert, proxyCert := newCertificate(t), newCertificate(t)
	towardsProxy, _ := handshake(t, proxyCert, tls.VersionTLS13)
	_, serverState := handshake(t, cert, tls.VersionTLS13)
	clientSide, offer := FromTLS(&towardsProxy, towardsProxy.PeerCertificates[0]), srv.Offer(FromTLS(&serverState, cert.Leaf))
	for _, binding := range clientSide.Bindings {
		t.Run(string(binding.Type), func(t *testing.T) {
			side := clientSide
			side.Bindings = []Binding{binding}
			n, c, err := NewClient(ClientConfig{
				Username: "juliet", Password: "secret", Offered: offer.Mechanisms, OfferedBindings: offer.BindingTypes(), Channel: side,
			})
			if err != nil {
				t.Fatal(err)
			}
			x, err := srv.Start(string(n), offer)
			if err != nil {
				t.Fatal(err)
			}
			_, err = run(c, x)
			wantCondition(t, err, NotAuthorized)
			if !strings.Contains(err.Error(), "bindings do not match") {
				t.Errorf("refused for another reason: %v", err)
			}
		})
	}
}

// Attack 10: somebody changes the offer on its way to the client.
func TestDowngradeIsSeen(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"juliet": "secret"}))
	offer := srv.Offer(fakeChannel())
	older := fakeChannel()
	older.Version = tls.VersionTLS12
	tests := []struct {
		name     string
		offered  []Name
		bindings []BindingType
		channel  Channel
		byServer bool // the server notices, else the client
	}{
		{"stripped to SHA-1", []Name{ScramSHA1}, nil, Channel{Secure: true}, false},
		{"stripped of -PLUS, client could bind", []Name{ScramSHA512, ScramSHA256, ScramSHA1}, nil, fakeChannel(), true},
		{"stripped of the best hash", []Name{ScramSHA1Plus, ScramSHA1}, offer.BindingTypes(), fakeChannel(), false},
		{"stripped of the best binding", offer.Mechanisms, []BindingType{TLSServerEndPoint}, fakeChannel(), false},
		{"another TLS version", offer.Mechanisms, offer.BindingTypes(), older, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, c, err := NewClient(ClientConfig{
				Username: "juliet", Password: "secret", Offered: tt.offered, OfferedBindings: tt.bindings, Channel: tt.channel,
			})
			if err != nil {
				t.Fatal(err)
			}
			x, err := srv.Start(string(n), offer)
			if err != nil {
				t.Fatal(err)
			}
			_, err = run(c, x)
			if tt.byServer {
				wantCondition(t, err, NotAuthorized)
			} else if !errors.Is(err, ErrDowngrade) {
				t.Fatalf("error %v, want ErrDowngrade", err)
			}
		})
	}
	t.Run("a changed order is none", func(t *testing.T) {
		_, c, err := NewClient(ClientConfig{
			Username: "juliet", Password: "secret", Mechanisms: []Name{ScramSHA1}, Channel: Channel{Secure: true},
			Offered:         []Name{Plain, ScramSHA1, ScramSHA256, ScramSHA512, ScramSHA1Plus, ScramSHA512Plus, ScramSHA256Plus},
			OfferedBindings: []BindingType{TLSServerEndPoint, TLSExporter},
		})
		if err != nil {
			t.Fatal(err)
		}
		x, _ := srv.Start(string(ScramSHA1), offer)
		if _, err := run(c, x); err != nil {
			t.Fatal(err)
		}
	})
}

func TestScramRefuses(t *testing.T) {
	cred, err := DeriveCredentials(SHA256, "pencil", []byte("salt of 16 bytes"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	source := accounts{"user": {SHA256: cred}}
	tests := []struct {
		name  string
		mech  Name
		first string
		final func(challenge string) string // nil: the first message is refused
		want  Condition
	}{
		{"empty", ScramSHA256, "", nil, MalformedRequest},
		{"no gs2 header", ScramSHA256, "n=user,r=abc", nil, MalformedRequest},
		{"unknown flag", ScramSHA256, "q,,n=user,r=abc", nil, MalformedRequest},
		{"flag without comma", ScramSHA256, "n", nil, MalformedRequest},
		{"binding under a plain name", ScramSHA256, "p=tls-exporter,,n=user,r=abc", nil, MalformedRequest},
		{"no binding under -PLUS", ScramSHA256Plus, "n,,n=user,r=abc", nil, MalformedRequest},
		{"y under -PLUS", ScramSHA256Plus, "y,,n=user,r=abc", nil, MalformedRequest},
		{"y though -PLUS was offered", ScramSHA256, "y,,n=user,r=abc", nil, NotAuthorized},
		{"tls-unique", ScramSHA256Plus, "p=tls-unique,,n=user,r=abc", nil, NotAuthorized},
		{"unknown binding", ScramSHA256Plus, "p=tls-magic,,n=user,r=abc", nil, NotAuthorized},
		{"binding name with rubbish", ScramSHA256Plus, "p=tls exporter,,n=user,r=abc", nil, MalformedRequest},
		{"no user", ScramSHA256, "n,,n=,r=abc", nil, MalformedRequest},
		{"no nonce", ScramSHA256, "n,,n=user,r=", nil, MalformedRequest},
		{"nonce with a space", ScramSHA256, "n,,n=user,r=a c", nil, MalformedRequest},
		{"nonce not ASCII", ScramSHA256, "n,,n=user,r=é", nil, MalformedRequest},
		{"nonce too long", ScramSHA256, "n,,n=user,r=" + strings.Repeat("x", 1025), nil, MalformedRequest},
		{"mandatory extension", ScramSHA256, "n,,m=x,n=user,r=abc", nil, MalformedRequest},
		{"mandatory extension at the end", ScramSHA256, "n,,n=user,r=abc,m=x", nil, MalformedRequest},
		{"extension without value", ScramSHA256, "n,,n=user,r=abc,z=", nil, MalformedRequest},
		{"trailing comma", ScramSHA256, "n,,n=user,r=abc,", nil, MalformedRequest},
		{"wrong order", ScramSHA256, "n,,r=abc,n=user", nil, MalformedRequest},
		{"name with a bare equals sign", ScramSHA256, "n,,n=us=er,r=abc", nil, MalformedRequest},
		{"name with a lower-case escape", ScramSHA256, "n,,n=us=2cer,r=abc", nil, MalformedRequest},
		{"authzid without a=", ScramSHA256, "n,user,n=user,r=abc", nil, MalformedRequest},
		{"a NUL", ScramSHA256, "n,,n=us\x00er,r=abc", nil, MalformedRequest},
		{"not UTF-8", ScramSHA256, "n,,n=us\xffer,r=abc", nil, MalformedRequest},
		{"too long", ScramSHA256, "n,,n=user,r=abc,z=" + strings.Repeat("x", MaxMessage), nil, MalformedRequest},
		{"a name no account can have", ScramSHA256, "n,,n=us er@x,r=abc", nil, NotAuthorized},
		{"no proof", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n }, MalformedRequest},
		{"proof not base64", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",p=!" }, MalformedRequest},
		{"proof too short", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",p=AAAA" }, NotAuthorized},
		{"proof of nothing", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",p=" + strings.Repeat("A", 43) + "=" }, NotAuthorized},
		{"empty proof", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",p=" }, NotAuthorized},
		{"another nonce", ScramSHA256, "n,,n=user,r=abc", func(string) string { return "c=biws,r=abcdef,p=AAAA" }, NotAuthorized},
		{"another gs2 header", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=eSws,r=" + n + ",p=AAAA" }, NotAuthorized},
		{"something after the proof", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",p=AAAA,x=y" }, MalformedRequest},
		{"mandatory extension in the final message", ScramSHA256, "n,,n=user,r=abc", func(n string) string { return "c=biws,r=" + n + ",m=x,p=AAAA" }, MalformedRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newTestServer(t, source)
			x, err := srv.Start(string(tt.mech), srv.Offer(fakeChannel()))
			if err != nil {
				t.Fatal(err)
			}
			reply, err := x.Step(context.Background(), []byte(tt.first))
			if tt.final != nil {
				if err != nil {
					t.Fatal(err)
				}
				m, perr := parseServerFirst(reply.Data)
				if perr != nil {
					t.Fatal(perr)
				}
				_, err = x.Step(context.Background(), []byte(tt.final(m.nonce)))
			}
			wantCondition(t, err, tt.want)
			if _, err := x.Step(context.Background(), []byte(tt.first)); err == nil {
				t.Error("a step after the end was taken")
			}
		})
	}
}

// Without -PLUS in the offer, y is the truth and must work.
func TestScramYWithoutPlus(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"user": "pencil"}))
	offer := srv.Offer(Channel{Secure: true})
	n, c, err := NewClient(ClientConfig{Username: "user", Password: "pencil", Offered: offer.Mechanisms, Channel: fakeChannel()})
	if err != nil {
		t.Fatal(err)
	}
	if first, _ := c.Start(); !strings.HasPrefix(string(first), "y,,") {
		t.Fatalf("client-first %s", first)
	}
	offer.Channel.Version = tls.VersionTLS13
	x, err := srv.Start(string(n), offer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(c, x); err != nil {
		t.Fatal(err)
	}
}

func TestScramWithoutInitialResponse(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"user": "pencil"}))
	for _, n := range []Name{ScramSHA1, Plain} {
		t.Run(string(n), func(t *testing.T) {
			offer := srv.Offer(Channel{Secure: true})
			_, c, err := NewClient(ClientConfig{Username: "user", Password: "pencil", Offered: offer.Mechanisms, Mechanisms: []Name{n}, Channel: Channel{Secure: true}})
			if err != nil {
				t.Fatal(err)
			}
			x, err := srv.Start(string(n), offer)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := x.Step(context.Background(), nil)
			if err != nil || reply.Data == nil || len(reply.Data) != 0 || reply.Done {
				t.Fatalf("reply %+v, %v; want an empty challenge", reply, err)
			}
			if _, err := c.Start(); err != nil {
				t.Fatal(err)
			}
			id, err := run(lateClient{c}, x)
			if err != nil || id.Username != "user" {
				t.Fatalf("%+v, %v", id, err)
			}
		})
	}
}

// lateClient sends its initial response in answer to an empty challenge.
type lateClient struct{ Client }

func (c lateClient) Start() ([]byte, error) { return c.Next(nil, false) }
