package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says why something failed; the server turns it into a stanza error. The
// numbers are part of bridge/v1. An unknown code is treated as CodeUnknown.
type Code int32

const (
	CodeUnknown        Code = 0
	CodeUnsupported    Code = 1  // the bridge or the network cannot do this at all
	CodeForbidden      Code = 2  // a right is missing on the network's side
	CodeNotFound       Code = 3  // the target does not exist (any more)
	CodeInvalid        Code = 4  // the request makes no sense to the network
	CodeTooLong        Code = 5  // text over the limit
	CodeTooBig         Code = 6  // file over the limit
	CodeTooOld         Code = 7  // past the time in which edits or deletes are allowed
	CodeRoomGone       Code = 8  // the room was deleted, or the bridge was removed from it
	CodeUserGone       Code = 9  // the user was deleted or cannot be written to
	CodeBadCredentials Code = 10 // the token or login is no longer valid
	CodeBlocked        Code = 11 // a policy of the network or of the bridge's configuration
	CodeConflict       Code = 12 // a name is taken, or a compare-and-set lost
	CodeExpired        Code = 13 // too late: the deadline or a login step has passed
	CodeEncrypted      Code = 14 // the room's content is end-to-end encrypted
	CodeUnavailable    Code = 15 // the network does not answer
	CodeRateLimited    Code = 16 // the network asks to wait
	CodeSessionLost    Code = 17 // the connection between server and bridge is gone; the outcome is unknown
	CodeProtocol       Code = 18 // the other side of the contract broke it
)

// Error is how a bridge and the server tell each other what went wrong.
// Temporary errors are tried again, after RetryAfter if that is set; others are
// final, and Text is shown to the person who asked. Err is for the log only and
// does not travel.
type Error struct {
	Code       Code
	Temporary  bool
	RetryAfter time.Duration
	Text       string // one sentence for a person, no secrets; may be ""
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Text
	if s == "" {
		s = e.Code.String()
	}
	if e.Temporary {
		s += " (temporary)"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrUnsupported) and the like compare codes.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code && t.Text == "" && t.Err == nil
}

// Sentinels for errors.Is; they match every *Error with the same code.
var (
	ErrUnsupported error = &Error{Code: CodeUnsupported}
	ErrNotFound    error = &Error{Code: CodeNotFound}
	ErrConflict    error = &Error{Code: CodeConflict}
	ErrSessionLost error = &Error{Code: CodeSessionLost, Temporary: true}
)

// Refuse is a final refusal with a text for the person who asked.
func Refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// RetryAfter is a temporary failure; d of zero leaves the pause to the server.
func RetryAfter(d time.Duration, err error) error {
	code := CodeUnavailable
	if d > 0 {
		code = CodeRateLimited
	}
	return &Error{Code: code, Temporary: true, RetryAfter: d, Err: err}
}

// Unsupported says that an ability is missing.
func Unsupported(what string) error {
	return &Error{Code: CodeUnsupported, Text: what + " is not supported here"}
}

// AsError turns any error into an *Error. One without a type is temporary: a
// bridge has to say so when something is final, never the other way round.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	code := CodeUnknown
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		code = CodeUnavailable
	}
	return &Error{Code: code, Temporary: true, Err: err}
}

// String names the code as it stands in logs.
func (c Code) String() string {
	names := [...]string{
		"failed", "unsupported", "forbidden", "not found", "invalid", "text too long", "file too big", "too old",
		"room gone", "user gone", "bad credentials", "blocked", "conflict", "expired", "encrypted", "unavailable",
		"rate limited", "session lost", "protocol error",
	}
	if c < 0 || int(c) >= len(names) {
		return names[0]
	}
	return names[c]
}
