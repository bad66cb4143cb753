package event

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Route are the points of the router. They run in the goroutine that routes the stanza.
type Route struct {
	// Any sees every stanza before a decision on it (block lists, policy between hosts).
	Any Point[Routed]
	// Sent is a message from a local account, once per message, on the sender's behalf (her archive, her carbons).
	Sent Point[AccountMessage]
	// Account is a message to a local account (bare or full JID): who gets it is decided, nothing is delivered (archive, offline store, push).
	Account Point[AccountMessage]
	// Restored is a stored message that is delivered from a list (Offline, Unacked) instead of from its route: rewriters stamp again what they
	// had stamped on the first copy. Its unit is nil and Targets is empty.
	Restored Point[AccountMessage]
	// Remote is a stanza to a domain that is not ours.
	Remote Point[Routed]
	// Linked: a domain elsewhere can be reached again after it could not, or after stanzas may have been lost. Whoever keeps the streams fires it,
	// in any goroutine.
	Linked Point[Linked]
}

func (p *Route) register(c *Catalogue) {
	add(c, &p.Any, "route.any")
	add(c, &p.Sent, "route.sent")
	add(c, &p.Account, "route.account")
	add(c, &p.Restored, "route.restored")
	add(c, &p.Remote, "route.remote")
	add(c, &p.Linked, "route.linked")
}

// Linked is the return of a domain elsewhere.
type Linked struct {
	Domain string
}

// Routed is a stanza on its way.
type Routed struct {
	Stanza *stanza.Stanza
	Unit   *journal.Unit
	// Origin is the domain of the stream or component it came by; "" for this server itself.
	Origin string
}

// MessageRecord is one message with its place in the store: its body is stored at most once, whoever refers to it.
type MessageRecord struct {
	Stanza *stanza.Stanza // as it is stored: complete, without what is stamped per archive
	Unit   *journal.Unit
	ID     storage.MessageID
	stored bool
}

// NewMessageRecord returns the record of a message that is not stored yet.
func NewMessageRecord(u *journal.Unit, id storage.MessageID, st *stanza.Stanza) *MessageRecord {
	return &MessageRecord{Stanza: st, Unit: u, ID: id}
}

// Ref adds a reference to the message, and the message itself if it is the first.
func (r *MessageRecord) Ref(kind storage.RefKind, owner, peer string, note []byte) {
	if !r.stored {
		r.stored = true
		r.Unit.Add(storage.PutMessage{ID: r.ID, Body: r.Stanza.Marshal()})
	}
	r.Unit.Add(storage.PutRef{Ref: storage.Ref{Kind: kind, Owner: owner, ID: r.ID, Msg: r.ID, Peer: peer, Note: note}})
}

// Stored tells whether somebody refers to the message: then it is durable and delivered after the commit only.
func (r *MessageRecord) Stored() bool { return r.stored }

// AccountMessage is a message of or to a local account.
type AccountMessage struct {
	*MessageRecord
	Account jid.JID // bare JID of the account at hand
	// Targets are the sessions that will get it (RFC 6121 §8.5); rewriters may add or remove some. Empty: nobody is there.
	Targets []SessionInfo
	// Stamp collects elements that are added to the copy of this account only, such as its stanza-id (XEP-0359).
	Stamp []*xmlstream.Node
	// Offline is set by the module that keeps the message for later; if nobody is there and nobody keeps it, the sender gets
	// service-unavailable (RFC 6121 §8.5.2.2.1).
	Offline bool
	// Archived is set by the module that keeps the message in this account's archive: then it is not lost even if nobody is there.
	Archived bool
}
