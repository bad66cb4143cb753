// Package sasl holds the authentication mechanisms of Viaduct as pure state
// machines: the server side of SCRAM-SHA-1, -256 and -512 with their -PLUS
// forms, PLAIN and EXTERNAL, and the client side of the same.
//
// It knows neither XML nor sockets nor accounts. A stream layer takes bytes out
// of <auth/> and <response/>, hands them to an [Exchange], and writes back what
// it answers. Credentials come through [CredentialSource], facts about TLS
// through [Channel]. The package starts no goroutines; an Exchange belongs to
// the one goroutine that runs its stream, a [Server] may be shared by all.
//
// What it promises:
//   - an unknown user costs the same operations as a known one, and is shown a
//     salt that never changes (RFC 5802 §9);
//   - only a mechanism that was offered on this stream can be started;
//   - the identity a client asks to act as equals the one it proved, unless a
//     configured right says otherwise;
//   - every error carries the RFC 6120 §6.5 condition for the peer, and the
//     detail for the log.
//
// Specifications: RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM),
// RFC 5929 and RFC 9266 (channel binding), RFC 6120 §6, RFC 4013 and RFC 8265
// (preparation), XEP-0440 (binding types), XEP-0474 (mechanism list hash),
// XEP-0480 (credential upgrades), XEP-0515 (TLS version).
//
//	srv, err := sasl.NewServer(sasl.Config{Domain: "example.org", Source: accounts, Secret: key})
//	channel := sasl.FromTLS(state, leaf)
//	offer := srv.Offer(channel)            // advertise offer.Mechanisms, offer.BindingTypes()
//	x, err := srv.Start("SCRAM-SHA-256-PLUS", offer)
//	reply, err := x.Step(ctx, initial)     // until reply.Done; then reply.Identity
package sasl
