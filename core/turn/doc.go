// Package turn is a STUN and TURN server: it tells clients the address from which they are seen, and relays their calls where two cannot reach each
// other.
//
// Nobody relays without credentials, which are made by core/modules/extdisco and end. Nothing is relayed to private, loopback, link-local or otherwise special
// addresses, unless the operator allows a range: a relay inside a network is a door into it. Each person has so many allocations and so many bytes a
// second over all of them (attacks row 37).
//
// What it is not: it relays no TCP (RFC 6062), and it keeps nothing; calls that are relayed end with the process.
//
// Specifications: RFC 8489 (STUN), RFC 8656 (TURN), by pion/turn; draft-uberti-behave-turn-rest-00 (credentials).
//
// Goroutines: those of pion/turn for each listener, connection and allocation; Stop ends them.
//
//	relay, err := turn.Start(ctx, turn.Options{UDP: []string{":3478"}, Realm: "example.org", Secret: key, RelayIP: netip.MustParseAddr("203.0.113.5")})
//	defer relay.Stop()
package turn
