// Package matrixtest is a homeserver for tests, over real HTTP: small, strict where
// the specification is, and able to fail on demand. It keeps rooms, members,
// profiles and files, and pushes transactions to an application service as the
// test says: in order, repeated, side by side, with a body the test wrote.
//
// It is no Matrix server: it federates with nobody, checks no power levels beyond
// membership, and everything is gone when it is closed. What real homeservers do
// is witnessed by the tests behind the build tag "interop".
//
// Its goroutines are those of its HTTP server; Close ends them.
//
//	hs := matrixtest.New(matrixtest.Options{ASToken: "as", HSToken: "hs"})
//	defer hs.Close()
//	room := hs.CreateRoom("@alice:hs.test", "Lobby")
//	hs.Say(room, "@alice:hs.test", "hello")
//	status := hs.Push(ctx, bridgeURL) // everything not pushed yet, in one transaction
package matrixtest
