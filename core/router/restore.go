package router

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Restore returns a kept message (of the Offline or an Unacked list) as its account is to get it: with what was stamped on its first copy, and
// with the time since which it has been waiting (XEP-0203).
func (r *Router) Restore(ctx context.Context, account jid.JID, kept storage.Stored) (*stanza.Stanza, error) {
	return r.restore(ctx, account, kept, true)
}

// restore is Restore; late adds the stamp of a delay.
func (r *Router) restore(ctx context.Context, account jid.JID, kept storage.Stored, late bool) (*stanza.Stanza, error) {
	st, err := stanza.Unmarshal(kept.Body)
	if err != nil {
		return nil, fmt.Errorf("router: restore message: %w", err)
	}
	m := event.AccountMessage{MessageRecord: event.NewMessageRecord(nil, kept.Msg, st), Account: account.Bare()}
	if err := r.o.Events.Route.Restored.Decide(ctx, &m); err != nil {
		return nil, fmt.Errorf("router: restore message: %w", err)
	}
	st = m.Stanza
	if late {
		m.Stamp = append(m.Stamp, delay.Node(account.DomainJID(), kept.Msg.Time(), ""))
	}
	return st.WithPayload(st.Payload.With(m.Stamp...)), nil
}

// Undelivered takes a stanza that was in the ring of a session which is over and has not reached its client. XEP-0198 §5: it is handled as if
// it had been sent to a resource that is not there, but a message to a person is not lost for that.
func (r *Router) Undelivered(ctx context.Context, full jid.JID, st *stanza.Stanza) {
	u := journal.NewUnit(journal.AccountLane(full.Bare().String()))
	defer r.recover(ctx, u, st)
	switch st.Kind {
	case stanza.Message:
		m := &mail{typ: messageType(st), to: st.To, keep: hints.Of(st), moved: true}
		if m.typ == stanza.TypeChat || m.typ == stanza.TypeNormal {
			m.to = full.Bare()
		}
		m.MessageRecord, m.Account = event.NewMessageRecord(u, r.o.IDs.Next(), st), full.Bare()
		r.place(ctx, m)
	case stanza.IQ:
		r.refuse(ctx, u, st, stanza.NewError(stanza.ServiceUnavailable, "The resource has gone."))
	default:
		r.o.Journal.Submit(u)
	}
}
