// Package tlscert holds the server's certificates and the TLS settings made
// from them, and checks the certificates of other servers.
//
// A [Store] serves certificates by name. It gets them from a [Source]: files of
// the operator ([Files]) or certificates the server makes itself
// ([SelfSigned]); an ACME client is one more Source. [Store.Reload] replaces
// them atomically and keeps what it has when the new ones are bad.
// [Store.Run] is the only goroutine of the package and belongs to its caller.
//
// It opens no sockets. It is not where the decision falls whether an unverified
// peer is spoken to; [Verifier] only says what a certificate proves.
//
// Specifications: RFC 9525 (names), RFC 6120 §13.7 (certificates in XMPP),
// RFC 7590 (TLS for XMPP), XEP-0368 (ALPN of direct TLS), XEP-0178 (server
// certificates as identity), RFC 4985 (SRVName).
//
//	src := tlscert.SelfSigned{Dir: dataDir + "/tls"}
//	store, err := tlscert.Open(ctx, tlscert.Options{Source: src, Names: hosts, Log: log})
//	config := store.Config(tlscert.C2SDirect)
//	for _, name := range store.Missing(hosts) { log.Warn("certificate lacks a name", "name", name) }
package tlscert
