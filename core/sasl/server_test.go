package sasl

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOffer(t *testing.T) {
	source := accounts{}
	bound := fakeChannel()
	external := fakeChannel()
	external.External = func(string) (string, bool) { return "", false }
	unique := Channel{Secure: true, Bindings: []Binding{{TLSUnique, []byte("finished")}}}
	tests := []struct {
		name     string
		change   func(*Config)
		channel  Channel
		want     []Name
		bindings []BindingType
	}{
		{"in clear", func(*Config) {}, Channel{}, nil, nil},
		{"in clear, even with bindings", func(*Config) {}, Channel{Bindings: bound.Bindings}, nil, nil},
		{
			"bound", func(*Config) {}, bound,
			[]Name{ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus, ScramSHA512, ScramSHA256, ScramSHA1, Plain},
			[]BindingType{TLSExporter, TLSServerEndPoint},
		},
		{"TLS ends at a proxy", func(*Config) {}, Channel{Secure: true}, []Name{ScramSHA512, ScramSHA256, ScramSHA1, Plain}, nil},
		{"tls-unique is no binding", func(*Config) {}, unique, []Name{ScramSHA512, ScramSHA256, ScramSHA1, Plain}, nil},
		{"no PLAIN", func(c *Config) { c.AllowPlain = false }, Channel{Secure: true}, []Name{ScramSHA512, ScramSHA256, ScramSHA1}, nil},
		{
			"binding required", func(c *Config) { c.RequireBinding = true }, bound,
			[]Name{ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus}, []BindingType{TLSExporter, TLSServerEndPoint},
		},
		{"binding required and impossible", func(c *Config) { c.RequireBinding = true }, Channel{Secure: true}, nil, nil},
		{
			"one hash", func(c *Config) { c.Hashes, c.AllowPlain = []Hash{SHA256}, false }, bound,
			[]Name{ScramSHA256Plus, ScramSHA256}, []BindingType{TLSExporter, TLSServerEndPoint},
		},
		{"a server stream", func(c *Config) { c.Source = nil }, external, []Name{External}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newTestServer(t, source, tt.change).Offer(tt.channel)
			if d := cmp.Diff(tt.want, o.Mechanisms); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.bindings, o.BindingTypes()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	srv := newTestServer(t, accounts{})
	stripped := srv.Offer(Channel{Secure: true})
	stripped.Mechanisms = slices.DeleteFunc(stripped.Mechanisms, func(n Name) bool { return n == Plain })
	invented := srv.Offer(Channel{Secure: true})
	invented.Mechanisms = append(invented.Mechanisms, "X-MAGIC", External)
	tests := []struct {
		name, mech string
		offer      Offer
		want       Condition
	}{
		{"in clear", "PLAIN", srv.Offer(Channel{}), EncryptionRequired},
		{"-PLUS where it was not offered", "SCRAM-SHA-1-PLUS", srv.Offer(Channel{Secure: true}), InvalidMechanism},
		{"unknown", "X-MAGIC", srv.Offer(fakeChannel()), InvalidMechanism},
		{"empty", "", srv.Offer(fakeChannel()), InvalidMechanism},
		{"lower case", "plain", srv.Offer(fakeChannel()), InvalidMechanism},
		{"taken out by the caller", "PLAIN", stripped, InvalidMechanism},
		{"put in by the caller, without code", "X-MAGIC", invented, InvalidMechanism},
		{"EXTERNAL without proof from below", "EXTERNAL", invented, InvalidMechanism},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := srv.Start(tt.mech, tt.offer)
			wantCondition(t, err, tt.want)
		})
	}
}

type fixedExchange struct{ reply Reply }

func (x fixedExchange) Step(context.Context, []byte) (Reply, error) { return x.reply, nil }

func TestMoreMechanisms(t *testing.T) {
	want := Reply{Done: true, Identity: Identity{Authzid: "a@example.org", Mechanism: "HT-SHA-256-NONE"}}
	srv := newTestServer(t, accounts{}, func(c *Config) {
		c.More = map[Name]Factory{"HT-SHA-256-NONE": func(*Server, Name, Offer) Exchange { return fixedExchange{want} }}
	})
	o := srv.Offer(Channel{Secure: true})
	if _, err := srv.Start("HT-SHA-256-NONE", o); err == nil {
		t.Error("started though not offered")
	}
	o.Mechanisms = append(o.Mechanisms, "HT-SHA-256-NONE")
	x, err := srv.Start("HT-SHA-256-NONE", o)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := x.Step(t.Context(), nil); cmp.Diff(want, got) != "" {
		t.Error(got)
	}
}

// Attack 11: every mechanism against every kind of authzid.
func TestAuthzid(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"juliet": "secret", "romeo": "other"}))
	granting := newTestServer(t, newAccounts(t, map[string]string{"juliet": "secret"}), func(c *Config) {
		c.Authorize = func(_ context.Context, username, authzid string) (bool, error) {
			return username == "juliet" && authzid == "romeo@example.org", nil
		}
	})
	tests := []struct {
		name, authzid string
		srv           *Server
		want          string // "" = invalid-authzid
	}{
		{"empty", "", srv, "juliet@example.org"},
		{"same", "juliet@example.org", srv, "juliet@example.org"},
		{"same, other case", "JULIET@Example.ORG", srv, "juliet@example.org"},
		{"other user", "romeo@example.org", srv, ""},
		{"other host", "juliet@example.com", srv, ""},
		{"admin", "admin@example.org", srv, ""},
		{"full address", "juliet@example.org/balcony", srv, ""},
		{"host only", "example.org", srv, ""},
		{"name only", "juliet", srv, ""},
		{"two at signs", "juliet@example.org@example.org", srv, ""},
		{"no name", "@example.org", srv, ""},
		{"no host", "juliet@", srv, ""},
		{"with an explicit right", "romeo@example.org", granting, "romeo@example.org"},
		{"with a right to somebody else", "tybalt@example.org", granting, ""},
	}
	for _, n := range []Name{ScramSHA1, ScramSHA256, ScramSHA512, ScramSHA1Plus, ScramSHA256Plus, ScramSHA512Plus, Plain} {
		for _, tt := range tests {
			t.Run(string(n)+"/"+tt.name, func(t *testing.T) {
				offer := tt.srv.Offer(fakeChannel())
				_, c, err := NewClient(ClientConfig{
					Username: "juliet", Password: "secret", Authzid: tt.authzid, Mechanisms: []Name{n},
					Offered: offer.Mechanisms, OfferedBindings: offer.BindingTypes(), Channel: fakeChannel(),
				})
				if err != nil {
					t.Fatal(err)
				}
				x, err := tt.srv.Start(string(n), offer)
				if err != nil {
					t.Fatal(err)
				}
				id, err := run(c, x)
				if tt.want == "" {
					wantCondition(t, err, InvalidAuthzid)
					return
				}
				if err != nil || id.Authzid != tt.want || id.Username != "juliet" {
					t.Fatalf("%+v, %v; want %s", id, err, tt.want)
				}
			})
		}
	}
}

func TestExternal(t *testing.T) {
	ch := Channel{Secure: true, External: func(authzid string) (string, bool) {
		proved := []string{"capulet.example", "montague.example"}
		if authzid == "" {
			return "", false // two, so it must say which
		}
		authzid = strings.ToLower(authzid)
		return authzid, slices.Contains(proved, authzid)
	}}
	tests := []struct {
		name string
		in   []byte
		want string
		cond Condition
	}{
		{"one that is proved", []byte("capulet.example"), "capulet.example", ""},
		{"canonical form comes back", []byte("Montague.Example"), "montague.example", ""},
		{"one that is not", []byte("verona.example"), "", InvalidAuthzid},
		{"none named", []byte{}, "", NotAuthorized},
		{"not UTF-8", []byte{0xff}, "", MalformedRequest},
		{"a NUL", []byte("capulet.example\x00"), "", MalformedRequest},
		{"too long", bytes.Repeat([]byte("x"), MaxMessage+1), "", MalformedRequest},
	}
	srv := newTestServer(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := srv.Start("EXTERNAL", srv.Offer(ch))
			if err != nil {
				t.Fatal(err)
			}
			reply, err := x.Step(t.Context(), tt.in)
			if tt.cond != "" {
				wantCondition(t, err, tt.cond)
			} else if err != nil || !reply.Done || reply.Identity != (Identity{Authzid: tt.want, Mechanism: External}) {
				t.Fatalf("%+v, %v", reply, err)
			}
			if _, err := x.Step(t.Context(), tt.in); err == nil {
				t.Error("a step after the end was taken")
			}
		})
	}
	t.Run("with the client of this package", func(t *testing.T) {
		n, c, err := NewClient(ClientConfig{Authzid: "capulet.example", Offered: srv.Offer(ch).Mechanisms})
		if err != nil || n != External {
			t.Fatal(n, err)
		}
		x, _ := srv.Start("EXTERNAL", srv.Offer(ch))
		if id, err := run(c, x); err != nil || id.Authzid != "capulet.example" {
			t.Fatal(id, err)
		}
	})
}

func TestPlainRefuses(t *testing.T) {
	srv := newTestServer(t, newAccounts(t, map[string]string{"juliet": "secret"}))
	tests := []struct {
		name, in string
		want     Condition
	}{
		{"empty", "", MalformedRequest},
		{"one part", "juliet", MalformedRequest},
		{"two parts", "juliet\x00secret", MalformedRequest},
		{"four parts", "\x00juliet\x00secret\x00", MalformedRequest},
		{"no name", "\x00\x00secret", MalformedRequest},
		{"no password", "\x00juliet\x00", MalformedRequest},
		{"not UTF-8", "\x00juliet\x00\xff", MalformedRequest},
		{"too long", "\x00juliet\x00" + strings.Repeat("x", MaxMessage), MalformedRequest},
		{"wrong password", "\x00juliet\x00Secret", NotAuthorized},
		{"unknown user", "\x00nobody\x00secret", NotAuthorized},
		{"a name no account can have", "\x00a@b\x00secret", NotAuthorized},
		{"a password that cannot be prepared", "\x00juliet\x00sec\u0007ret", NotAuthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := srv.Start("PLAIN", srv.Offer(Channel{Secure: true}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = x.Step(t.Context(), []byte(tt.in))
			wantCondition(t, err, tt.want)
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Secret") {
				t.Errorf("the password stands in the error: %v", err)
			}
			if _, err := x.Step(t.Context(), []byte("\x00juliet\x00secret")); err == nil {
				t.Error("a second try in one exchange was taken")
			}
		})
	}
}

// Attack 12: an unknown user is not told from a known one by the work done, nor
// by a salt that changes.
func TestUnknownUserCostsTheSame(t *testing.T) {
	source := newAccounts(t, map[string]string{"juliet": "secret"})
	srv := newTestServer(t, source)
	for _, n := range srv.Offer(fakeChannel()).Mechanisms {
		t.Run(string(n), func(t *testing.T) {
			spent := map[string]work{}
			for _, user := range []string{"juliet", "nobody"} {
				x, err := srv.Start(string(n), srv.Offer(fakeChannel()))
				if err != nil {
					t.Fatal(err)
				}
				offer := srv.Offer(fakeChannel())
				_, c, err := NewClient(ClientConfig{
					Username: user, Password: "wrong", Mechanisms: []Name{n},
					Offered: offer.Mechanisms, OfferedBindings: offer.BindingTypes(), Channel: fakeChannel(),
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = run(c, x)
				wantCondition(t, err, NotAuthorized)
				switch x := x.(type) {
				case *scramServer:
					spent[user] = x.work
				case *plainServer:
					spent[user] = x.work
				}
			}
			if spent["juliet"] != spent["nobody"] || spent["nobody"] == (work{}) {
				t.Errorf("known %+v, unknown %+v", spent["juliet"], spent["nobody"])
			}
		})
	}
}

func TestFakeSalt(t *testing.T) {
	ask := func(t *testing.T, s *Server, user string, h Hash) serverFirst {
		t.Helper()
		x, err := s.Start(string(h.Mechanism(false)), s.Offer(Channel{Secure: true}))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := x.Step(t.Context(), []byte("n,,n="+user+",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := parseServerFirst(reply.Data)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b := newTestServer(t, accounts{}), newTestServer(t, accounts{}) // b: after a restart
	other := newTestServer(t, accounts{}, func(c *Config) { c.Secret = []byte("another secret of the server") })
	first := ask(t, a, "nobody", SHA256)
	if len(first.salt) != SaltSize || first.iterations != minIterations {
		t.Errorf("salt of %d bytes, %d iterations", len(first.salt), first.iterations)
	}
	if !bytes.Equal(first.salt, ask(t, b, "NoBody", SHA256).salt) {
		t.Error("the salt of one user changes")
	}
	seen := map[string]string{string(first.salt): "nobody"}
	for what, salt := range map[string][]byte{
		"another user": ask(t, a, "nobody2", SHA256).salt, "another hash": ask(t, a, "nobody", SHA512).salt, "another server": ask(t, other, "nobody", SHA256).salt,
	} {
		if was, ok := seen[string(salt)]; ok {
			t.Errorf("%s: the salt of %s", what, was)
		}
		seen[string(salt)] = what
	}
}

// Even who computes a proof with a guessed key of an unknown user stays out.
func TestUnknownUserNeverGetsIn(t *testing.T) {
	srv := newTestServer(t, accounts{})
	x := &scramServer{s: srv, name: ScramSHA1, hash: SHA1, offer: srv.Offer(Channel{Secure: true})}
	if _, err := x.Step(t.Context(), []byte("n,,n=nobody,r=abc")); err != nil {
		t.Fatal(err)
	}
	clientKey := []byte("12345678901234567890")
	sum := SHA1.New()
	sum.Write(clientKey)
	x.cred.StoredKey = sum.Sum(nil) // as if the fake key were known
	proof := mac(SHA1, x.cred.StoredKey, x.auth)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	if x.verify(proof) {
		t.Error("let in")
	}
	x.known = true
	if !x.verify(proof) {
		t.Error("the proof of this test is wrong")
	}
}

type sourceFunc func(string, Hash) (Credentials, bool, error)

func (f sourceFunc) Lookup(_ context.Context, u string, h Hash) (Credentials, bool, error) {
	return f(u, h)
}

func TestSourceAndAdmitErrors(t *testing.T) {
	good := newAccounts(t, map[string]string{"juliet": "secret"})
	tests := []struct {
		name   string
		source CredentialSource
		admit  error
		want   Condition
	}{
		{"the store is down", sourceFunc(func(string, Hash) (Credentials, bool, error) { return Credentials{}, false, errors.New("disk full") }), nil, TemporaryAuthFailure},
		{"damaged credentials", sourceFunc(func(_ string, h Hash) (Credentials, bool, error) {
			return Credentials{Hash: h, Salt: []byte("x"), Iterations: 1}, true, nil
		}), nil, TemporaryAuthFailure},
		{"credentials of another hash", sourceFunc(func(u string, h Hash) (Credentials, bool, error) {
			if h == SHA1 {
				h = SHA256
			} else {
				h = SHA1
			}
			return good[u][h], true, nil
		}), nil, TemporaryAuthFailure},
		{"disabled", good, &Error{Condition: AccountDisabled}, AccountDisabled},
		{"expired", good, &Error{Condition: CredentialsExpired}, CredentialsExpired},
		{"the admission check fails", good, errors.New("disk full"), TemporaryAuthFailure},
	}
	for _, n := range []Name{ScramSHA1, Plain} {
		for _, tt := range tests {
			t.Run(string(n)+"/"+tt.name, func(t *testing.T) {
				srv := newTestServer(t, tt.source, func(c *Config) {
					c.Admit = func(context.Context, string) error { return tt.admit }
				})
				offer := srv.Offer(Channel{Secure: true})
				_, c, err := NewClient(ClientConfig{Username: "juliet", Password: "secret", Mechanisms: []Name{n}, Offered: offer.Mechanisms, Channel: Channel{Secure: true}})
				if err != nil {
					t.Fatal(err)
				}
				x, err := srv.Start(string(n), offer)
				if err != nil {
					t.Fatal(err)
				}
				_, err = run(c, x)
				wantCondition(t, err, tt.want)
			})
		}
	}
	t.Run("a disabled account is told only to who knows the password", func(t *testing.T) {
		srv := newTestServer(t, good, func(c *Config) {
			c.Admit = func(context.Context, string) error { return &Error{Condition: AccountDisabled} }
		})
		x, _ := srv.Start("PLAIN", srv.Offer(Channel{Secure: true}))
		_, err := x.Step(t.Context(), []byte("\x00juliet\x00wrong"))
		wantCondition(t, err, NotAuthorized)
	})
}

func TestNewServerRefuses(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
	}{
		{"no domain", Config{Source: accounts{}, Secret: testSecret}},
		{"no secret", Config{Domain: "example.org", Source: accounts{}}},
		{"short secret", Config{Domain: "example.org", Source: accounts{}, Secret: testSecret[:15]}},
		{"unknown hash", Config{Domain: "example.org", Source: accounts{}, Secret: testSecret, Hashes: []Hash{9}}},
		{"no hashes", Config{Domain: "example.org", Source: accounts{}, Secret: testSecret, Hashes: []Hash{}}},
		{"too few iterations", Config{Domain: "example.org", Source: accounts{}, Secret: testSecret, Iterations: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewServer(tt.cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestConditionOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want Condition
	}{
		{"typed", fail(MalformedRequest, "x"), MalformedRequest},
		{"wrapped", errors.Join(errors.New("x"), fail(NotAuthorized, "y")), NotAuthorized},
		{"foreign", errors.New("x"), TemporaryAuthFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ConditionOf(tt.err); got != tt.want {
				t.Errorf("%s", got)
			}
		})
	}
	if !errors.Is(fail(NotAuthorized, "x"), &Error{Condition: NotAuthorized}) || errors.Is(fail(NotAuthorized, "x"), &Error{Condition: Aborted}) {
		t.Error("errors.Is by condition")
	}
}

func TestGuess(t *testing.T) {
	source := newAccounts(t, map[string]string{"user": "pencil"})
	step := func(n Name, messages ...string) error {
		srv := newTestServer(t, source)
		x, err := srv.Start(string(n), srv.Offer(fakeChannel()))
		if err != nil {
			return err
		}
		var reply Reply
		for _, m := range messages {
			nonce, _, _ := strings.Cut(string(reply.Data), ",")
			if reply, err = x.Step(t.Context(), []byte(strings.ReplaceAll(m, "NONCE", nonce))); err != nil {
				return err
			}
		}
		return nil
	}
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"wrong password", step(Plain, "\x00user\x00pen"), true},
		{"no such user", step(Plain, "\x00nobody\x00pencil"), true},
		{"a name no account can have", step(Plain, "\x00a@b\x00pencil"), true},
		{"the right password, another identity", step(Plain, "nobody@example.org\x00user\x00pencil"), true},
		{"wrong proof", step(ScramSHA256, "n,,n=user,r=abc", "c=biws,NONCE,p=AAAA"), true},
		{"a binding that does not exist", step(ScramSHA256Plus, "p=tls-unique,,n=user,r=abc"), false},
		{"a list that was changed", step(ScramSHA256, "y,,n=user,r=abc"), false},
		{"another binding than announced", step(ScramSHA256, "n,,n=user,r=abc", "c=eSws,NONCE,p=AAAA"), false},
		{"malformed", step(Plain, "user"), false},
		{"unknown mechanism", step("CRAM-MD5"), false},
		{"given up", &Error{Condition: Aborted}, false},
		{"foreign", errors.New("x"), false},
		{"nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if (tt.err == nil) != (tt.name == "nothing") {
				t.Fatalf("error: %v", tt.err)
			}
			if got := Guess(tt.err); got != tt.want {
				t.Errorf("%v: a guess: %t", tt.err, got)
			}
		})
	}
}

func BenchmarkScram(b *testing.B) {
	cred, err := DeriveCredentials(SHA256, "secret", NewSalt(), DefaultIterations)
	if err != nil {
		b.Fatal(err)
	}
	for _, user := range []string{"juliet", "nobody"} {
		b.Run(user, func(b *testing.B) {
			srv := newTestServer(b, accounts{"juliet": {SHA256: cred}})
			offer := srv.Offer(fakeChannel())
			b.ReportAllocs()
			for b.Loop() {
				x, _ := srv.Start("SCRAM-SHA-256", offer)
				reply, err := x.Step(b.Context(), []byte("n,,n="+user+",r=fyko+d2lbbFgONRv9qkxdawL"))
				if err != nil {
					b.Fatal(err)
				}
				nonce, _, _ := strings.Cut(string(reply.Data), ",")
				if _, err = x.Step(b.Context(), []byte("c=biws,"+nonce+",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")); err == nil {
					b.Fatal("let in")
				}
			}
		})
	}
}
