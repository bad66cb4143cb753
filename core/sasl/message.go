package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The messages of RFC 5802 §7. Parsers hold on to no part of their input.

const maxNonce = 1024

var errGrammar = errors.New("not a SCRAM message")

type clientFirst struct {
	flag     byte        // 'n', 'y' or 'p'
	binding  BindingType // for 'p'
	authzid  string
	username string
	nonce    string
	header   string // gs2-header, which comes back in c=
	bare     string // client-first-message-bare
}

func parseClientFirst(in []byte) (clientFirst, error) {
	var m clientFirst
	s, err := text(in)
	if err != nil {
		return m, err
	}
	flag, rest, ok1 := strings.Cut(s, ",")
	authz, bare, ok2 := strings.Cut(rest, ",")
	if !ok1 || !ok2 {
		return m, errGrammar
	}
	switch {
	case flag == "n" || flag == "y":
		m.flag = flag[0]
	case strings.HasPrefix(flag, "p=") && isBindingName(flag[2:]):
		m.flag, m.binding = 'p', BindingType(flag[2:])
	default:
		return m, errGrammar
	}
	if authz != "" {
		if !strings.HasPrefix(authz, "a=") {
			return m, errGrammar
		}
		if m.authzid, err = unescapeName(authz[2:]); err != nil {
			return m, err
		}
	}
	m.header, m.bare = s[:len(s)-len(bare)], bare

	// A mandatory extension m= comes first and fails here (§5.1).
	a := attributes{rest: bare}
	name := a.take('n')
	m.nonce = a.take('r')
	a.skipExtensions()
	if a.bad || a.rest != "" || !isNonce(m.nonce) {
		return m, errGrammar
	}
	m.username, err = unescapeName(name)
	return m, err
}

type clientFinal struct {
	binding []byte // decoded c=
	nonce   string
	proof   []byte
	bare    string // client-final-message-without-proof
}

func parseClientFinal(in []byte) (clientFinal, error) {
	var m clientFinal
	s, err := text(in)
	if err != nil {
		return m, err
	}
	cut := strings.LastIndex(s, ",p=")
	if cut < 0 {
		return m, errGrammar
	}
	m.bare = s[:cut]
	a := attributes{rest: m.bare}
	binding := a.take('c')
	m.nonce = a.take('r')
	a.skipExtensions()
	if a.bad || a.rest != "" || !isNonce(m.nonce) {
		return m, errGrammar
	}
	if m.binding, err = decode64(binding); err != nil {
		return m, err
	}
	m.proof, err = decode64(s[cut+3:])
	return m, err
}

type serverFirst struct {
	nonce      string
	salt       []byte
	iterations int
	extensions map[byte]string
}

func parseServerFirst(in []byte) (serverFirst, error) {
	var m serverFirst
	s, err := text(in)
	if err != nil {
		return m, err
	}
	a := attributes{rest: s}
	m.nonce = a.take('r')
	salt, iterations := a.take('s'), a.take('i')
	m.extensions = a.skipExtensions()
	if a.bad || a.rest != "" || !isNonce(m.nonce) {
		return m, errGrammar
	}
	if m.salt, err = decode64(salt); err != nil || len(m.salt) == 0 {
		return m, errGrammar
	}
	m.iterations, err = strconv.Atoi(iterations)
	if err != nil || m.iterations < 1 {
		return m, errGrammar
	}
	return m, nil
}

// text checks what holds for every message: bounded, UTF-8, without NUL.
func text(in []byte) (string, error) {
	if len(in) > MaxMessage || !utf8.Valid(in) || bytes.IndexByte(in, 0) >= 0 {
		return "", errGrammar
	}
	return string(in), nil
}

// attributes walks a list of attr-val separated by commas.
type attributes struct {
	rest string
	bad  bool
}

// take removes the attribute that must come next.
func (a *attributes) take(name byte) string {
	if len(a.rest) < 2 || a.rest[0] != name || a.rest[1] != '=' {
		a.bad = true
		return ""
	}
	value, rest, more := strings.Cut(a.rest[2:], ",")
	if more && rest == "" {
		a.bad = true
	}
	a.rest = rest
	return value
}

// skipExtensions removes further attributes: RFC 5802 §5.1 has unknown optional
// ones ignored. The mandatory-extension attribute m is not optional.
func (a *attributes) skipExtensions() map[byte]string {
	var found map[byte]string
	for a.rest != "" && !a.bad {
		name := a.rest[0]
		if !isLetter(name) || name == 'm' {
			a.bad = true
			return nil
		}
		value := a.take(name)
		if value == "" {
			a.bad = true
			return nil
		}
		if found == nil {
			found = make(map[byte]string, 2)
		}
		if _, twice := found[name]; twice {
			a.bad = true
			return nil
		}
		found[name] = value
	}
	return found
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isBindingName is cb-name of RFC 5802 §7.
func isBindingName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isNonce: printable, without the comma that take has cut at.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return s != "" && len(s) <= maxNonce
}

func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errGrammar
	}
	out, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errGrammar
	}
	return out, nil
}

// escapeName makes a saslname: RFC 5802 §5.1, comma and equals sign.
func escapeName(s string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s)
}

// unescapeName is the strict inverse; every other use of '=' fails (§5.1, n).
func unescapeName(s string) (string, error) {
	if s == "" {
		return "", errGrammar
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", errGrammar
		}
		s = after[2:]
	}
}
