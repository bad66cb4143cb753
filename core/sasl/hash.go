package sasl

import (
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is mandatory (RFC 6120 §13.8.2); HMAC-SHA-1 is not broken by collisions
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

// Hash is the hash function of a SCRAM family. Its String is what is stored and
// what follows "SCRAM-" in the mechanism's name.
type Hash uint8

// The supported families, weakest first.
const (
	SHA1 Hash = iota + 1
	SHA256
	SHA512
)

type hashInfo struct {
	name string
	size int
	make func() hash.Hash
}

func (h Hash) info() hashInfo {
	switch h {
	case SHA1:
		return hashInfo{"SHA-1", sha1.Size, sha1.New}
	case SHA256:
		return hashInfo{"SHA-256", sha256.Size, sha256.New}
	case SHA512:
		return hashInfo{"SHA-512", sha512.Size, sha512.New}
	}
	return hashInfo{}
}

// Hashes lists the supported hashes, strongest first.
func Hashes() []Hash { return []Hash{SHA512, SHA256, SHA1} }

// ParseHash is the inverse of String.
func ParseHash(s string) (Hash, bool) {
	for _, h := range Hashes() {
		if h.String() == s {
			return h, true
		}
	}
	return 0, false
}

// Valid reports whether h is a supported hash.
func (h Hash) Valid() bool { return h.info().make != nil }

// String gives the IANA name, "SHA-256".
func (h Hash) String() string { return h.info().name }

// Size is the output length in bytes, the length of StoredKey and ServerKey.
func (h Hash) Size() int { return h.info().size }

// New starts a computation.
func (h Hash) New() hash.Hash { return h.info().make() }

// Mechanism is the name of the SCRAM mechanism of this hash.
func (h Hash) Mechanism(plus bool) Name {
	if plus {
		return Name("SCRAM-" + h.String() + plusSuffix)
	}
	return Name("SCRAM-" + h.String())
}

// UpgradeTask is the name of the XEP-0480 §3 task that asks a client for the
// salted password of this hash.
func (h Hash) UpgradeTask() string { return "UPGR-SCRAM-" + h.String() }

// Name is a SASL mechanism name as registered with IANA.
type Name string

// The mechanisms built in.
const (
	ScramSHA1       Name = "SCRAM-SHA-1"
	ScramSHA1Plus   Name = "SCRAM-SHA-1-PLUS"
	ScramSHA256     Name = "SCRAM-SHA-256"
	ScramSHA256Plus Name = "SCRAM-SHA-256-PLUS"
	ScramSHA512     Name = "SCRAM-SHA-512"
	ScramSHA512Plus Name = "SCRAM-SHA-512-PLUS"
	Plain           Name = "PLAIN"
	External        Name = "EXTERNAL"
)

const plusSuffix = "-PLUS"

// Scram takes a SCRAM mechanism's name apart; ok is false for other mechanisms.
func (n Name) Scram() (h Hash, plus, ok bool) {
	base, plus := strings.CutSuffix(string(n), plusSuffix)
	family, isScram := strings.CutPrefix(base, "SCRAM-")
	if !isScram {
		return 0, false, false
	}
	h, ok = ParseHash(family)
	return h, plus && ok, ok
}
