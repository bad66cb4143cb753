package matrix

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"maunium.net/go/mautrix"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// refusals are the errcodes that stay what they are, however often one tries.
func refusals() map[string]sdk.Code {
	return map[string]sdk.Code{
		"M_FORBIDDEN":                 sdk.CodeForbidden,
		"M_GUEST_ACCESS_FORBIDDEN":    sdk.CodeForbidden,
		"M_UNABLE_TO_AUTHORISE_JOIN":  sdk.CodeForbidden,
		"M_UNABLE_TO_GRANT_JOIN":      sdk.CodeForbidden,
		"M_NOT_FOUND":                 sdk.CodeNotFound,
		"M_TOO_LARGE":                 sdk.CodeTooLong,
		"M_UNRECOGNIZED":              sdk.CodeUnsupported,
		"M_UNSUPPORTED_ROOM_VERSION":  sdk.CodeUnsupported,
		"M_INCOMPATIBLE_ROOM_VERSION": sdk.CodeUnsupported,
		"M_BAD_JSON":                  sdk.CodeInvalid,
		"M_NOT_JSON":                  sdk.CodeInvalid,
		"M_INVALID_PARAM":             sdk.CodeInvalid,
		"M_MISSING_PARAM":             sdk.CodeInvalid,
		"M_BAD_STATE":                 sdk.CodeInvalid,
		"M_INVALID_USERNAME":          sdk.CodeInvalid,
		"M_EXCLUSIVE":                 sdk.CodeConflict,
		"M_ROOM_IN_USE":               sdk.CodeConflict,
		"M_USER_DEACTIVATED":          sdk.CodeUserGone,
		"M_CONSENT_NOT_GIVEN":         sdk.CodeBlocked,
		"M_RESOURCE_LIMIT_EXCEEDED":   sdk.CodeBlocked,
		"M_USER_SUSPENDED":            sdk.CodeBlocked,
		"M_USER_LOCKED":               sdk.CodeBlocked,
	}
}

// explain turns what the homeserver answered into an sdk error. what stands
// before the homeserver's own words: "cannot join".
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*sdk.Error)(nil); errors.As(err, &e) {
		return err
	}
	var h mautrix.HTTPError
	if !errors.As(err, &h) || h.Response == nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the homeserver does not answer", Err: err}
	}
	code := ""
	words := ""
	if h.RespError != nil {
		code, words = h.RespError.ErrCode, h.RespError.Err
	}
	status := h.Response.StatusCode
	switch {
	case code == "M_LIMIT_EXCEEDED" || status == http.StatusTooManyRequests:
		return sdk.RetryAfter(retryAfter(h), err)
	case code == "M_UNKNOWN_TOKEN" || code == "M_MISSING_TOKEN":
		// The operator has to mend that; what waits must not be thrown away meanwhile.
		return &sdk.Error{Code: sdk.CodeBadCredentials, Temporary: true, Text: "the homeserver does not know the bridge's token", Err: err}
	case status >= 500:
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the homeserver is in trouble", Err: err}
	case status == http.StatusRequestEntityTooLarge:
		return &sdk.Error{Code: sdk.CodeTooBig, Text: what + ": too big for the homeserver", Err: err}
	case code == "":
		// No Matrix server wrote that: a proxy in front of it, down or misconfigured.
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "something in front of the homeserver answers", Err: err}
	}
	out := &sdk.Error{Code: sdk.CodeInvalid, Text: what, Err: err}
	if c, ok := refusals()[code]; ok {
		out.Code = c
	} else if status == http.StatusNotFound {
		out.Code = sdk.CodeNotFound
	} else if status == http.StatusForbidden {
		out.Code = sdk.CodeForbidden
	}
	if words != "" {
		out.Text += ": " + short(words, 200)
	}
	return out
}

// retryAfter is what a rate limit asks for: by the header since v1.10, by the
// body before; at least half a second, at most ten minutes.
func retryAfter(h mautrix.HTTPError) time.Duration {
	d := 2 * time.Second
	if h.RespError != nil {
		if ms, ok := h.RespError.ExtraData["retry_after_ms"].(float64); ok {
			d = time.Duration(ms) * time.Millisecond
		}
	}
	if s, err := strconv.Atoi(h.Response.Header.Get("Retry-After")); err == nil {
		d = time.Duration(s) * time.Second
	}
	return min(max(d, 500*time.Millisecond), 10*time.Minute)
}

// errcode is the Matrix error code of err, "" if it has none.
func errcode(err error) string {
	var h mautrix.HTTPError
	if errors.As(err, &h) && h.RespError != nil {
		return h.RespError.ErrCode
	}
	return ""
}

// unanswered reports that the homeserver may have done what was asked, or will
// be asked again later: no final answer came.
func unanswered(err error) bool {
	e := sdk.AsError(explain("", err))
	return e != nil && e.Temporary && e.Code != sdk.CodeRateLimited
}

// cut reports that the connection ended without an answer of the homeserver, also
// if a proxy in front of it says so.
func cut(err error) bool {
	var h mautrix.HTTPError
	return !errors.As(err, &h) || h.Response == nil || h.Response.StatusCode > http.StatusInternalServerError
}

// short cuts s at a rune's border.
func short(s string, limit int) string {
	for i := range s {
		if i > limit {
			return s[:i] + "…"
		}
	}
	return s
}
