// Package xmpptest runs a whole core server in a test, on real sockets with a store of its own, gives it clients that send and expect XML, and
// plays readable scenarios against it.
//
//	s := xmpptest.Start(t, xmpptest.Options{})
//	alice := s.Login(t, "alice@example.org/phone")
//	alice.Send("<presence/>")
//	alice.Expect("<presence from='alice@example.org/phone'/>")
//
// A scenario is a file; see script.go for the language:
//
//	# RFC 6121 §8.5.3.1: a message to a full JID goes to that resource.
//	alice comes online
//	bob comes online
//	alice sends: <message to='{bob.full}' type='chat'><body>hi</body></message>
//	bob receives: <message from='{alice.full}' type='chat'><body>hi</body></message>
//
// What it is not: a client library; it knows as much of XMPP as tests need. Only tests and internal/dev import it.
//
// Goroutines: those of the server, and one for each client that reads. All end with the test.
package xmpptest
