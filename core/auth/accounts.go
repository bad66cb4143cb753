package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Errors of changes.
var (
	ErrExists    = errors.New("auth: the account exists already")
	ErrNoAccount = errors.New("auth: there is no such account")
	ErrNoAddress = errors.New("auth: an account's address is local@domain, without a resource")
)

// Options of Accounts. Store, Journal and Events are required.
type Options struct {
	Store   storage.Accounts
	Journal journal.Submitter
	Events  *event.Catalogue
	Clock   module.Clock // nil: the system's
	Policy  Policy
	Hashes  []sasl.Hash // of new passwords; nil: all
	// Iterations of new passwords; 0: sasl.DefaultIterations.
	Iterations int
	CacheSize  int // accounts in the cache; 0: 4,096
}

// Accounts reads and changes the local accounts. It is safe for concurrent use.
type Accounts struct {
	o     Options
	cache cache
	queue *journal.Queue // of those who are told of changes
}

// New returns the accounts of a store.
func New(o Options) (*Accounts, error) {
	if o.Store == nil || o.Journal == nil || o.Events == nil {
		return nil, errors.New("auth: new accounts: Store, Journal and Events are required")
	}
	if o.Clock == nil {
		o.Clock = module.RealClock{}
	}
	if o.Hashes == nil {
		o.Hashes = sasl.Hashes()
	}
	if o.Iterations == 0 {
		o.Iterations = sasl.DefaultIterations
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 4096
	}
	o.Policy.fill()
	a := &Accounts{o: o, queue: journal.NewQueue(nil)}
	a.cache.init(o.CacheSize)
	return a, nil
}

// Get returns an account, or ErrNoAccount. What it points to must not be changed.
func (a *Accounts) Get(ctx context.Context, bare jid.JID) (*storage.Account, error) {
	if !bare.HasLocal() {
		return nil, ErrNoAccount
	}
	key := bare.Bare().String()
	if acc, ok := a.cache.get(key); ok {
		return acc, nil
	}
	gen := a.cache.generation()
	acc, err := a.o.Store.Get(ctx, key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, ErrNoAccount
	case err != nil:
		return nil, fmt.Errorf("auth: read account: %w", err)
	}
	a.cache.put(key, &acc, gen)
	return &acc, nil
}

// Show is Get without the cache.
func (a *Accounts) Show(ctx context.Context, bare jid.JID) (storage.Account, error) {
	acc, err := a.o.Store.Get(ctx, bare.Bare().String())
	if errors.Is(err, storage.ErrNotFound) {
		return acc, ErrNoAccount
	}
	return acc, err
}

// Exists tells whether there is such an account.
func (a *Accounts) Exists(ctx context.Context, bare jid.JID) (bool, error) {
	_, err := a.Get(ctx, bare)
	if errors.Is(err, ErrNoAccount) {
		return false, nil
	}
	return err == nil, err
}

// IsAdmin tells whether the bare JID is an administrator's.
func (a *Accounts) IsAdmin(ctx context.Context, who jid.JID) (bool, error) {
	acc, err := a.Get(ctx, who.Bare())
	if errors.Is(err, ErrNoAccount) {
		return false, nil
	}
	return err == nil && acc.Admin && !acc.Disabled, err
}

// List returns the accounts of a domain ("" for all) in the order of their JIDs.
func (a *Accounts) List(ctx context.Context, domain string, p storage.Page) ([]storage.Account, error) {
	return a.o.Store.List(ctx, domain, p)
}

// Count returns the number of accounts of a domain ("" for all).
func (a *Accounts) Count(ctx context.Context, domain string) (int, error) {
	return a.o.Store.Count(ctx, domain)
}

// AddCreate adds the creation of an account to a unit, which fails with journal.ErrConflict if the account exists: for whoever has more to write with it
// (in-band registration, an invitation).
func (a *Accounts) AddCreate(ctx context.Context, u *journal.Unit, bare jid.JID, password string, admin bool) error {
	if !bare.IsBare() || !bare.HasLocal() {
		return ErrNoAddress
	}
	creds, err := a.derive(bare, password)
	if err != nil {
		return err
	}
	u.Add(storage.CreateAccount{Account: storage.Account{JID: bare.String(), Credentials: creds, Admin: admin, Created: a.o.Clock.Now().UTC().Truncate(time.Millisecond)}})
	change := &event.AccountChange{JID: bare, Unit: u}
	if err := a.o.Events.Account.Created.Decide(ctx, change); err != nil {
		return err
	}
	u.After(a.queue, func(err error) {
		if err == nil {
			_ = a.o.Events.Account.Created.Committed(context.WithoutCancel(ctx), change)
		}
	})
	return nil
}

// Create makes an account and returns when it is durable; ErrExists if there is one.
func (a *Accounts) Create(ctx context.Context, bare jid.JID, password string, admin bool) error {
	u := journal.NewUnit(journal.AccountLane(bare.String()))
	if err := a.AddCreate(ctx, u, bare, password, admin); err != nil {
		return err
	}
	err := a.commit(ctx, u)
	if errors.Is(err, journal.ErrConflict) {
		return ErrExists
	}
	return err
}

// AddPassword adds the change of a password to a unit.
func (a *Accounts) AddPassword(ctx context.Context, u *journal.Unit, bare jid.JID, password string) error {
	creds, err := a.derive(bare, password)
	if err != nil {
		return err
	}
	return a.addUpdate(ctx, u, bare, func(acc *storage.Account) { acc.Credentials = creds })
}

// SetPassword changes a password and returns when that is durable. Sessions that are open stay open.
func (a *Accounts) SetPassword(ctx context.Context, bare jid.JID, password string) error {
	u := journal.NewUnit(journal.AccountLane(bare.String()))
	if err := a.AddPassword(ctx, u, bare, password); err != nil {
		return err
	}
	return a.commit(ctx, u)
}

// SetDisabled lets an account log in or not. Whoever disables one ends its sessions, too.
func (a *Accounts) SetDisabled(ctx context.Context, bare jid.JID, disabled bool) error {
	return a.update(ctx, bare, func(acc *storage.Account) { acc.Disabled = disabled })
}

// SetAdmin makes an account an administrator's or not.
func (a *Accounts) SetAdmin(ctx context.Context, bare jid.JID, admin bool) error {
	return a.update(ctx, bare, func(acc *storage.Account) { acc.Admin = admin })
}

// AddDelete adds the deletion of an account, with everything that is stored under its JID, to a unit. Its sessions are to be ended before.
func (a *Accounts) AddDelete(ctx context.Context, u *journal.Unit, bare jid.JID) error {
	if _, err := a.Get(ctx, bare); err != nil {
		return err
	}
	change := &event.AccountChange{JID: bare, Unit: u}
	if err := a.o.Events.Account.Deleted.Decide(ctx, change); err != nil {
		return err
	}
	u.Add(storage.DeleteAccount{JID: bare.String()})
	u.After(direct{}, func(error) { a.cache.drop(bare.String()) })
	u.After(a.queue, func(err error) {
		if err == nil {
			_ = a.o.Events.Account.Deleted.Committed(context.WithoutCancel(ctx), change)
		}
	})
	return nil
}

// Delete deletes an account and returns when that is durable.
func (a *Accounts) Delete(ctx context.Context, bare jid.JID) error {
	u := journal.NewUnit(journal.AccountLane(bare.String()))
	if err := a.AddDelete(ctx, u, bare); err != nil {
		return err
	}
	return a.commit(ctx, u)
}

// touchEvery is how exact the time of the last login is: not every login of a busy account is written.
const touchEvery = 10 * time.Minute

// Touch notes that the account was used; it does not wait.
func (a *Accounts) Touch(ctx context.Context, bare jid.JID) {
	acc, err := a.Get(ctx, bare)
	now := a.o.Clock.Now().UTC().Truncate(time.Millisecond)
	if err != nil || now.Sub(acc.LastSeen) < touchEvery {
		return
	}
	u := journal.NewUnit(journal.AccountLane(bare.String()))
	u.Add(storage.TouchAccount{JID: bare.String(), At: now})
	u.After(direct{}, func(err error) {
		if err == nil {
			a.cache.touch(bare.String(), now)
		}
	})
	a.o.Journal.Submit(u)
}

func (a *Accounts) update(ctx context.Context, bare jid.JID, fn func(*storage.Account)) error {
	u := journal.NewUnit(journal.AccountLane(bare.String()))
	if err := a.addUpdate(ctx, u, bare, fn); err != nil {
		return err
	}
	return a.commit(ctx, u)
}

// addUpdate adds a changed row. Two changes of one account at the same moment are a matter for one administrator: the later one wins.
func (a *Accounts) addUpdate(ctx context.Context, u *journal.Unit, bare jid.JID, fn func(*storage.Account)) error {
	a.cache.drop(bare.String()) // what is changed is what is stored, not what was
	old, err := a.Get(ctx, bare)
	if err != nil {
		return err
	}
	next := *old
	fn(&next)
	u.Add(storage.UpdateAccount{Account: next})
	u.After(direct{}, func(error) { a.cache.drop(next.JID) })
	return nil
}

// commit submits a unit and waits for its outcome.
func (a *Accounts) commit(ctx context.Context, u *journal.Unit) error {
	out := make(chan error, 1)
	u.After(a.queue, func(err error) { out <- err }) // behind those who are told
	a.o.Journal.Submit(u)
	select {
	case err := <-out:
		if err != nil {
			return fmt.Errorf("auth: store account: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("auth: store account: %w", ctx.Err())
	}
}

// direct runs steps in the committer's goroutine: they only clear a cache entry, before anybody else is told.
type direct struct{}

// Post implements journal.Poster.
func (direct) Post(fn func()) { fn() }
