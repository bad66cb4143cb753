// Package matrixid makes and parses the ids of Matrix (users, rooms, aliases,
// links) and the names that XMPP people and rooms have there.
//
// It is pure: no I/O, no goroutines, no state. It does not turn Matrix ids into
// XMPP addresses; the server's codec does, from the bridge's AddressShape.
//
// Specifications: Matrix v1.15, Appendices "Identifier grammar" and "Mapping
// from other character sets"; MSC4291 (room ids without a server).
//
//	ns := matrixid.Namespace{Prefix: "_xmpp_", Server: "hs.example"}
//	ns.Person("alice@example.org").UserID // "@_xmpp_alice=40example.org:hs.example"
//	matrixid.Parse("https://matrix.to/#/%23ops:hs.example?via=hs.example")
package matrixid
