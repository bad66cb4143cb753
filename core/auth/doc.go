// Package auth is the local accounts: who exists, with which credentials and which role.
//
// It is the sasl.CredentialSource of each account domain, with a small cache in front of the store; it makes, changes and deletes accounts as
// journal units; it holds the password policy and slows down whoever guesses passwords ([Throttle]). Passwords are never kept: only what SCRAM needs of
// them (RFC 5802 §3), for every hash that is offered. Roles belong to a full bare JID, never to a local part (attacks row 24).
//
// What it is not: it speaks no SASL (core/sasl) and no XML, and it does not end sessions itself.
//
// Goroutines: none.
//
//	accounts, err := auth.New(auth.Options{Store: store.Accounts(), Journal: committer, Events: events})
//	err = accounts.Create(ctx, jid.MustParse("alice@example.org"), password, false)
//	srv, err := sasl.NewServer(sasl.Config{Domain: "example.org", Source: accounts.Source("example.org"), Secret: secret})
package auth
