// Package attacks tries on the built program what servers of this kind have suffered, and the bad input that a server must survive.
//
//   - TestRow… are the rows of docs/attacks.md that are not tested in the package they concern; each is named after its row.
//   - TestInput… are bad input at each border: the stream, the configuration, the data directory, the plugins.
//   - TestGrammar plays random sessions, valid and not, while others talk, and looks at what the server has left of it.
//   - TestEveryRowIsTested holds docs/attacks.md and the tests of the whole tree together.
//
// What it is not: the protocol's own tests, which stand beside what they test. It is a package of tests; [Client] is what they share. The
// test binary is also the plugin that lies, under the name viaduct-liar.
//
// Goroutines: those of the tests that play several clients, which wait for them; a Client has none.
//
// Specifications: RFC 6120 §13, RFC 6121 §11, XEP-0045 §13, XEP-0198 §9 and the security considerations of what the rows name.
//
//	c, err := attacks.Dial(ctx, server.C2STLS, true)
//	err = c.Login("alice", "password", "phone")
package attacks
