package jid

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPart is the greatest length in bytes of a part (RFC 7622 §3.2, §3.3, §3.4).
const MaxPart = 1023

// Errors that Parse, New and WithResource wrap; each is a jid-malformed (RFC 6120 §8.3.3.8).
var (
	ErrLocal    = errors.New("invalid localpart")
	ErrDomain   = errors.New("invalid domainpart")
	ErrResource = errors.New("invalid resourcepart")
)

// JID is a prepared XMPP address. Compare with ==; the zero value is no address.
type JID struct {
	s         string // local "@" domain "/" resource, with only the separators that are needed
	localLen  uint16
	domainLen uint16
}

// Parse reads an address as RFC 7622 §3.1 divides it: the resourcepart begins after the first
// slash, the localpart ends at the first @ before that. An address that is already prepared ASCII
// costs no allocation, and then shares s; use Clone to keep it without the text around it.
func Parse(s string) (JID, error) {
	if j, ok := parseCanonicalASCII(s); ok {
		return j, nil
	}
	rest, resource, hasResource := strings.Cut(s, "/")
	if hasResource && resource == "" {
		return JID{}, fmt.Errorf("jid: parse: %w: it is empty", ErrResource)
	}
	local, domain, hasLocal := strings.Cut(rest, "@")
	if !hasLocal {
		local, domain = "", rest
	} else if local == "" {
		return JID{}, fmt.Errorf("jid: parse: %w: it is empty", ErrLocal)
	}
	j, err := New(local, domain, resource)
	if err != nil {
		return JID{}, fmt.Errorf("jid: parse: %w", errors.Unwrap(err))
	}
	return j, nil
}

// ParseBytes is Parse for bytes that the caller keeps.
func ParseBytes(b []byte) (JID, error) { return Parse(string(b)) }

// MustParse is Parse for constant addresses in tests and tables; it panics on an error.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// New prepares and joins three parts. An empty local or resource means the JID has none.
func New(local, domain, resource string) (JID, error) {
	var err error
	if local != "" {
		if local, err = prepareLocal(local); err != nil {
			return JID{}, fmt.Errorf("jid: new: %w", err)
		}
	}
	if domain, err = prepareDomain(domain); err != nil {
		return JID{}, fmt.Errorf("jid: new: %w", err)
	}
	if resource != "" {
		if resource, err = prepareResource(resource); err != nil {
			return JID{}, fmt.Errorf("jid: new: %w", err)
		}
	}
	return join(local, domain, resource), nil
}

// join needs prepared parts.
func join(local, domain, resource string) JID {
	j := JID{localLen: uint16(len(local)), domainLen: uint16(len(domain))}
	switch {
	case local == "" && resource == "":
		j.s = domain
	case resource == "":
		j.s = local + "@" + domain
	case local == "":
		j.s = domain + "/" + resource
	default:
		j.s = local + "@" + domain + "/" + resource
	}
	return j
}

func (j JID) domainStart() int {
	if j.localLen == 0 {
		return 0
	}
	return int(j.localLen) + 1
}

func (j JID) bareLen() int { return j.domainStart() + int(j.domainLen) }

// Local returns the localpart, or "".
func (j JID) Local() string { return j.s[:j.localLen] }

// Domain returns the domainpart, in U-labels.
func (j JID) Domain() string { return j.s[j.domainStart():j.bareLen()] }

// Resource returns the resourcepart, or "".
func (j JID) Resource() string {
	if n := j.bareLen(); n < len(j.s) {
		return j.s[n+1:]
	}
	return ""
}

// Bare returns the JID without its resourcepart.
func (j JID) Bare() JID {
	j.s = j.s[:j.bareLen()]
	return j
}

// DomainJID returns the JID of the domain alone.
func (j JID) DomainJID() JID {
	return JID{s: j.Domain(), domainLen: j.domainLen}
}

// WithResource returns the bare JID with another resourcepart, which is prepared. An empty one is
// an error: Bare is the way to take a resource off.
func (j JID) WithResource(resource string) (JID, error) {
	if j.IsZero() {
		return JID{}, fmt.Errorf("jid: with resource: %w: the address is empty", ErrDomain)
	}
	prepared, err := prepareResource(resource)
	if err != nil {
		return JID{}, fmt.Errorf("jid: with resource: %w", err)
	}
	j.s = j.s[:j.bareLen()] + "/" + prepared
	return j, nil
}

// IsZero reports whether j is no address.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare reports whether j is an address without a resourcepart.
func (j JID) IsBare() bool { return j.s != "" && len(j.s) == j.bareLen() }

// IsFull reports whether j has a resourcepart.
func (j JID) IsFull() bool { return len(j.s) > j.bareLen() }

// HasLocal reports whether j has a localpart.
func (j JID) HasLocal() bool { return j.localLen > 0 }

// Equal is ==, for libraries that look for such a method.
func (j JID) Equal(other JID) bool { return j == other }

// String returns the address, "" for the zero JID. It does not allocate.
func (j JID) String() string { return j.s }

// AppendTo appends the address to dst.
func (j JID) AppendTo(dst []byte) []byte { return append(dst, j.s...) }

// Clone returns an equal JID that shares no memory with the text it was parsed from.
func (j JID) Clone() JID {
	j.s = strings.Clone(j.s)
	return j
}

// MarshalText implements encoding.TextMarshaler; the zero JID is empty text.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero JID.
func (j *JID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*j = JID{}
		return nil
	}
	parsed, err := ParseBytes(text)
	if err != nil {
		return err
	}
	*j = parsed
	return nil
}
