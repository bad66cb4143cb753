package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Client is the initiating side of an exchange.
type Client interface {
	// Start gives the initial response.
	Start() ([]byte, error)
	// Next takes a challenge, or with final the data of <success/>, and gives
	// the response; after final it gives none, and only a nil error means that
	// the server is who it should be.
	Next(in []byte, final bool) ([]byte, error)
}

// ClientConfig is what a client knows.
type ClientConfig struct {
	Username, Password string
	// Authzid is whom to act as; empty for oneself.
	Authzid string
	// Offered is what the server advertised on this stream.
	Offered []Name
	// OfferedBindings is its XEP-0440 list; empty when it sent none.
	OfferedBindings []BindingType
	// Channel is our own view of the stream.
	Channel Channel
	// Mechanisms are those the caller is willing to use. Default: all but PLAIN.
	Mechanisms []Name
	// MaxIterations bounds the work a server can ask for. Default 1,000,000.
	MaxIterations int
	// Rand is the source of nonces. Default: crypto/rand.
	Rand io.Reader

	nonce func() (string, error) // set by tests that follow an RFC's example
}

// ErrNoMechanism means that the server offers nothing the client is willing to use.
var ErrNoMechanism = errors.New("sasl: no mechanism in common")

// ErrDowngrade means that the lists the server signed are not those that
// arrived, or that its TLS version is not ours: somebody is in between.
var ErrDowngrade = errors.New("sasl: the offer was changed on the way")

// NewClient chooses the strongest mechanism in common and begins it.
func NewClient(cfg ClientConfig) (Name, Client, error) {
	if cfg.MaxIterations == 0 {
		cfg.MaxIterations = 1_000_000
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.nonce == nil {
		cfg.nonce = func() (string, error) { return newNonce(cfg.Rand) }
	}
	if cfg.Mechanisms == nil {
		cfg.Mechanisms = []Name{
			External, ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus, ScramSHA512, ScramSHA256, ScramSHA1,
		}
	}
	for _, n := range cfg.Mechanisms {
		if !slices.Contains(cfg.Offered, n) {
			continue
		}
		h, plus, isScram := n.Scram()
		switch {
		case isScram && plus:
			if b, ok := cfg.chooseBinding(); ok {
				return n, &scramClient{cfg: cfg, hash: h, binding: &b}, nil
			}
		case isScram:
			return n, &scramClient{cfg: cfg, hash: h}, nil
		case n == Plain && cfg.Channel.Secure:
			return n, &plainClient{cfg: cfg}, nil
		case n == External && cfg.Username == "":
			return n, externalClient(cfg.Authzid), nil
		}
	}
	return "", nil, fmt.Errorf("%w: offered are %v", ErrNoMechanism, cfg.Offered)
}

// chooseBinding takes our preferred type among those the server lists. Without
// a list it is tls-server-end-point, which every server must have (XEP-0440).
func (c ClientConfig) chooseBinding() (Binding, bool) {
	offered := c.OfferedBindings
	if len(offered) == 0 {
		offered = []BindingType{TLSServerEndPoint}
	}
	for _, b := range c.Channel.Bindings {
		if _, ok := c.Channel.binding(b.Type); ok && slices.Contains(offered, b.Type) {
			return b, true
		}
	}
	return Binding{}, false
}

type scramClient struct {
	cfg     ClientConfig
	hash    Hash
	binding *Binding

	header, nonce, bare string
	signature           []byte // expected of the server; nil before the proof
}

// Start implements Client.
func (x *scramClient) Start() ([]byte, error) {
	nonce, err := x.cfg.nonce()
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	flag := "n"
	switch {
	case x.binding != nil:
		flag = "p=" + string(x.binding.Type)
	case len(x.cfg.Channel.Bindings) > 0 && !(Offer{Mechanisms: x.cfg.Offered}).hasPlus():
		flag = "y" // RFC 5802 §6: we could, the server seems not to
	}
	authz := ""
	if x.cfg.Authzid != "" {
		authz = "a=" + escapeName(x.cfg.Authzid)
	}
	x.header, x.nonce = flag+","+authz+",", nonce
	x.bare = "n=" + escapeName(x.cfg.Username) + ",r=" + nonce
	return []byte(x.header + x.bare), nil
}

// Next implements Client.
func (x *scramClient) Next(in []byte, final bool) ([]byte, error) {
	switch {
	case x.signature == nil && len(in) == 0 && !final:
		return []byte(x.header + x.bare), nil // the server did not take an initial response
	case x.signature == nil && !final:
		return x.prove(in)
	case x.signature == nil:
		return nil, errors.New("sasl: success before the server knew a proof")
	}
	value, ok := strings.CutPrefix(string(in), "v=")
	value, _, _ = strings.Cut(value, ",")
	got, err := decode64(value)
	if !ok || err != nil {
		return nil, fmt.Errorf("sasl: server-final-message %.60q", in)
	}
	if !hmac.Equal(got, x.signature) {
		return nil, errors.New("sasl: the server does not know the password either")
	}
	return nil, nil
}

func (x *scramClient) prove(in []byte) ([]byte, error) {
	m, err := parseServerFirst(in)
	if err != nil {
		return nil, fmt.Errorf("sasl: server-first-message: %w", err)
	}
	if !strings.HasPrefix(m.nonce, x.nonce) || len(m.nonce) == len(x.nonce) {
		return nil, errors.New("sasl: the server's nonce does not extend ours")
	}
	if m.iterations > x.cfg.MaxIterations || m.iterations < minIterations {
		return nil, fmt.Errorf("sasl: the server asks for %d iterations", m.iterations)
	}
	if err := x.checkDowngrade(m.extensions); err != nil {
		return nil, err
	}
	salted, err := SaltedPassword(x.hash, x.cfg.Password, m.salt, m.iterations)
	if err != nil {
		return nil, err
	}
	binding := []byte(x.header)
	if x.binding != nil {
		binding = append(binding, x.binding.Data...)
	}
	out := base64.StdEncoding.AppendEncode([]byte("c="), binding)
	out = append(append(out, ",r="...), m.nonce...)
	auth := fmt.Appendf(nil, "%s,%s,%s", x.bare, in, out)

	clientKey := mac(x.hash, salted, []byte("Client Key"))
	storedKey, serverKey := deriveKeys(x.hash, salted)
	x.signature = mac(x.hash, serverKey, auth)
	subtle.XORBytes(clientKey, clientKey, mac(x.hash, storedKey, auth))
	return base64.StdEncoding.AppendEncode(append(out, ",p="...), clientKey), nil
}

// checkDowngrade is XEP-0474 §5.2 and XEP-0515: what the server signs must be
// what arrived here.
func (x *scramClient) checkDowngrade(extensions map[byte]string) error {
	if h, ok := extensions['h']; ok && h != DowngradeHash(x.hash, x.cfg.Offered, x.cfg.OfferedBindings) {
		return fmt.Errorf("%w: list of mechanisms or binding types", ErrDowngrade)
	}
	if t, ok := extensions['t']; ok && x.cfg.Channel.Version != 0 && t != fmt.Sprintf("%04x", x.cfg.Channel.Version) {
		return fmt.Errorf("%w: TLS version", ErrDowngrade)
	}
	return nil
}

type plainClient struct{ cfg ClientConfig }

// Start implements Client.
func (x *plainClient) Start() ([]byte, error) {
	for _, part := range []string{x.cfg.Authzid, x.cfg.Username, x.cfg.Password} {
		if strings.ContainsRune(part, 0) {
			return nil, errors.New("sasl: plain: a NUL in it")
		}
	}
	return []byte(x.cfg.Authzid + "\x00" + x.cfg.Username + "\x00" + x.cfg.Password), nil
}

// Next implements Client.
func (x *plainClient) Next(in []byte, final bool) ([]byte, error) {
	return answerEmpty(x.Start, in, final)
}

type externalClient string

// Start implements Client.
func (x externalClient) Start() ([]byte, error) { return []byte(x), nil }

// Next implements Client.
func (x externalClient) Next(in []byte, final bool) ([]byte, error) {
	return answerEmpty(x.Start, in, final)
}

// answerEmpty repeats the initial response to an empty challenge: the server
// did not take it with <auth/>.
func answerEmpty(initial func() ([]byte, error), in []byte, final bool) ([]byte, error) {
	switch {
	case final && len(in) == 0:
		return nil, nil
	case !final && len(in) == 0:
		return initial()
	}
	return nil, errors.New("sasl: an unexpected challenge")
}
