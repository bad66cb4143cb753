package storage

import "context"

// RosterItem is one contact (RFC 6121 §2.1). Subscription is none, to, from or both; PendingIn keeps the request's stanza so that it can be
// shown again at the next login (RFC 6121 §3.1.3).
type RosterItem struct {
	Contact      string // bare or domain JID
	Name         string
	Groups       []string
	Subscription string
	Ask          bool   // a subscribe of ours is pending out
	Approved     bool   // pre-approval (RFC 6121 §3.4)
	PendingIn    []byte // canonical bytes of the pending inbound request; nil: none
	Listed       bool   // false: only a pending inbound request, no roster item to show
	Version      int64  // roster version of the last change
}

// Roster reads rosters.
type Roster interface {
	// Get returns one item or ErrNotFound.
	Get(ctx context.Context, owner, contact string) (RosterItem, error)
	// All returns the items of an owner in the order of their contacts, and the roster's version.
	All(ctx context.Context, owner string) (items []RosterItem, version int64, err error)
	// Since returns the items changed and the contacts removed after a version (RFC 6121 §2.6). ok is false if the version is too old or
	// unknown and the whole roster must be sent.
	Since(ctx context.Context, owner string, version int64) (changed []RosterItem, removed []string, now int64, ok bool, err error)
}

// PutRosterItem inserts or replaces an item and sets the roster's version to Item.Version, which the account's owner allots, growing by one.
type PutRosterItem struct {
	Owner string
	Item  RosterItem
}

// DeleteRosterItem removes an item and remembers the removal under the new version.
type DeleteRosterItem struct {
	Owner, Contact string
	Version        int64
}

// JournalOp marks the type as a row operation.
func (PutRosterItem) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRosterItem) JournalOp() {}
