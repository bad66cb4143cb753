package demo

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// fail turns an error of the network into one of the contract. What is temporary
// is tried again by the server; everything else is final and shown to the person
// who asked, so the text is the network's own.
func fail(err error) error {
	var e *demonet.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case demonet.Unavailable:
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, RetryAfter: e.RetryAfter, Text: e.Text, Err: err}
	case demonet.RateLimited:
		return &sdk.Error{Code: sdk.CodeRateLimited, Temporary: true, RetryAfter: e.RetryAfter, Text: e.Text, Err: err}
	}
	codes := map[demonet.Code]sdk.Code{
		demonet.NotFound: sdk.CodeNotFound, demonet.Forbidden: sdk.CodeForbidden, demonet.Invalid: sdk.CodeInvalid,
		demonet.TooLong: sdk.CodeTooLong, demonet.BadToken: sdk.CodeBadCredentials, demonet.Conflict: sdk.CodeConflict,
	}
	return &sdk.Error{Code: codes[e.Code], Text: e.Text, Err: err}
}
