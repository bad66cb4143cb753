package discord

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// apiError is an answer of Discord's that says no.
type apiError struct {
	Status  int
	Code    int // of the JSON body; 0 if it was none
	Message string
	HTML    bool // Cloudflare's words, not Discord's
}

func (e *apiError) Error() string {
	return fmt.Sprintf("discord answered %d, code %d: %s", e.Status, e.Code, e.Message)
}

// unsure is a failure after which nobody knows whether Discord did it.
type unsure struct{ err error }

func (u *unsure) Error() string { return u.err.Error() }
func (u *unsure) Unwrap() error { return u.err }

// Codes of the documentation ("Opcodes and Status Codes", JSON).
const (
	codeUnknownChannel = 10003
	codeUnknownMember  = 10007
	codeUnknownMessage = 10008
	codeUnknownUser    = 10013
	codeUnknownEmoji   = 10014
	codeUnknownWebhook = 10015
	codeMaxWebhooks    = 30007
	codeMaxReactions   = 30010
	codeTooLarge       = 40005
	codeMissingAccess  = 50001
	codeEmpty          = 50006
	codeMissingRight   = 50013
	codeBadHookToken   = 50027
	codeThreadExists   = 160004
)

func hasCode(err error, codes ...int) bool {
	var e *apiError
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

func hasStatus(err error, status int) bool {
	var e *apiError
	return errors.As(err, &e) && e.Status == status
}

// explain turns what Discord answered into an sdk error; what says what was
// attempted: "the message was not sent".
func explain(what string, err error) error {
	var known *sdk.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var e *apiError
	if !errors.As(err, &e) {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Discord does not answer", Err: err}
	}
	codes := map[int]sdk.Code{
		codeUnknownChannel: sdk.CodeRoomGone, codeUnknownMessage: sdk.CodeNotFound, codeUnknownUser: sdk.CodeNotFound, codeUnknownMember: sdk.CodeNotFound,
		codeUnknownEmoji: sdk.CodeInvalid, codeMaxReactions: sdk.CodeBlocked, codeMaxWebhooks: sdk.CodeBlocked, codeTooLarge: sdk.CodeTooBig,
		codeMissingAccess: sdk.CodeForbidden, codeMissingRight: sdk.CodeForbidden, codeEmpty: sdk.CodeInvalid,
	}
	code, ok := codes[e.Code]
	switch {
	case e.Status == http.StatusUnauthorized && e.Code != codeBadHookToken:
		code = sdk.CodeBadCredentials
	case e.Status >= 500:
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "Discord has an outage", Err: err}
	case ok:
	case e.Status == http.StatusForbidden:
		code = sdk.CodeForbidden
	case e.Status == http.StatusNotFound:
		code = sdk.CodeNotFound
	case e.Status == http.StatusRequestEntityTooLarge:
		code = sdk.CodeTooBig
	default:
		code = sdk.CodeInvalid
	}
	text := what + ": " + e.Message
	if code == sdk.CodeForbidden {
		text = what + ": the bot has no right to (" + e.Message + ")"
	}
	return &sdk.Error{Code: code, Text: text, Err: err}
}

// later is a pause that Discord asks for.
func later(d time.Duration, err error) error {
	if d <= 0 {
		d = time.Second
	}
	return sdk.RetryAfter(d, err)
}
