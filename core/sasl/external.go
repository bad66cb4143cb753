package sasl

import (
	"bytes"
	"context"
	"unicode/utf8"
)

// externalServer is RFC 4422 appendix A: the layer below has proved who the
// peer is (a certificate), the peer may name whom it wants to be.
type externalServer struct {
	channel     Channel
	asked, done bool
}

// Step implements Exchange.
func (x *externalServer) Step(_ context.Context, in []byte) (Reply, error) {
	if x.done {
		return Reply{}, fail(MalformedRequest, "external: the exchange has ended")
	}
	if in == nil && !x.asked {
		x.asked = true
		return Reply{Data: []byte{}}, nil
	}
	x.done = true
	if len(in) > MaxMessage || !utf8.Valid(in) || bytes.IndexByte(in, 0) >= 0 {
		return Reply{}, fail(MalformedRequest, "external: no identity")
	}
	identity, ok := x.channel.External(string(in))
	if !ok || identity == "" {
		if len(in) == 0 {
			return Reply{}, fail(NotAuthorized, "external: the certificate proves no identity, or several")
		}
		return Reply{}, fail(InvalidAuthzid, "external: the certificate does not prove %.200q", in)
	}
	return Reply{Done: true, Identity: Identity{Authzid: identity, Mechanism: External}}, nil
}
