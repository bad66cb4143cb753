package c2s

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/auth"
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

// TestRefusals: what fails before a proof is looked at is no guess. An old client that cannot bind as the server can comes to a mechanism that it can use, and its
// detour counts for nothing against the account or the address; but it is bounded for each stream.
func TestRefusals(t *testing.T) {
	scram := func(mechanism, flag string) string {
		first := base64.StdEncoding.EncodeToString([]byte(flag + ",,n=alice,r=fyko+d2lbbFgONRv9qkxdawL"))
		return "<auth xmlns='" + ns.SASL + "' mechanism='" + mechanism + "'>" + first + "</auth>"
	}
	detour := []string{
		scram("SCRAM-SHA-512-PLUS", "p=tls-unique"), scram("SCRAM-SHA-256-PLUS", "p=tls-unique"), scram("SCRAM-SHA-1-PLUS", "p=tls-unique"),
		scram("SCRAM-SHA-512", "y"), scram("SCRAM-SHA-256", "y"), scram("SCRAM-SHA-1", "y"),
	}
	for _, tc := range []struct {
		name string
		send []string
		want string // of each
		last string // sent after them; "": the stream must be over
	}{
		{"slixmpp 1.8", detour, "not-authorized", plain("", "alice", password)},
		{"four guesses beside", append(slices.Repeat([]string{plain("", "alice", "wrong horse")}, maxFailures-1), detour...), "not-authorized", plain("", "alice", password)},
		{"bindings without end", slices.Repeat(detour[:1], maxRefusals), "not-authorized", ""},
		{"downgrades without end", slices.Repeat(detour[5:], maxRefusals), "not-authorized", ""},
		{"aborts without end", slices.Repeat([]string{"<abort xmlns='" + ns.SASL + "'/>"}, maxRefusals), "aborted", ""},
		{"unknown mechanisms without end", slices.Repeat([]string{"<auth xmlns='" + ns.SASL + "' mechanism='CRAM-MD5'/>"}, maxRefusals), "invalid-mechanism", ""},
		{"malformed without end", slices.Repeat([]string{"<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>YQ==</auth>"}, maxRefusals), "malformed-request", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			throttle := auth.NewThrottle(auth.ThrottleOptions{PerAddress: maxFailures, PerAccount: maxFailures})
			r := newRig(t, rigOptions{change: func(o *Options) { o.Throttle = throttle }})
			p := r.dial("c2s")
			p.secure()
			for _, s := range tc.send {
				p.send(s)
				p.expect("<failure", tc.want)
			}
			if tc.last == "" {
				p.refused("policy-violation")
				p = r.dial("c2s") // and nobody is locked out
				p.secure()
				tc.last = plain("", "alice", password)
			}
			p.send(tc.last)
			p.expect("<success")
		})
	}
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
