package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Config is what a Server needs; NewServer fills the defaults in.
type Config struct {
	// Domain is the host that accounts live at; identities are name@Domain.
	Domain string
	// Source holds the credentials. Nil: only EXTERNAL can be offered.
	Source CredentialSource
	// Secret makes the salts of unknown users. At least 16 bytes, and the same
	// after a restart, else a salt that changes tells who does not exist.
	Secret []byte
	// Hashes are the SCRAM families to offer, strongest first. Default: all.
	// The accounts are expected to have credentials for each.
	Hashes []Hash
	// Iterations shown for unknown users: that of new accounts.
	Iterations int
	// AllowPlain offers PLAIN, as the last mechanism.
	AllowPlain bool
	// RequireBinding offers the -PLUS mechanisms only.
	RequireBinding bool
	// OmitDowngradeHash leaves out the attributes of XEP-0474 and XEP-0515.
	OmitDowngradeHash bool
	// NormalizeUser and NormalizeDomain give the canonical form in which
	// identities are looked up and compared. Default: PrepareUsername, lower case.
	NormalizeUser   func(string) (string, error)
	NormalizeDomain func(string) (string, error)
	// Authorize grants the right to act as another identity. username is the
	// one that was proved, authzid the canonical bare address asked for.
	// Nil: nobody has that right.
	Authorize func(ctx context.Context, username, authzid string) (bool, error)
	// Admit is asked after the proof: an *Error with AccountDisabled or
	// CredentialsExpired refuses. Nil: everybody is admitted.
	Admit func(ctx context.Context, username string) error
	// More adds mechanisms of other packages, by name. They are not offered
	// by themselves: add the name to Offer.Mechanisms.
	More map[Name]Factory
	// Rand is the source of nonces. Default: crypto/rand.
	Rand io.Reader

	nonce func() (string, error) // set by tests that follow an RFC's example
}

func (c Config) withDefaults() (Config, error) {
	if c.Domain == "" {
		return c, errors.New("sasl: new server: no domain")
	}
	if c.Source != nil && len(c.Secret) < 16 {
		return c, fmt.Errorf("sasl: new server: a secret of %d bytes, 16 are the least", len(c.Secret))
	}
	if c.Hashes == nil {
		c.Hashes = Hashes()
	}
	for _, h := range c.Hashes {
		if !h.Valid() {
			return c, fmt.Errorf("sasl: new server: unknown hash %d", h)
		}
	}
	if len(c.Hashes) == 0 {
		return c, errors.New("sasl: new server: no hashes")
	}
	if c.Iterations == 0 {
		c.Iterations = DefaultIterations
	}
	if c.Iterations < minIterations || c.Iterations > maxIterations {
		return c, fmt.Errorf("sasl: new server: %d iterations", c.Iterations)
	}
	if c.NormalizeUser == nil {
		c.NormalizeUser = PrepareUsername
	}
	if c.NormalizeDomain == nil {
		c.NormalizeDomain = func(s string) (string, error) { return strings.ToLower(s), nil }
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.nonce == nil {
		c.nonce = func() (string, error) { return newNonce(c.Rand) }
	}
	domain, err := c.NormalizeDomain(c.Domain)
	if err != nil {
		return c, fmt.Errorf("sasl: new server: domain: %w", err)
	}
	c.Domain = domain
	return c, nil
}

// Server starts exchanges for one domain. It is immutable and safe for
// concurrent use.
type Server struct {
	cfg Config
}

// NewServer checks cfg.
func NewServer(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Offer builds what to advertise on a stream.
func (s *Server) Offer(ch Channel) Offer { return s.cfg.offer(ch) }

// Factory makes the exchange of one mechanism on one stream.
type Factory func(s *Server, n Name, o Offer) Exchange

// Exchange is one authentication under way. It is not safe for concurrent use.
type Exchange interface {
	// Step takes what the peer sent and gives what to answer. in is nil only
	// on the first step of a client that sent no initial response, see
	// DecodeText. After an error or a reply with Done it must not be called
	// again; if it is, it fails.
	Step(ctx context.Context, in []byte) (Reply, error)
}

// Reply is what an exchange answers.
type Reply struct {
	// Data goes into <challenge/>, or with Done into <success/>, where nil
	// means none.
	Data []byte
	// Done says that the peer is authenticated as Identity.
	Done     bool
	Identity Identity
}

// Identity is who was authenticated, and how.
type Identity struct {
	// Username is the proved simple user name, normalised; empty for EXTERNAL.
	Username string
	// Authzid is whom the peer acts as: a bare address in canonical form, or
	// for EXTERNAL whatever Channel.External gave.
	Authzid string
	// Mechanism and Binding (empty: none) say how, for policy and for the log.
	Mechanism Name
	Binding   BindingType
}

// Start begins an exchange. A mechanism that is not in o is refused even if it
// exists: what was not offered on this stream cannot be used on it (attack 10).
func (s *Server) Start(name string, o Offer) (Exchange, error) {
	if !o.Channel.Secure {
		return nil, fail(EncryptionRequired, "start: %.40q without TLS", name)
	}
	n := Name(name)
	if !o.Has(n) {
		return nil, fail(InvalidMechanism, "start: %.40q was not offered", name)
	}
	if f, ok := s.cfg.More[n]; ok {
		return f(s, n, o), nil
	}
	if h, plus, ok := n.Scram(); ok && s.cfg.Source != nil {
		return &scramServer{s: s, name: n, hash: h, plus: plus, offer: o}, nil
	}
	switch {
	case n == Plain && s.cfg.Source != nil:
		return &plainServer{s: s}, nil
	case n == External && o.Channel.External != nil:
		return &externalServer{channel: o.Channel}, nil
	}
	return nil, fail(InvalidMechanism, "start: %.40q does not exist", name)
}

// finish runs the checks that follow a proof: the account's state, then the
// identity asked for. Mechanisms of other packages end with it as well.
func (s *Server) finish(ctx context.Context, username, authzid string) (Identity, error) {
	if s.cfg.Admit != nil {
		if err := s.cfg.Admit(ctx, username); err != nil {
			return Identity{}, classify("admit", err)
		}
	}
	acting, err := s.authorize(ctx, username, authzid)
	return Identity{Username: username, Authzid: acting}, err
}

// Finish is for mechanisms of other packages (see Config.More): it applies the
// account checks and the authorisation rule to a proved user name.
func (s *Server) Finish(ctx context.Context, n Name, username, authzid string) (Reply, error) {
	id, err := s.finish(ctx, username, authzid)
	if err != nil {
		return Reply{}, err
	}
	id.Mechanism = n
	return Reply{Done: true, Identity: id}, nil
}

// authorize decides whom username may act as. An authzid is a bare address
// (RFC 6120 §6.3.8); anything but the own one needs Config.Authorize (attack 11).
func (s *Server) authorize(ctx context.Context, username, authzid string) (string, error) {
	own := username + "@" + s.cfg.Domain
	if authzid == "" {
		return own, nil
	}
	asked, err := s.bareAddress(authzid)
	if err != nil {
		return "", fail(InvalidAuthzid, "authorize: %w", err)
	}
	if asked == own {
		return own, nil
	}
	if s.cfg.Authorize != nil {
		granted, err := s.cfg.Authorize(ctx, username, asked)
		if err != nil {
			return "", classify("authorize", err)
		}
		if granted {
			return asked, nil
		}
	}
	return "", fail(InvalidAuthzid, "authorize: %.100q may not act as %.200q", username, asked)
}

func (s *Server) bareAddress(address string) (string, error) {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(domain, "/@") {
		return "", fmt.Errorf("%.200q is no bare address", address)
	}
	local, err := s.cfg.NormalizeUser(local)
	if err != nil {
		return "", err
	}
	domain, err = s.cfg.NormalizeDomain(domain)
	if err != nil {
		return "", err
	}
	return local + "@" + domain, nil
}

// work counts the costly operations of an exchange, so that a test can compare
// a known user with an unknown one (attack 12).
type work struct {
	lookups, macs, iterations int
}

// credentials looks username up and in any case computes what an unknown user
// is shown, so that both cost the same (RFC 5802 §9, attack 12).
func (s *Server) credentials(ctx context.Context, username string, h Hash, w *work) (Credentials, bool, error) {
	fake := s.fake(username, h, w)
	w.lookups++
	c, known, err := s.cfg.Source.Lookup(ctx, username, h)
	if err != nil {
		return Credentials{}, false, classify("look up credentials", err)
	}
	if !known {
		return fake, false, nil
	}
	if c.Hash != h {
		return Credentials{}, false, fail(TemporaryAuthFailure, "look up credentials: got %v for %v", c.Hash, h)
	}
	if err := c.check(); err != nil {
		return Credentials{}, false, classify("look up credentials", err)
	}
	return c, true, nil
}

func (s *Server) fake(username string, h Hash, w *work) Credentials {
	salt := hmac.New(sha256.New, s.cfg.Secret)
	for _, part := range []string{"salt of an unknown user", h.String(), username} {
		_, _ = salt.Write([]byte{byte(len(part) >> 8), byte(len(part))})
		_, _ = io.WriteString(salt, part)
	}
	sum := salt.Sum(nil)
	w.macs += 3
	return Credentials{
		Hash: h, Iterations: s.cfg.Iterations, Salt: sum[:SaltSize],
		StoredKey: mac(h, s.cfg.Secret, []byte("stored key of an unknown user"), sum),
		ServerKey: mac(h, s.cfg.Secret, []byte("server key of an unknown user"), sum),
	}
}
