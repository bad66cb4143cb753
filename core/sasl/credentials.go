package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
)

const (
	// DefaultIterations is the PBKDF2 count of new credentials. RFC 7677 §4
	// asks for 4,096 at least; the cost is the client's, except under PLAIN.
	DefaultIterations = 10_000
	// SaltSize is the length of the salts this server makes. Unknown users are
	// shown salts of this length.
	SaltSize = 16

	minIterations = 4096
	maxIterations = 10_000_000
)

// Credentials is what a server keeps of a password for one hash (RFC 5802 §3).
// Neither the password nor ClientKey can be computed from it.
type Credentials struct {
	Hash       Hash
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// CredentialSource looks credentials up. username is normalised by
// Config.NormalizeUser. ok is false when there is no such user or it has no
// credentials for h; the two must take the same path. An error means the source
// failed: an *Error keeps its condition, anything else becomes
// temporary-auth-failure. Do not report disabled accounts here but in
// Config.Admit, which runs after the proof.
type CredentialSource interface {
	Lookup(ctx context.Context, username string, h Hash) (c Credentials, ok bool, err error)
}

// NewSalt gives SaltSize random bytes.
func NewSalt() []byte {
	salt := make([]byte, SaltSize)
	_, _ = rand.Read(salt) // crypto/rand.Read never fails
	return salt
}

// SaltedPassword is RFC 5802 §3's Hi(Normalize(password), salt, i). It costs
// iterations computations of HMAC.
func SaltedPassword(h Hash, password string, salt []byte, iterations int) ([]byte, error) {
	if !h.Valid() {
		return nil, fmt.Errorf("sasl: salt password: unknown hash %d", h)
	}
	if len(salt) == 0 || iterations < 1 || iterations > maxIterations {
		return nil, fmt.Errorf("sasl: salt password: salt of %d bytes and %d iterations", len(salt), iterations)
	}
	prepared, err := PreparePassword(password)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(h.New, prepared, salt, iterations, h.Size())
}

// DeriveCredentials computes what to store for a new password.
func DeriveCredentials(h Hash, password string, salt []byte, iterations int) (Credentials, error) {
	salted, err := SaltedPassword(h, password, salt, iterations)
	if err != nil {
		return Credentials{}, err
	}
	return CredentialsFromSaltedPassword(h, salted, salt, iterations)
}

// CredentialsFromSaltedPassword computes what to store when the client sends
// its salted password, as in XEP-0480 §3.
func CredentialsFromSaltedPassword(h Hash, salted, salt []byte, iterations int) (Credentials, error) {
	if !h.Valid() || len(salted) != h.Size() {
		return Credentials{}, fmt.Errorf("sasl: derive credentials: %d bytes are no salted password of %v", len(salted), h)
	}
	storedKey, serverKey := deriveKeys(h, salted)
	return Credentials{Hash: h, Salt: salt, Iterations: iterations, StoredKey: storedKey, ServerKey: serverKey}, nil
}

// Verify checks a password against c. It costs c.Iterations computations of
// HMAC whatever the answer is.
func (c Credentials) Verify(password string) (bool, error) {
	if err := c.check(); err != nil {
		return false, err
	}
	prepared, prepErr := PreparePassword(password)
	if prepErr != nil {
		prepared = "x" // the same work; refused below
	}
	salted, err := pbkdf2.Key(c.Hash.New, prepared, c.Salt, c.Iterations, c.Hash.Size())
	if err != nil {
		return false, fmt.Errorf("sasl: verify password: %w", err)
	}
	storedKey, _ := deriveKeys(c.Hash, salted)
	return subtle.ConstantTimeCompare(storedKey, c.StoredKey) == 1 && prepErr == nil, nil
}

// check finds credentials that were stored wrongly before they are used.
func (c Credentials) check() error {
	size := c.Hash.Size()
	if size == 0 || len(c.StoredKey) != size || len(c.ServerKey) != size || len(c.Salt) == 0 || c.Iterations < 1 || c.Iterations > maxIterations {
		return errors.New("sasl: stored credentials are damaged")
	}
	return nil
}

// deriveKeys gives StoredKey and ServerKey of a salted password (RFC 5802 §3).
func deriveKeys(h Hash, salted []byte) (storedKey, serverKey []byte) {
	sum := h.New()
	sum.Write(mac(h, salted, []byte("Client Key")))
	return sum.Sum(nil), mac(h, salted, []byte("Server Key"))
}

func mac(h Hash, key []byte, parts ...[]byte) []byte {
	m := hmac.New(h.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}
