package sasl

import (
	"errors"
	"testing"
)

func TestClientRefuses(t *testing.T) {
	const nonce = "abc"
	tests := []struct {
		name, challenge string
	}{
		{"empty message", "r=,s=,i="},
		{"nonce of somebody else", "r=xyz123,s=QQ==,i=4096"},
		{"nonce not extended", "r=abc,s=QQ==,i=4096"},
		{"no salt", "r=abcdef,s=,i=4096"},
		{"too few iterations", "r=abcdef,s=QQ==,i=4095"},
		{"no iterations", "r=abcdef,s=QQ==,i=0"},
		{"too many iterations", "r=abcdef,s=QQ==,i=2000000000"},
		{"mandatory extension", "m=x,r=abcdef,s=QQ==,i=4096"},
		{"mandatory extension behind", "r=abcdef,s=QQ==,i=4096,m=x"},
		{"an attribute twice", "r=abcdef,s=QQ==,i=4096,h=a,h=b"},
		{"server error", "e=other-error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, c, err := NewClient(ClientConfig{Username: "u", Password: "p", Offered: []Name{ScramSHA1}, nonce: fixedNonce(nonce)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if out, err := c.Next([]byte(tt.challenge), false); err == nil {
				t.Errorf("answered %s", out)
			}
		})
	}
}

// A server that does not know the password is found out (RFC 5802 §3).
func TestClientChecksServer(t *testing.T) {
	begin := func(t *testing.T) Client {
		_, c, err := NewClient(ClientConfig{Username: "u", Password: "p", Offered: []Name{ScramSHA1}, nonce: fixedNonce("abc")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, success := range []string{"", "v=", "v=AAAA", "e=other-error", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="} {
		t.Run("after the proof/"+success, func(t *testing.T) {
			c := begin(t)
			if _, err := c.Next([]byte("r=abcdef,s=QQ==,i=4096"), false); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Next([]byte(success), true); err == nil {
				t.Error("taken")
			}
		})
		t.Run("before the proof/"+success, func(t *testing.T) {
			if _, err := begin(t).Next([]byte(success), true); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestClientChooses(t *testing.T) {
	bound := fakeChannel()
	endPointOnly := Channel{Secure: true, Bindings: bound.Bindings[1:]}
	all := []Name{Plain, ScramSHA1, ScramSHA1Plus, ScramSHA256, ScramSHA256Plus, External}
	tests := []struct {
		name string
		cfg  ClientConfig
		want Name
		flag string
	}{
		{"strongest", ClientConfig{Username: "u", Offered: all, OfferedBindings: []BindingType{TLSServerEndPoint, TLSExporter}, Channel: bound}, ScramSHA256Plus, "p=tls-exporter,"},
		{"without a list of bindings", ClientConfig{Username: "u", Offered: all, Channel: bound}, ScramSHA256Plus, "p=tls-server-end-point,"},
		{"one binding only", ClientConfig{Username: "u", Offered: all, OfferedBindings: []BindingType{TLSServerEndPoint, TLSExporter}, Channel: endPointOnly}, ScramSHA256Plus, "p=tls-server-end-point,"},
		{"no binding in common", ClientConfig{Username: "u", Offered: all, OfferedBindings: []BindingType{"tls-magic"}, Channel: bound}, ScramSHA256, "n,"},
		{"cannot bind", ClientConfig{Username: "u", Offered: all, Channel: Channel{Secure: true}}, ScramSHA256, "n,"},
		{"server cannot bind", ClientConfig{Username: "u", Offered: []Name{ScramSHA1}, Channel: bound}, ScramSHA1, "y,"},
		{"PLAIN is never a surprise", ClientConfig{Username: "u", Offered: []Name{Plain}, Channel: bound}, "", ""},
		{"PLAIN if wanted", ClientConfig{Username: "u", Offered: []Name{Plain}, Mechanisms: []Name{Plain}, Channel: bound}, Plain, ""},
		{"PLAIN never in clear", ClientConfig{Username: "u", Offered: []Name{Plain}, Mechanisms: []Name{Plain}}, "", ""},
		{"EXTERNAL", ClientConfig{Authzid: "a.example", Offered: all}, External, "a.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, c, err := NewClient(tt.cfg)
			if tt.want == "" {
				if !errors.Is(err, ErrNoMechanism) {
					t.Fatalf("%s, %v", n, err)
				}
				return
			}
			if err != nil || n != tt.want {
				t.Fatalf("%s, %v; want %s", n, err, tt.want)
			}
			first, err := c.Start()
			if err != nil || len(first) < len(tt.flag) || string(first[:len(tt.flag)]) != tt.flag {
				t.Errorf("%q, %v", first, err)
			}
		})
	}
}
