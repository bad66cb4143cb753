package sasl

import (
	"errors"
	"fmt"
)

// Condition is a SASL failure condition, the element name inside <failure/>.
type Condition string

// The conditions of RFC 6120 §6.5.
const (
	Aborted              Condition = "aborted"
	AccountDisabled      Condition = "account-disabled"
	CredentialsExpired   Condition = "credentials-expired"
	EncryptionRequired   Condition = "encryption-required"
	IncorrectEncoding    Condition = "incorrect-encoding"
	InvalidAuthzid       Condition = "invalid-authzid"
	InvalidMechanism     Condition = "invalid-mechanism"
	MalformedRequest     Condition = "malformed-request"
	MechanismTooWeak     Condition = "mechanism-too-weak"
	NotAuthorized        Condition = "not-authorized"
	TemporaryAuthFailure Condition = "temporary-auth-failure"
)

// Error is a failed exchange. The peer is told Condition and nothing else; Err
// is for the log. It never holds a password, a proof or a key.
type Error struct {
	Condition Condition
	Err       error
	// Unproved says that the exchange was refused before a password or a proof
	// was looked at: the peer has learnt nothing about either.
	Unproved bool
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return "sasl: " + string(e.Condition)
	}
	return "sasl: " + string(e.Condition) + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same condition, so that
// errors.Is(err, &Error{Condition: NotAuthorized}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Err == nil && t.Condition == e.Condition
}

// ConditionOf gives what the peer is told of err. An error that is none of this
// package's is a fault of ours: temporary-auth-failure.
func ConditionOf(err error) Condition {
	var e *Error
	if errors.As(err, &e) {
		return e.Condition
	}
	return TemporaryAuthFailure
}

// Guess reports whether err answers somebody who tried a password, a proof or an
// identity, and was wrong: such failures are what a limiter of guesses counts.
// A refused channel binding, a malformed or given up exchange and an unknown
// mechanism are none.
func Guess(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Unproved {
		return false
	}
	return e.Condition == NotAuthorized || e.Condition == InvalidAuthzid
}

// unproved is fail for what is refused before a proof is looked at.
func unproved(c Condition, format string, args ...any) *Error {
	e := fail(c, format, args...)
	e.Unproved = true
	return e
}

func fail(c Condition, format string, args ...any) *Error {
	return &Error{Condition: c, Err: fmt.Errorf(format, args...)}
}

// classify keeps the condition of a typed error and makes any other one
// temporary: the source of credentials failed, not the client.
func classify(op string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return fail(TemporaryAuthFailure, "%s: %w", op, err)
}
