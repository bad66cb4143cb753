// Package jid holds XMPP addresses (RFC 7622): parsing, preparation and comparison.
//
// A JID is an immutable value of one string and two lengths. Its parts are kept prepared, so two
// JIDs are equal exactly when == says so, and a JID is a good map key. The zero value is "no
// address".
//
// What is enforced:
//   - localpart: the UsernameCaseMapped profile of RFC 8265, without the eight characters that
//     RFC 7622 §3.3.1 takes out;
//   - domainpart: IDNA2008 with U-labels as the kept form (A-labels are converted), an IPv4
//     address, or an IPv6 address in brackets; a trailing dot is dropped;
//   - resourcepart: the OpaqueString profile of RFC 8265;
//   - each part has 1 to 1023 bytes.
//
// Addresses of peers that still prepare with stringprep (RFC 6122) are accepted as far as that is
// safe: a localpart may hold symbols and punctuation, and the invisible code points that stringprep
// deletes are deleted from a resourcepart that OpaqueString would refuse. Strict tells whether a
// JID does without that latitude; give accounts only to those.
//
// The package does not fold look-alikes (a Cyrillic "а" stays one) and does no DNS. It is pure,
// starts no goroutines, and all of it may be used concurrently.
//
//	j, err := jid.Parse("Juliet@example.com/balcony")
//	j.Local()         // "juliet"
//	j.Bare().String() // "juliet@example.com"
//
// Specifications: RFC 7622, RFC 8264, RFC 8265, RFC 5890 to 5893, XEP-0106.
package jid
