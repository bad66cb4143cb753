package xmpptest_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestChat(t *testing.T) {
	s := xmpptest.Start(t, xmpptest.Options{})
	alice := s.Login(t, "alice@example.org/phone")
	bob := s.Login(t, "bob@example.org/desk")
	alice.Online()
	bob.Online()
	alice.Send("<message to='bob@example.org' type='chat' id='m1'><body>hi</body></message>")
	bob.Expect("<message from='alice@example.org/phone' to='bob@example.org' id='m1' type='chat'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='bob@example.org' id='{*}'/></message>")
	bob.Send("<message to='alice@example.org/phone' type='chat' id='m2'><body>hello</body></message>")
	alice.Expect("<message from='bob@example.org/desk' id='m2' type='chat'><body>hello</body>...</message>")
}
