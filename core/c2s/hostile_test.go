package c2s

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// TestHostileStreams is every input that must end a stream, before and after the login (attacks rows 1, 2, 4 and 7 to 9).
func TestHostileStreams(t *testing.T) {
	r := newRig(t, rigOptions{config: Config{StanzaBytes: 20000}})
	everywhere := []struct{ name, send, want string }{
		{"document type", "<!DOCTYPE x [<!ENTITY a 'b'>]><message/>", "restricted-xml"},
		{"comment", "<!-- hello --><message/>", "restricted-xml"},
		{"processing instruction", "<?php x?><message/>", "restricted-xml"},
		{"entity", "<message><body>&lol;</body></message>", "restricted-xml"},
		{"mismatched end", "<message><body></message>", "not-well-formed"},
		{"duplicate attribute", "<message id='1' id='2'/>", "not-well-formed"},
		{"bad UTF-8", "<message><body>\xc3\x28</body></message>", "unsupported-encoding"},
		{"overlong UTF-8", "<message><body>\xc0\xaf</body></message>", "unsupported-encoding"},
		{"surrogate", "<message><body>&#xD800;</body></message>", "not-well-formed"},
		{"NUL", "<message><body>\x00</body></message>", "not-well-formed"},
		{"unbound prefix", "<x:message/>", "bad-namespace-prefix"},
		{"text between stanzas", "hello<message/>", "<stream:error"},
		{"unknown element", "<hello xmlns='urn:example'/>", "unsupported-stanza-type"},
		{"depth", strings.Repeat("<a xmlns='urn:example'>", 200), "policy-violation"},
		{"attributes", "<message" + manyAttrs(100) + "/>", "policy-violation"},
		{"oversize", "<message><body>" + strings.Repeat("x", 30000), "policy-violation"},
	}
	stages := []struct {
		name string
		at   func(t *testing.T) *peer
	}{
		{"in the clear", func(t *testing.T) *peer { p := as(t, r).dial("c2s"); p.open(); p.expect("starttls"); return p }},
		{"before login", func(t *testing.T) *peer { p := as(t, r).dial("c2s"); p.secure(); return p }},
		{"bound", func(t *testing.T) *peer { return as(t, r).login("alice", "") }},
	}
	for _, stage := range stages {
		for _, tc := range everywhere {
			t.Run(stage.name+"/"+tc.name, func(t *testing.T) {
				p := stage.at(t)
				p.send(tc.send)
				p.refused(tc.want)
			})
		}
	}
}

// as is the rig reporting to another test.
func as(t testing.TB, r *rig) *rig {
	sub := *r
	sub.t = t
	return &sub
}

func manyAttrs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i+1) + "='1'")
	}
	return b.String()
}

// refused expects a stream error, the end of the stream and of the connection.
func (p *peer) refused(condition string) {
	p.t.Helper()
	p.expect("<stream:error", condition)
	p.expect("</stream>")
	if el := p.next(); el != "EOF" {
		p.t.Fatalf("after the end came %s", el)
	}
}

func TestPreAuthLimits(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, tc := range []struct{ name, send string }{
		{"9 KiB", "<iq type='get' id='1'><query xmlns='jabber:iq:register'>" + strings.Repeat("y", 9000)},
		{"33 elements", "<iq type='get' id='1'><query xmlns='jabber:iq:register'>" + strings.Repeat("<a/>", 33)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := as(t, r).dial("c2s")
			p.secure()
			p.send(tc.send)
			p.refused("policy-violation")
		})
	}
}

func TestStreamHeaders(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, tc := range []struct{ name, send, want string }{
		{"unknown host", strings.Replace(header, "example.org", "example.net", 1), "host-unknown"},
		{"no host", strings.Replace(header, " to='example.org'", "", 1), "host-unknown"},
		{"an account as host", strings.Replace(header, "example.org", "alice@example.org", 1), "host-unknown"},
		{"before XMPP 1.0", strings.Replace(header, " version='1.0'", "", 1), "unsupported-version"},
		{"a server's stream", strings.Replace(header, "jabber:client", "jabber:server", 1), "invalid-namespace"},
		{"another root", "<stream xmlns='jabber:client' to='example.org' version='1.0'>", "invalid-namespace"},
		{"an encoding", "<?xml version='1.0' encoding='ISO-8859-1'?>" + header, "unsupported-encoding"},
		{"HTTP", "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "<stream:error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := as(t, r).dial("c2s")
			p.send(tc.send)
			p.expect("<stream>") // RFC 6120 §4.9.1.2
			p.refused(tc.want)
		})
	}
	t.Run("two domain cases are one", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.send(strings.Replace(header, "example.org", "EXAMPLE.ORG", 1))
		p.expect("<stream>")
		p.expect("starttls")
	})
}

// TestInjectionBehindStartTLS: what stands behind <starttls/> in the clear is never read as if it had been encrypted (attacks row 8).
func TestInjectionBehindStartTLS(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial("c2s")
	p.open()
	p.expect("starttls")
	p.send("<starttls xmlns='" + ns.TLS + "'/><auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>AGFsaWNlAGNvcnJlY3QgaG9yc2U=</auth>")
	if el := p.next(); el != "EOF" && !strings.Contains(el, "<stream:error") {
		t.Fatalf("the server went on: %s", el)
	}
}

// TestNothingInTheClear: before TLS there is no mechanism and no way in (attacks row 7).
func TestNothingInTheClear(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.dial("c2s")
	p.open()
	features := p.expect("starttls", "required")
	for _, no := range []string{"mechanism", "register", "compression"} {
		if strings.Contains(features, no) {
			t.Errorf("%s is offered in the clear: %s", no, features)
		}
	}
	p.send("<auth xmlns='" + ns.SASL + "' mechanism='PLAIN'>AGFsaWNlAGNvcnJlY3QgaG9yc2U=</auth>")
	p.expect("<failure", "encryption-required")
	p.send("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
	p.refused("not-authorized")
}

// TestHalfOpenTLS: a handshake that is begun and not finished holds nothing for longer than the login deadline allows (attacks row 3, 26).
func TestHalfOpenTLS(t *testing.T) {
	r := newRig(t, rigOptions{config: Config{AuthSeconds: 1}})
	p := r.dial("c2s")
	p.open()
	p.expect("starttls")
	p.send("<starttls xmlns='" + ns.TLS + "'/>")
	p.expect("<proceed")
	_, err := p.conn.Write([]byte{22, 3, 1}) // half a record header
	check(t, err)
	if el := p.next(); el != "EOF" {
		t.Fatalf("got %s", el)
	}
}

// TestStanzasTooEarly: RFC 6120 §7.1 and §4.9.3.12.
func TestStanzasTooEarly(t *testing.T) {
	r := newRig(t, rigOptions{})
	t.Run("before login", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.send("<message to='bob@example.org'><body>hi</body></message>")
		p.refused("not-authorized")
	})
	t.Run("before binding", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.auth("alice", password)
		p.send("<presence/>")
		p.refused("not-authorized")
	})
	t.Run("STARTTLS twice", func(t *testing.T) {
		p := as(t, r).dial("c2s")
		p.secure()
		p.send("<starttls xmlns='" + ns.TLS + "'/>")
		p.expect("<failure", ns.TLS)
		p.expect("</stream>")
	})
}

func TestForgedFrom(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, tc := range []struct {
		name, from string
		ok         bool
	}{
		{"own full JID", "alice@example.org/a", true},
		{"own bare JID", "alice@example.org", true},
		{"own JID in capitals", "ALICE@example.org/a", true},
		{"somebody else", "bob@example.org", false},
		{"another resource", "alice@example.org/b", false},
		{"the server", "example.org", false},
		{"no address", "a@b@c", false},
		{"nothing", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := as(t, r).login("alice", "a")
			p.send("<iq type='get' id='7' to='example.org' from='" + tc.from + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			if tc.ok {
				p.expect("<iq", "id='7'", "to='alice@example.org/a'")
				return
			}
			p.refused("invalid-from")
		})
	}
}

func TestBadAddress(t *testing.T) {
	r := newRig(t, rigOptions{})
	p := r.login("alice", "a")
	p.send("<iq type='get' id='8' to='a@@b'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq", "id='8'", "type='error'", "jid-malformed")
	p.send("<iq type='get' id='9' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq", "id='9'", "type='result'")
}

// TestOldTLS: TLS 1.2 is the least.
func TestOldTLS(t *testing.T) {
	r := newRig(t, rigOptions{})
	for _, tc := range []struct {
		name string
		max  uint16
		ok   bool
	}{{"1.3", tls.VersionTLS13, true}, {"1.2", tls.VersionTLS12, true}, {"1.1", tls.VersionTLS11, false}} {
		t.Run(tc.name, func(t *testing.T) {
			p := as(t, r).dial("c2s_tls")
			c := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, ServerName: "example.org", MinVersion: tls.VersionTLS10, MaxVersion: tc.max}) //nolint:gosec // the test is about it
			if err := c.HandshakeContext(t.Context()); (err == nil) != tc.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}
