package hash

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 names SHA-1; what is keyed by it is verified first
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The separators of XEP-0390 §4.1.
const (
	sepPart  = "\x1c"
	sepForm  = "\x1d"
	sepEntry = "\x1e"
	sepValue = "\x1f"
)

// Caps2Prefix begins the node under which XEP-0390 asks for capabilities (§4.3).
const Caps2Prefix = ns.Caps2 + "#"

// newHash returns a hash function by its name (XEP-0300 §4.1); legacy admits those that XEP-0115 is used with alone.
func newHash(algo string, legacy bool) hash.Hash {
	switch algo {
	case "sha-1":
		if legacy {
			return sha1.New() //nolint:gosec // XEP-0115 §5.1
		}
	case "sha-256":
		return sha256.New()
	case "sha-512":
		return sha512.New()
	case "sha3-256":
		return sha3.New256()
	case "sha3-512":
		return sha3.New512()
	}
	return nil
}

// VerOf is Ver with another algorithm (XEP-0115 §5.1); ok is false if the algorithm is unknown.
func (c Caps) VerOf(algo string) (ver string, ok bool) {
	h := newHash(algo, true)
	if h == nil {
		return "", false
	}
	h.Write([]byte(c.input()))
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), true
}

// Hash2 returns the hash of XEP-0390; ok is false if the algorithm is unknown, or the answer is one that has no hash (§4.1).
func (c Caps) Hash2(algo string) (sum string, ok bool) {
	h := newHash(algo, false)
	in, err := c.input2()
	if h == nil || err != nil {
		return "", false
	}
	h.Write([]byte(in))
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), true
}

// Ambiguous tells whether another answer could have the same input to the hash of XEP-0115, which has no escapes: one that holds its separators
// (XEP-0115 §7.1; the reason for XEP-0390). It must not be cached for others.
func (c Caps) Ambiguous() bool {
	bad := func(s string) bool { return strings.Contains(s, "<") }
	for _, id := range c.Identities {
		if bad(id.Category) || bad(id.Type) || bad(id.Lang) || bad(id.Name) || strings.Contains(id.Category+id.Type+id.Lang, "/") {
			return true
		}
	}
	if slices.ContainsFunc(c.Features, bad) {
		return true
	}
	for _, f := range c.Forms {
		for n := range f.Children(ns.Form, "field") {
			if bad(n.Attr("var")) {
				return true
			}
			for v := range n.Children(ns.Form, "value") {
				if bad(v.TextContent()) {
					return true
				}
			}
		}
	}
	return false
}

// errNoHash: XEP-0390 §4.1 steps 2 and 3.
var errNoHash = errors.New("hash: this disco#info has no hash")

func joined(list []string, end string) string {
	slices.Sort(list)
	return strings.Join(list, "") + end
}

func (c Caps) input2() (string, error) {
	features := make([]string, len(c.Features))
	for i, f := range c.Features {
		features[i] = f + sepValue
	}
	ids := make([]string, len(c.Identities))
	for i, id := range c.Identities {
		ids[i] = id.Category + sepValue + id.Type + sepValue + id.Lang + sepValue + id.Name + sepValue + sepEntry
	}
	forms := make([]string, len(c.Forms))
	for i, f := range c.Forms {
		s, err := formInput2(f)
		if err != nil {
			return "", err
		}
		forms[i] = s
	}
	return joined(features, sepPart) + joined(ids, sepPart) + joined(forms, sepPart), nil
}

func formInput2(f *xmlstream.Node) (string, error) {
	if f.Child(ns.Form, "reported") != nil || f.Child(ns.Form, "item") != nil {
		return "", errNoHash
	}
	typed := false
	var fields []string
	for n := range f.Children(ns.Form, "field") {
		var values []string
		for v := range n.Children(ns.Form, "value") {
			values = append(values, v.TextContent()+sepValue)
		}
		name := n.Attr("var")
		typed = typed || name == "FORM_TYPE" && len(values) == 1
		fields = append(fields, name+sepValue+joined(values, sepEntry))
	}
	if !typed {
		return "", errNoHash
	}
	return joined(fields, sepForm), nil
}
