package push

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Device is what an administrator sees of one.
type Device struct {
	Account, Service, Node, Client string
	Identity                       string // of the client: category/type
	Options                        bool   // publications carry some
	Enabled, Attempt, Success      time.Time
	Result                         string // of the last attempt
	Sent, Failures, Unseen         int
	Waiting, Flying                bool
	Next                           time.Time // no attempt before, if something is waiting
}

// List returns the devices of an account, in the order in which they were enabled.
func (m *Module) List(ctx context.Context, who jid.JID) ([]Device, error) {
	var out []Device
	err := m.do(ctx, func() error {
		a, err := m.load(who.Bare())
		if err != nil {
			return err
		}
		for _, d := range a.sorted() {
			out = append(out, d.describe())
		}
		return nil
	})
	return out, err
}

func (d *device) describe() Device {
	who := d.rec.who()
	return Device{
		Account: d.account.String(), Service: d.rec.Service, Node: d.rec.Node, Client: d.rec.Client, Identity: who.Category + "/" + who.Type,
		Options: d.rec.Options != "", Enabled: d.rec.Enabled, Attempt: d.rec.Attempt, Success: d.rec.Success, Result: d.rec.Result,
		Sent: d.rec.Sent, Failures: d.rec.Failures, Unseen: d.rec.Unseen, Waiting: d.rec.Waiting, Flying: d.flying, Next: d.rec.Next,
	}
}

// Accounts lists accounts that have devices, in order, behind the one that is named.
func (m *Module) Accounts(ctx context.Context, after string, limit int) ([]string, error) {
	owners, err := m.table.Owners(ctx, storage.Page{After: after, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("push: read accounts: %w", err)
	}
	return owners, nil
}

// Remove removes the devices of an account: all, those of a service, or the one with a node (nil: any).
func (m *Module) Remove(ctx context.Context, who jid.JID, service string, node *string) (n int, err error) {
	committed := make(chan error, 1)
	err = m.do(ctx, func() error {
		a, err := m.load(who.Bare())
		if err != nil {
			return err
		}
		u := journal.NewUnit(journal.AccountLane(who.Bare().String()))
		name := ""
		if node != nil {
			name = *node
		}
		n = a.removeMatching(u, service, name, node != nil, "removed by an administrator")
		m.commit(u, a, func(err error) { committed <- err })
		return nil
	})
	if err != nil {
		return 0, err
	}
	select {
	case err = <-committed:
		return n, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Test asks the services of an account's devices (all, those of a service, or the one with a node) at once, whatever is waiting, and calls fn with
// what each has answered.
func (m *Module) Test(ctx context.Context, who jid.JID, service string, node *string, fn func(d Device, result string, ok bool)) error {
	type outcome struct {
		d      Device
		result string
		ok     bool
	}
	n, outcomes := 0, make(chan outcome, maxDevices)
	err := m.do(ctx, func() error {
		a, err := m.load(who.Bare())
		if err != nil {
			return err
		}
		for _, d := range a.sorted() {
			if service != "" && d.rec.Service != service || node != nil && d.rec.Node != *node {
				continue
			}
			n++
			d.tests = append(d.tests, func(result string, ok bool) { outcomes <- outcome{d.describe(), result, ok} })
			d.kick()
		}
		return nil
	})
	if err != nil {
		return err
	}
	for range n {
		select {
		case o := <-outcomes:
			fn(o.d, o.result, o.ok)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// do runs fn in the module's queue and waits for it.
func (m *Module) do(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	m.q.Post(func() {
		if m.closed {
			done <- fmt.Errorf("push: the server is stopping")
			return
		}
		done <- fn()
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
