package tlscert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIdentities(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{otherNames(t, []string{"Example.org"}, []string{"_XMPP-server.im.example"}, []string{"juliet@im.example"})}
	})
	ids, err := ParseIdentities(cert.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	want := Identities{DNS: []string{"example.org"}, SRV: []string{"_xmpp-server.im.example"}, XMPPAddr: []string{"juliet@im.example"}}
	if d := cmp.Diff(want, ids); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		domain, service string
		want            bool
	}{
		{"example.org", "xmpp-server", true},
		{"EXAMPLE.org", "xmpp-client", true},
		{"im.example", "xmpp-server", true},
		{"im.example", "xmpp-client", false},
		{"a.im.example", "xmpp-server", false},
		{"a.example.org", "xmpp-server", false},
		{"", "xmpp-server", false},
	} {
		if got := ids.Match(tt.domain, tt.service); got != tt.want {
			t.Errorf("%s as %s: %v", tt.domain, tt.service, got)
		}
	}
}

// Attack 18: what a certificate must not prove.
func TestVerify(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	var many []string
	for i := range maxNames + 1 {
		many = append(many, fmt.Sprintf("h%d.test", i))
	}
	tests := []struct {
		name   string
		by     authority
		change func(*x509.Certificate)
		names  []string
		domain string
		want   bool
	}{
		{"serverAuth only", ca, nil, []string{"a.test"}, "a.test", true},
		{"any usage", ca, usage(x509.ExtKeyUsageAny), []string{"a.test"}, "a.test", true},
		{"no usage", ca, usage(), []string{"a.test"}, "a.test", true},
		{"client usage only", ca, usage(x509.ExtKeyUsageClientAuth), []string{"a.test"}, "a.test", false},
		{"mail usage only", ca, usage(x509.ExtKeyUsageEmailProtection), []string{"a.test"}, "a.test", false},
		{"foreign root", foreign, nil, []string{"a.test"}, "a.test", false},
		{"another name", ca, nil, []string{"b.test"}, "a.test", false},
		{"common name", ca, func(c *x509.Certificate) { c.Subject.CommonName = "a.test" }, nil, "a.test", false},
		{"wildcard", ca, nil, []string{"*.a.test"}, "b.a.test", true},
		{"wildcard over two labels", ca, nil, []string{"*.a.test"}, "c.b.a.test", false},
		{"wildcard for its parent", ca, nil, []string{"*.a.test"}, "a.test", false},
		{"partial wildcard", ca, nil, []string{"x*.a.test"}, "xy.a.test", false},
		{"suffix without a dot", ca, nil, []string{"a.test"}, "ba.test", false},
		{"U-label asked", ca, nil, []string{"xn--bcher-kva.test"}, "bücher.test", true},
		{"asked for a wildcard", ca, nil, []string{"*.a.test"}, "*.a.test", false},
		{"expired", ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, []string{"a.test"}, "a.test", false},
		{"too many names", ca, nil, many, "h0.test", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert := tt.by.issue(t, tt.change, tt.names...)
			err := Verifier{Roots: ca.pool()}.Verify([]*x509.Certificate{cert.Leaf}, tt.domain, "xmpp-server")
			if (err == nil) != tt.want {
				t.Errorf("%v", err)
			}
		})
	}
	if err := (Verifier{}).Verify(nil, "a.test", "xmpp-server"); err == nil {
		t.Error("no certificate was enough")
	}
}

func TestIdentitiesMalformed(t *testing.T) {
	good := otherNames(t, []string{"a.test"}, []string{"_xmpp-server.a.test"}, []string{"a@a.test"}).Value
	if err := new(Identities).parse(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if err := new(Identities).parse(good[:i]); err == nil {
			t.Errorf("the first %d of %d bytes were taken", i, len(good))
		}
	}
	if err := new(Identities).parse(append(good, 0)); err == nil {
		t.Error("trailing bytes were taken")
	}
}

func FuzzIdentities(f *testing.F) {
	f.Add(otherNames(f, []string{"a.test", "*.a.test"}, []string{"_xmpp-server.a.test"}, []string{"a@a.test"}).Value)
	f.Add([]byte{0x30, 0})
	f.Add([]byte{0x30, 2, 0xa0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		var ids Identities
		if err := ids.parse(der); err != nil {
			return
		}
		if n := len(ids.DNS) + len(ids.SRV) + len(ids.XMPPAddr); n > maxNames || n > len(der) {
			t.Fatalf("%d names of %d bytes", n, len(der))
		}
		ids.Match("a.test", "xmpp-server")
	})
}
