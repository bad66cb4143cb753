package sasl

import (
	"bytes"
	"context"
	"unicode/utf8"
)

// plainServer is RFC 4616. It is offered under TLS only.
type plainServer struct {
	s           *Server
	asked, done bool
	work        work
}

// Step implements Exchange.
func (x *plainServer) Step(ctx context.Context, in []byte) (Reply, error) {
	if x.done {
		return Reply{}, fail(MalformedRequest, "plain: the exchange has ended")
	}
	if in == nil && !x.asked {
		x.asked = true
		return Reply{Data: []byte{}}, nil
	}
	x.done = true
	authzid, name, password, err := parsePlain(in)
	if err != nil {
		return Reply{}, err
	}
	username, err := x.s.cfg.NormalizeUser(name)
	if err != nil { // no account can have such a name
		return Reply{}, fail(NotAuthorized, "plain: %w", err)
	}
	ok, err := x.verify(ctx, username, password)
	if err != nil {
		return Reply{}, err
	}
	if !ok {
		return Reply{}, fail(NotAuthorized, "plain: wrong password or no such user")
	}
	return x.s.Finish(ctx, Plain, username, authzid)
}

// verify takes the first hash that the account has, but looks all of them up:
// an unknown user must not cost more look-ups than a known one.
func (x *plainServer) verify(ctx context.Context, username, password string) (bool, error) {
	var cred Credentials
	var known bool
	for i, h := range x.s.cfg.Hashes {
		c, ok, err := x.s.credentials(ctx, username, h, &x.work)
		if err != nil {
			return false, err
		}
		if i == 0 || ok && !known {
			cred, known = c, ok
		}
	}
	x.work.iterations += cred.Iterations
	ok, err := cred.Verify(password)
	if err != nil {
		return false, classify("plain: verify", err)
	}
	return ok && known, nil
}

// parsePlain is message of RFC 4616 §2: [authzid] NUL authcid NUL passwd.
func parsePlain(in []byte) (authzid, authcid, password string, err error) {
	if len(in) > MaxMessage || !utf8.Valid(in) {
		return "", "", "", fail(MalformedRequest, "plain: too long or not UTF-8")
	}
	parts := bytes.Split(in, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return "", "", "", fail(MalformedRequest, "plain: not three parts")
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), nil
}
