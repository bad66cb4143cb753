package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Policy says which passwords are accepted.
type Policy struct {
	MinLength int // characters; 0: 8
}

const maxPassword = 1024

func (p *Policy) fill() {
	if p.MinLength <= 0 {
		p.MinLength = 8
	}
}

// PasswordError says why a password is refused; its text is for the person.
type PasswordError struct{ Text string }

func (e *PasswordError) Error() string { return "auth: " + e.Text }

// CheckPassword applies the policy. The error is a *PasswordError.
func (a *Accounts) CheckPassword(bare jid.JID, password string) error {
	prepared, err := sasl.PreparePassword(password)
	switch {
	case password == "":
		return &PasswordError{"the password is empty"}
	case err != nil:
		return &PasswordError{"the password has characters that cannot be used"}
	case len(password) > maxPassword:
		return &PasswordError{fmt.Sprintf("the password is longer than %d bytes", maxPassword)}
	case utf8.RuneCountInString(prepared) < a.o.Policy.MinLength:
		return &PasswordError{fmt.Sprintf("the password has less than %d characters", a.o.Policy.MinLength)}
	case strings.EqualFold(prepared, bare.Local()) || strings.EqualFold(prepared, bare.Bare().String()):
		return &PasswordError{"the password is the account's name"}
	}
	return nil
}

// derive computes what is kept of a password.
func (a *Accounts) derive(bare jid.JID, password string) ([]storage.Credential, error) {
	if err := a.CheckPassword(bare, password); err != nil {
		return nil, err
	}
	out := make([]storage.Credential, 0, len(a.o.Hashes))
	for _, h := range a.o.Hashes {
		c, err := sasl.DeriveCredentials(h, password, sasl.NewSalt(), a.o.Iterations)
		if err != nil {
			return nil, fmt.Errorf("auth: derive credentials: %w", err)
		}
		out = append(out, storage.Credential{Hash: h.String(), Salt: c.Salt, Iterations: c.Iterations, StoredKey: c.StoredKey, ServerKey: c.ServerKey})
	}
	return out, nil
}

// Source returns the credentials of one domain's accounts.
func (a *Accounts) Source(domain string) sasl.CredentialSource { return source{a, domain} }

type source struct {
	a      *Accounts
	domain string
}

// Lookup implements sasl.CredentialSource.
func (s source) Lookup(ctx context.Context, username string, h sasl.Hash) (sasl.Credentials, bool, error) {
	if attempt, ok := ctx.Value(attemptKey{}).(*Attempt); ok {
		attempt.Username = username
	}
	bare, err := jid.New(username, s.domain, "")
	if err != nil {
		return sasl.Credentials{}, false, nil // no account can have such a name
	}
	acc, err := s.a.Get(ctx, bare)
	switch {
	case errors.Is(err, ErrNoAccount):
		return sasl.Credentials{}, false, nil
	case err != nil:
		return sasl.Credentials{}, false, err
	}
	for i := range acc.Credentials {
		if c := &acc.Credentials[i]; c.Hash == h.String() {
			return sasl.Credentials{Hash: h, Salt: c.Salt, Iterations: c.Iterations, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, true, nil
		}
	}
	return sasl.Credentials{}, false, nil
}

// Admit is the check after the proof, for sasl.Config.Admit: a disabled account is refused.
func (a *Accounts) Admit(domain string) func(ctx context.Context, username string) error {
	return func(ctx context.Context, username string) error {
		bare, err := jid.New(username, domain, "")
		if err != nil {
			return &sasl.Error{Condition: sasl.NotAuthorized, Err: err}
		}
		acc, err := a.Get(ctx, bare)
		switch {
		case errors.Is(err, ErrNoAccount): // deleted this very moment
			return &sasl.Error{Condition: sasl.NotAuthorized, Err: err}
		case err != nil:
			return err
		case acc.Disabled:
			return &sasl.Error{Condition: sasl.AccountDisabled, Err: errors.New("auth: the account is disabled")}
		}
		return nil
	}
}

// Verify checks a password in the clear, for what is no SASL exchange (the HTTP interface). Unknown and disabled accounts are false.
func (a *Accounts) Verify(ctx context.Context, bare jid.JID, password string) (bool, error) {
	acc, err := a.Get(ctx, bare)
	if errors.Is(err, ErrNoAccount) || err == nil && (len(acc.Credentials) == 0 || acc.Disabled) {
		decoy := sasl.Credentials{Hash: sasl.SHA256, Salt: make([]byte, sasl.SaltSize), Iterations: a.o.Iterations,
			StoredKey: make([]byte, sasl.SHA256.Size()), ServerKey: make([]byte, sasl.SHA256.Size())}
		_, _ = decoy.Verify(password) // the same work (attacks row 12)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c := acc.Credentials[0]
	h, ok := sasl.ParseHash(c.Hash)
	if !ok {
		return false, fmt.Errorf("auth: verify password: unknown hash %q", c.Hash)
	}
	return sasl.Credentials{Hash: h, Salt: c.Salt, Iterations: c.Iterations, StoredKey: c.StoredKey, ServerKey: c.ServerKey}.Verify(password)
}
