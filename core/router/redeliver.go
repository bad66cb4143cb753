package router

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Redeliver hands messages of an account's Offline list to one of its sessions, in their order, and takes them off the list: for a session with
// stream management they move to its Unacked list before they are sent, for another they are removed once they are in its ring. done is
// told, in the account's lane, how many the session has taken; the others are still in the list.
// fresh tells which of them come without a delay stamp.
func (r *Router) Redeliver(ctx context.Context, to event.SessionInfo, kept []storage.Stored, fresh func(i int) bool, done func(taken int)) {
	account := to.JID.Bare()
	sts := make([]*stanza.Stanza, len(kept))
	u := journal.NewUnit(journal.AccountLane(account.String()))
	for i := range kept {
		st, err := r.restore(ctx, account, kept[i], !fresh(i))
		if err != nil {
			r.log.Error("a kept message cannot be read", "account", account.String(), "id", int64(kept[i].ID), "err", err)
			continue // it is taken off the list: it would be in the way for ever
		}
		sts[i] = st
		if to.SMID != "" {
			u.Add(storage.PutRef{Ref: storage.Ref{Kind: storage.Unacked, Owner: to.SMID, ID: kept[i].ID, Msg: kept[i].Msg}},
				storage.DeleteRef{Kind: storage.Offline, Owner: account.String(), ID: kept[i].ID})
		}
	}
	u.After(r.lanes.of(account), func(err error) {
		if err != nil {
			r.log.Error("kept messages could not be delivered", "account", account.String(), "err", err)
			done(0)
			return
		}
		r.redelivered(account, to, kept, sts, done)
	})
	r.o.Journal.Submit(u)
}

// redelivered puts the messages into the session's ring, and tells done once the list shows it.
func (r *Router) redelivered(account jid.JID, to event.SessionInfo, kept []storage.Stored, sts []*stanza.Stanza, done func(int)) {
	owner := account.String()
	u := journal.NewUnit(journal.AccountLane(owner))
	taken := r.pushKept(u, owner, to, kept, sts)
	r.stats.delivered.Add(uint64(taken))
	u.After(r.lanes.of(account), func(err error) {
		if err != nil {
			r.log.Error("delivered messages could not be taken off the list", "account", owner, "err", err)
		}
		done(taken)
	})
	r.o.Journal.Submit(u)
}

// pushKept pushes until the session is gone, and adds to u what the list loses and gains by that.
func (r *Router) pushKept(u *journal.Unit, owner string, to event.SessionInfo, kept []storage.Stored, sts []*stanza.Stanza) int {
	for i, st := range sts {
		it := session.Item{At: kept[i].Msg.Time()}
		if st != nil {
			it.Wire, it.To = st.Wire(), st.To
		}
		if to.SMID != "" {
			it.Msg = kept[i].ID
		}
		if st != nil && !r.o.Sessions.Push(to.JID, it) {
			if to.SMID != "" { // what the session had was moved back when it ended; this came too late for that
				for _, k := range kept[i:] {
					u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: to.SMID, ID: k.ID},
						storage.PutRef{Ref: storage.Ref{Kind: storage.Offline, Owner: owner, ID: k.ID, Msg: k.Msg, Note: k.Note}})
				}
			}
			return i
		}
		if st == nil || to.SMID == "" {
			u.Add(storage.DeleteRef{Kind: storage.Offline, Owner: owner, ID: kept[i].ID})
		}
	}
	return len(sts)
}
