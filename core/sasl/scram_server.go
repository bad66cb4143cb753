package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
)

type scramStep uint8

const (
	scramStart scramStep = iota
	scramAsked           // an empty challenge was sent, the client-first message is due
	scramFinal
	scramEnded
)

// scramServer is RFC 5802 with RFC 7677's hashes.
type scramServer struct {
	s     *Server
	name  Name
	hash  Hash
	plus  bool
	offer Offer

	step     scramStep
	username string
	authzid  string
	binding  BindingType
	header   string // gs2-header as the client sent it
	nonce    string
	auth     []byte // client-first-bare "," server-first ","
	cred     Credentials
	known    bool
	work     work
}

// Step implements Exchange.
func (x *scramServer) Step(ctx context.Context, in []byte) (Reply, error) {
	step := x.step
	x.step = scramEnded
	switch {
	case step == scramStart && in == nil:
		x.step = scramAsked // RFC 4422 §5: the client speaks first
		return Reply{Data: []byte{}}, nil
	case step == scramStart || step == scramAsked:
		return x.first(ctx, in)
	case step == scramFinal:
		return x.final(ctx, in)
	}
	return Reply{}, fail(MalformedRequest, "scram: the exchange has ended")
}

func (x *scramServer) first(ctx context.Context, in []byte) (Reply, error) {
	m, err := parseClientFirst(in)
	if err != nil {
		return Reply{}, fail(MalformedRequest, "scram: client-first-message: %w", err)
	}
	if err := x.checkFlag(m); err != nil {
		return Reply{}, err
	}
	x.username, err = x.s.cfg.NormalizeUser(m.username)
	if err != nil { // no account can have such a name
		return Reply{}, fail(NotAuthorized, "scram: %w", err)
	}
	x.cred, x.known, err = x.s.credentials(ctx, x.username, x.hash, &x.work)
	if err != nil {
		return Reply{}, err
	}
	nonce, err := x.s.cfg.nonce()
	if err != nil {
		return Reply{}, fail(TemporaryAuthFailure, "scram: %w", err)
	}
	x.authzid, x.header, x.nonce = m.authzid, m.header, m.nonce+nonce

	out := make([]byte, 0, 256)
	out = append(append(out, "r="...), x.nonce...)
	out = append(out, ",s="...)
	out = base64.StdEncoding.AppendEncode(out, x.cred.Salt)
	out = append(out, ",i="...)
	out = strconv.AppendInt(out, int64(x.cred.Iterations), 10)
	out = x.appendDowngrade(out)

	x.auth = make([]byte, 0, len(m.bare)+len(out)+256)
	x.auth = append(append(x.auth, m.bare...), ',')
	x.auth = append(append(x.auth, out...), ',')
	x.step = scramFinal
	return Reply{Data: out}, nil
}

// checkFlag is RFC 5802 §6.
func (x *scramServer) checkFlag(m clientFirst) error {
	switch {
	case m.flag == 'p' && !x.plus:
		return fail(MalformedRequest, "scram: channel binding asked for under %s", x.name)
	case m.flag != 'p' && x.plus:
		return fail(MalformedRequest, "scram: no channel binding under %s", x.name)
	case m.flag == 'y' && x.offer.hasPlus():
		// The client would have bound, had it seen our offer: somebody took it out.
		return unproved(NotAuthorized, "scram: server does support channel binding: the list of mechanisms was changed on the way")
	case m.flag == 'p':
		if _, ok := x.offer.Channel.binding(m.binding); !ok {
			return unproved(NotAuthorized, "scram: unsupported channel binding type %q", m.binding)
		}
		x.binding = m.binding
	}
	return nil
}

// appendDowngrade adds h= (XEP-0474 §5.1) and t= (XEP-0515), which are under
// the proof because the whole message is.
func (x *scramServer) appendDowngrade(out []byte) []byte {
	if x.s.cfg.OmitDowngradeHash {
		return out
	}
	out = append(out, ",h="...)
	out = append(out, DowngradeHash(x.hash, x.offer.Mechanisms, x.offer.BindingTypes())...)
	if v := x.offer.Channel.Version; v != 0 {
		out = fmt.Appendf(out, ",t=%04x", v)
	}
	return out
}

func (x *scramServer) final(ctx context.Context, in []byte) (Reply, error) {
	m, err := parseClientFinal(in)
	if err != nil {
		return Reply{}, fail(MalformedRequest, "scram: client-final-message: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(m.nonce), []byte(x.nonce)) != 1 {
		// RFC 5802 §5.1: authentication fails; the message itself is none that cannot be read.
		return Reply{}, unproved(NotAuthorized, "scram: another nonce")
	}
	want := []byte(x.header)
	if x.plus {
		data, _ := x.offer.Channel.binding(x.binding)
		want = append(want, data...)
	}
	if subtle.ConstantTimeCompare(m.binding, want) != 1 {
		return Reply{}, unproved(NotAuthorized, "scram: channel bindings do not match")
	}
	x.auth = append(x.auth, m.bare...)
	if !x.verify(m.proof) {
		return Reply{}, fail(NotAuthorized, "scram: wrong proof")
	}
	id, err := x.s.finish(ctx, x.username, x.authzid)
	if err != nil {
		return Reply{}, err
	}
	id.Mechanism, id.Binding = x.name, x.binding
	x.work.macs++
	out := base64.StdEncoding.AppendEncode([]byte("v="), mac(x.hash, x.cred.ServerKey, x.auth))
	return Reply{Data: out, Done: true, Identity: id}, nil
}

// verify checks the proof (RFC 5802 §3), with the same steps for an unknown
// user, whose keys nobody knows.
func (x *scramServer) verify(proof []byte) bool {
	x.work.macs++
	key := mac(x.hash, x.cred.StoredKey, x.auth)
	if len(proof) != len(key) {
		return false
	}
	subtle.XORBytes(key, key, proof)
	sum := x.hash.New()
	sum.Write(key)
	equal := hmac.Equal(sum.Sum(nil), x.cred.StoredKey)
	return equal && x.known
}

// newNonce gives 144 random bits in base64, which has no comma.
func newNonce(r io.Reader) (string, error) {
	var b [18]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("make nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b[:]), nil
}
