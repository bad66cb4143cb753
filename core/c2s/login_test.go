package c2s

import (
	"testing"
)

func TestLogin(t *testing.T) {
	r := newRig(t, rigOptions{})
	t.Run("STARTTLS", func(t *testing.T) {
		p := r.login("alice", "phone")
		p.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.expect("<iq", "id='1'", "type='result'", "to='alice@example.org/phone'")
		p.send("</stream:stream>")
		p.expect("</stream>")
		p.expect("EOF")
	})
	t.Run("direct TLS", func(t *testing.T) {
		p := r.dial("c2s_tls")
		p.handshake()
		p.openSecure()
		p.auth("bob", password)
		p.bind("")
	})
}
