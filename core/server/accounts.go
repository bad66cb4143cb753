package server

import (
	"context"
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// accounts is what modules are given of core/auth: its refusals are stanza errors that a person may read.
type accounts struct{ *auth.Accounts }

func refusal(err error) error {
	var p *auth.PasswordError
	switch {
	case errors.As(err, &p):
		return &stanza.Error{Condition: stanza.NotAcceptable, Type: "modify", Text: "This password is not accepted: " + p.Text + ".", Cause: err}
	case errors.Is(err, auth.ErrExists):
		return stanza.NewError(stanza.Conflict, "The name is taken.")
	case errors.Is(err, auth.ErrNoAccount):
		return stanza.NewError(stanza.ItemNotFound, "There is no such account.")
	case errors.Is(err, auth.ErrNoAddress):
		return stanza.NewError(stanza.JIDMalformed, "This cannot be the name of an account.")
	}
	return err
}

// CheckPassword applies the policy.
func (a accounts) CheckPassword(bare jid.JID, password string) error {
	return refusal(a.Accounts.CheckPassword(bare, password))
}

// AddCreate adds the creation of an account to a unit.
func (a accounts) AddCreate(ctx context.Context, u *journal.Unit, bare jid.JID, password string, admin bool) error {
	return refusal(a.Accounts.AddCreate(ctx, u, bare, password, admin))
}

// AddPassword adds the change of a password to a unit.
func (a accounts) AddPassword(ctx context.Context, u *journal.Unit, bare jid.JID, password string) error {
	return refusal(a.Accounts.AddPassword(ctx, u, bare, password))
}

// AddDelete adds the deletion of an account to a unit.
func (a accounts) AddDelete(ctx context.Context, u *journal.Unit, bare jid.JID) error {
	return refusal(a.Accounts.AddDelete(ctx, u, bare))
}
