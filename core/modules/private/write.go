package private

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// maxWaiting is how many writes of one account wait for the one under way.
const maxWaiting = 256

// set: §2.3: each element replaces the one of its name.
func (m *Module) set(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	list, err := elements(req)
	if err != nil {
		return nil, err
	}
	if len(req.Query.Raw()) > m.o.MaxBytes {
		return nil, &stanza.Error{Condition: stanza.PolicyViolation, Text: fmt.Sprintf("Private data may have %d bytes.", m.o.MaxBytes)}
	}
	w := &write{m: m, ctx: context.WithoutCancel(ctx), req: req, account: req.Target().Bare().Clone(), list: list}
	start, ok := m.turn(w.account, w.run)
	if !ok {
		return nil, stanza.NewError(stanza.ResourceConstraint, "Too many writes wait already; try again later.")
	}
	req.Defer()
	if start {
		w.run()
	}
	return nil, nil
}

// turn takes the account's turn: it is now, or run is called in the module's queue when it comes. False: too many wait.
func (m *Module) turn(account jid.JID, run func()) (now, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting, busy := m.writing[account]
	switch {
	case !busy:
		m.writing[account] = nil
		return true, true
	case len(waiting) >= maxWaiting:
		return false, false
	}
	m.writing[account] = append(waiting, run)
	return false, true
}

// next gives the turn to who has waited longest.
func (m *Module) next(account jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := m.writing[account]
	if len(waiting) == 0 {
		delete(m.writing, account)
		return
	}
	m.writing[account] = waiting[1:]
	m.q.Post(func() { waiting[0]() })
}

// write is one request that writes, in the turn of its account.
type write struct {
	m       *Module
	ctx     context.Context
	req     *module.Request
	account jid.JID
	list    []*xmlstream.Node
}

// run adds the rows, and answers once they, and what a Keeper writes, are durable.
func (w *write) run() {
	kept, err := w.guarded()
	if err != nil {
		w.answer(err)
		return
	}
	var step func(err error)
	step = func(err error) {
		if err != nil || len(kept) == 0 {
			w.answer(err)
			return
		}
		n := kept[0]
		kept = kept[1:]
		w.m.keeper.WritePrivate(w.ctx, w.account, n, func(err error) { w.m.q.Post(func() { step(err) }) })
	}
	w.req.Unit.After(w.m.q, step)
	w.m.d.Journal.Submit(w.req.Unit)
}

// guarded keeps the turn from being held for ever by a panic.
func (w *write) guarded() (kept []*xmlstream.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("private: write: panic: %v", p)
		}
	}()
	return w.rows()
}

// rows adds a row for each element, and returns those that a Keeper writes.
func (w *write) rows() (kept []*xmlstream.Node, err error) {
	m, owner := w.m, w.account.String()
	fresh := map[string]bool{}
	var ops []storage.PutRow
	for _, n := range w.list {
		if m.keeper != nil && m.keeper.KeepsPrivate(n.Name) {
			kept = append(kept, n)
			continue
		}
		switch _, err := m.table.Get(w.ctx, owner, key(n.Name)); {
		case errors.Is(err, storage.ErrNotFound):
			fresh[key(n.Name)] = true
		case err != nil:
			return nil, fmt.Errorf("private: write: %w", err)
		}
		ops = append(ops, storage.PutRow{Table: tableName, Owner: owner, Key: key(n.Name), Value: xmlstream.NewFragment(n).Bytes()})
	}
	if len(fresh) > 0 {
		rows, err := m.table.Range(w.ctx, owner, "", "", m.o.MaxElements, false)
		if err != nil {
			return nil, fmt.Errorf("private: write: %w", err)
		}
		if len(rows)+len(fresh) > m.o.MaxElements {
			return nil, stanza.NewError(stanza.ResourceConstraint, fmt.Sprintf("An account keeps %d elements.", m.o.MaxElements))
		}
	}
	for _, op := range ops {
		w.req.Unit.Add(op)
	}
	return kept, nil
}

// answer ends the request and gives the account's turn on.
func (w *write) answer(err error) {
	st := w.req.IQ.Result()
	if err != nil {
		if se := stanza.AsError(err); se.Condition == stanza.InternalServerError {
			w.m.d.Log.Error("private data could not be written", "account", w.account.String(), "err", err)
		}
		st = w.req.IQ.ErrorReply(err)
	}
	if !w.req.Unit.Submitted() { // nothing was written
		w.m.d.Journal.Submit(w.req.Unit)
	}
	if w.req.Session != nil {
		w.req.Session.Send(st)
	} else {
		w.m.d.Router.Send(w.ctx, st)
	}
	w.m.next(w.account)
}
