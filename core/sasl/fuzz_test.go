package sasl

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzClientFirst(f *testing.F) {
	for _, s := range []string{
		"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "y,a=juliet=2Cx,n=us=3Der,r=abc", "p=tls-exporter,,n=user,r=abc,x=y", "n,,m=x,n=user,r=a", "p=,,n=,r=", "n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseClientFirst(in)
		if err != nil {
			return
		}
		if m.header+m.bare != string(in) {
			t.Fatalf("%q + %q is not %q", m.header, m.bare, in)
		}
		if m.username == "" || m.nonce == "" || strings.ContainsAny(m.nonce, ", \x00") {
			t.Fatalf("%+v", m)
		}
		if !strings.HasPrefix(m.bare, "n="+escapeName(m.username)+",r="+m.nonce) {
			t.Fatalf("%q is not escaped back: %q", m.username, m.bare)
		}
		if (m.flag == 'p') != (m.binding != "") {
			t.Fatalf("%+v", m)
		}
	})
}

func FuzzClientFinal(f *testing.F) {
	for _, s := range []string{"c=biws,r=abc,p=AAAA", "c=biws,r=abc,x=y,p=", "c=,r=a,p=!", "c=biws,r=a,p=AAAA,p=AAAA"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseClientFinal(in)
		if err == nil && (m.nonce == "" || !strings.HasPrefix(string(in), m.bare+",p=")) {
			t.Fatalf("%+v of %q", m, in)
		}
	})
}

func FuzzServerFirst(f *testing.F) {
	for _, s := range []string{"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096", "r=a,s=QQ==,i=1,h=x,t=0304", "r=a,s=,i=0", "e=other-error"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseServerFirst(in)
		if err == nil && (m.nonce == "" || len(m.salt) == 0 || m.iterations < 1) {
			t.Fatalf("%+v of %q", m, in)
		}
	})
}

// FuzzExchange feeds two messages to each mechanism: whatever they are, nobody
// gets in who does not know the password, and every error has a condition.
func FuzzExchange(f *testing.F) {
	f.Add(uint8(0), []byte("n,,n=user,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add(uint8(3), []byte("p=tls-exporter,,n=user,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add(uint8(6), []byte("\x00user\x00x"), []byte{})
	f.Add(uint8(6), []byte(nil), []byte("a\x00user\x00y"))
	cred, err := DeriveCredentials(SHA1, "pencil", []byte("QSXCR"), 4096)
	if err != nil {
		f.Fatal(err)
	}
	salted := sourceFunc(func(u string, h Hash) (Credentials, bool, error) { return cred, u == "user" && h == SHA1, nil })
	srv, err := NewServer(Config{Domain: "example.org", Source: salted, Secret: testSecret, AllowPlain: true, Iterations: minIterations})
	if err != nil {
		f.Fatal(err)
	}
	offer := srv.Offer(fakeChannel())
	f.Fuzz(func(t *testing.T, which uint8, first, second []byte) {
		n := offer.Mechanisms[int(which)%len(offer.Mechanisms)]
		x, err := srv.Start(string(n), offer)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{first, second} {
			reply, err := x.Step(context.Background(), in)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || e.Condition == TemporaryAuthFailure {
					t.Fatalf("%T %v", err, err)
				}
				return
			}
			if reply.Done && !strings.HasSuffix(string(in), "\x00pencil") {
				t.Fatalf("%s let %q, %q in as %+v", n, first, second, reply.Identity)
			}
			if reply.Done {
				return
			}
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{"", "=", "AGE=", "AG\nE=", "AGF="} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, initial bool) {
		out, err := DecodeText(in, initial)
		if err != nil {
			return
		}
		if back := EncodeText(out); back != string(in) && len(in) > 0 {
			t.Fatalf("%q became %q", in, back)
		}
	})
}
