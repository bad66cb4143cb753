package router

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// lead puts before the rows of a stored message what recognises its repetition: a client that has lost its stream before the
// acknowledgement sends it again.
func lead(u *journal.Unit, rec *event.MessageRecord) {
	if op, ok := Dedupe(rec.Stanza, rec.ID); ok {
		u.Lead(op)
	}
}

// Dedupe returns the row by which a retry of the message is recognised: the same sender (whatever the resource, which changes with the
// stream), the same address, the same origin-id or id, and the same content. ok is false for a message without an id, of which nobody can
// say whether it is a retry.
func Dedupe(st *stanza.Stanza, id storage.MessageID) (op storage.Dedupe, ok bool) {
	mark := stanzaid.Origin(st.Payload)
	if mark == "" {
		mark = st.ID
	}
	if mark == "" {
		return storage.Dedupe{}, false
	}
	h := sha256.New()
	for _, part := range [...][]byte{[]byte(st.From.Bare().String()), []byte(st.To.String()), []byte(mark), content(st)} {
		var n [8]byte // separated by length, so that no two different lists of parts are the same bytes
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	op = storage.Dedupe{Scope: st.From.Bare().String(), ID: int64(id), At: id.Time()}
	copy(op.Key[:], h.Sum(nil))
	return op, true
}

// content is the body, or everything where there is none: a retry of an encrypted message may be encrypted anew behind the same body.
func content(st *stanza.Stanza) []byte {
	if c, ok := st.Child(ns.Client, "body"); ok {
		return []byte(c.Text())
	}
	return st.Payload.Bytes()
}
