package grpcbridge

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// toPBError is what travels of an error; nil is success. A cause without a text
// for people stays at home: it may hold secrets.
func toPBError(err error) *pb.Error {
	if err == nil {
		return nil
	}
	e := sdk.AsError(err)
	return &pb.Error{
		Code: pb.Code(e.Code), Temporary: e.Temporary,
		RetryAfter: e.RetryAfter.Microseconds(), Text: validUTF8(e.Text),
	}
}

func fromPBError(e *pb.Error) error {
	if e == nil {
		return nil
	}
	return &sdk.Error{
		Code: sdk.Code(e.GetCode()), Temporary: e.GetTemporary(),
		RetryAfter: max(micros(e.GetRetryAfter()), 0), Text: e.GetText(),
	}
}

// fromTransport turns an error of gRPC itself into one of the contract.
func fromTransport(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "no answer in time", Err: ctxErr}
	}
	switch status.Code(err) {
	case codes.Unimplemented:
		return &sdk.Error{Code: sdk.CodeUnsupported, Err: err}
	case codes.DeadlineExceeded:
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "no answer in time", Err: err}
	case codes.Unavailable, codes.Canceled, codes.Aborted:
		return &sdk.Error{Code: sdk.CodeSessionLost, Temporary: true, Err: err}
	case codes.ResourceExhausted:
		return &sdk.Error{Code: sdk.CodeTooBig, Text: "the answer is too big", Err: err}
	}
	return &sdk.Error{Code: sdk.CodeProtocol, Temporary: true, Err: err}
}

// protocolError ends a session: the other side broke the contract.
func protocolError(text string) error {
	return &sdk.Error{Code: sdk.CodeProtocol, Temporary: true, Err: errors.New(text)}
}
