// Package stanza is the three stanza kinds of XMPP (RFC 6120 §8): message, presence and iq, with their common attributes, and stanza
// errors (RFC 6120 §8.3).
//
// A [Stanza] holds its header as values and its payload as an immutable [xmlstream.Fragment]: it is read from the wire once and
// written once. A payload becomes a tree only where somebody needs one. A Stanza that was handed to another goroutine is not changed any
// more; who wants another one copies it (the copy shares the payload) with [Stanza.With].
//
// [Wire] is a serialised stanza without its "to": a fan-out serialises once, and every session's writer puts the receiver in.
package stanza
