package storage

import (
	"context"
	"time"
)

// Credential is what is kept of a password for one SCRAM hash (RFC 5802 §3).
type Credential struct {
	Hash       string // "SHA-1", "SHA-256", "SHA-512"
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// Account is one local account.
type Account struct {
	JID         string // bare
	Credentials []Credential
	Admin       bool
	Disabled    bool
	Created     time.Time
	LastSeen    time.Time // zero: never
}

// Accounts reads accounts.
type Accounts interface {
	// Get returns the account or ErrNotFound.
	Get(ctx context.Context, bare string) (Account, error)
	// List returns the accounts of a domain ("" for all) in the order of their JIDs.
	List(ctx context.Context, domain string, p Page) ([]Account, error)
	// Count returns the number of accounts of a domain ("" for all).
	Count(ctx context.Context, domain string) (int, error)
}

// CreateAccount adds an account; the unit fails with journal.ErrConflict if it exists.
type CreateAccount struct{ Account Account }

// UpdateAccount replaces an account's row; the unit fails with journal.ErrConflict if it does not exist.
type UpdateAccount struct{ Account Account }

// TouchAccount sets LastSeen; no error if there is no such account.
type TouchAccount struct {
	JID string
	At  time.Time
}

// DeleteAccount removes the account and everything that is stored under its JID as owner: roster, references, sessions, table rows.
type DeleteAccount struct{ JID string }

// JournalOp marks the type as a row operation.
func (CreateAccount) JournalOp() {}

// JournalOp marks the type as a row operation.
func (UpdateAccount) JournalOp() {}

// JournalOp marks the type as a row operation.
func (TouchAccount) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteAccount) JournalOp() {}
