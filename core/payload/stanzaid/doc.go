// Package stanzaid reads, writes and strips the ids of XEP-0359: the stanza-id that an archive gives a message and the origin-id of its
// sender.
//
// Inside the server a message has a 63-bit number (storage.MessageID). XEP-0359 §6 forbids that anything can be inferred from what is seen
// outside, so on the wire it is one AES block of (number, eight zero bytes) under a key of its archive, in base32. Decoding checks
// the zeros: an id that another archive made, or nobody, is refused. The key of an archive is HKDF-SHA-256 of the server's secret and the
// archive's address.
//
// What it is not: it decides neither who is given an id nor which foreign ids must go ([Strip] is told).
//
// Goroutines: none. A [Codec] is safe for concurrent use.
//
//	codec, _ := stanzaid.NewCodec(secret)
//	msg = msg.WithPayload(msg.Payload.With(stanzaid.Node(archive, codec.Encode(archive.String(), id))))
package stanzaid
