package c2s

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
)

func plain(authzid, user, pass string) string {
	return "<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte(authzid+"\x00"+user+"\x00"+pass)) + "</auth>"
}

func TestSASL(t *testing.T) {
	r := newRig(t, rigOptions{})
	check(t, r.accounts.Create(t.Context(), jid.MustParse("carol@example.org"), password, false))
	check(t, r.accounts.SetDisabled(t.Context(), jid.MustParse("carol@example.org"), true))
	for _, tc := range []struct{ name, send, want string }{
		{"PLAIN", plain("", "alice", password), "<success"},
		{"PLAIN as oneself", plain("alice@example.org", "alice", password), "<success"},
		{"PLAIN with another case", plain("", "ALICE", password), "<success"},
		{"wrong password", plain("", "alice", "wrong horse"), "not-authorized"},
		{"no such user", plain("", "nobody", password), "not-authorized"},
		{"as another user", plain("bob@example.org", "alice", password), "invalid-authzid"},
		{"as the same name elsewhere", plain("alice@example.net", "alice", password), "invalid-authzid"},
		{"disabled", plain("", "carol", password), "account-disabled"},
		{"unknown mechanism", "<auth xmlns='" + ns.SASL + "' mechanism='CRAM-MD5'/>", "invalid-mechanism"},
		{"no mechanism", "<auth xmlns='" + ns.SASL + "'/>", "invalid-mechanism"},
		{"not base64", "<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>%%%</auth>", "incorrect-encoding"},
		{"malformed", "<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>YQ==</auth>", "malformed-request"},
		{"abort", "<abort xmlns='" + ns.SASL + "'/>", "aborted"},
		{"response to nothing", "<response xmlns='" + ns.SASL + "'/>", "malformed-request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := as(t, r).dial("c2s")
			p.secure()
			p.send(tc.send)
			p.expect(tc.want)
		})
	}
	t.Run("SCRAM with a wrong password, then the right one", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.scram("alice", "wrong horse")
		p.expect("<failure", "not-authorized")
		p.auth("alice", password)
		p.bind("")
	})
}

// TestTooManyAttempts: RFC 6120 §6.4.5.
func TestTooManyAttempts(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial("c2s")
	p.secure()
	for range maxFailures {
		p.send(plain("", "alice", "wrong horse"))
		p.expect("<failure", "not-authorized")
	}
	p.refused("policy-violation")
}

// TestGuessing: after too many failures an account is refused from that address, even with the right password; others are not.
func TestGuessing(t *testing.T) {
	r := newRig(t, rigOptions{})
	for range 2 {
		p := r.dial("c2s")
		p.secure()
		for range maxFailures {
			p.send(plain("", "alice", "wrong horse"))
			p.expect("<failure", "not-authorized")
		}
		p.refused("policy-violation")
	}
	p := r.dial("c2s")
	p.secure()
	p.send(plain("", "alice", password))
	p.expect("<failure", "temporary-auth-failure")
	p.send(plain("", "bob", password))
	p.expect("<success")
}

func TestFeatures(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial("c2s")
	features := p.secure()
	for _, want := range []string{
		"<mechanism>SCRAM-SHA-512-PLUS</mechanism>", "<mechanism>SCRAM-SHA-256</mechanism>", "<mechanism>SCRAM-SHA-1</mechanism>", "<mechanism>PLAIN</mechanism>",
		"type='tls-exporter'", "type='tls-server-end-point'", "<max-bytes>8192</max-bytes>", "<idle-seconds>",
	} {
		if !strings.Contains(features, want) {
			t.Errorf("no %s in %s", want, features)
		}
	}
	for _, no := range []string{"compress", "starttls", "tls-unique", "EXTERNAL"} {
		if strings.Contains(features, no) {
			t.Errorf("%s in %s", no, features)
		}
	}
	p.scram("alice", password)
	p.expect("<success")
	p.open()
	p.expect("<stream:features", "<bind", "<session", "<optional/>", "urn:xmpp:sm:3", "<max-bytes>262144</max-bytes>")
}
