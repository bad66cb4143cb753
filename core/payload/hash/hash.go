// Package hash makes the hashes by which clients recognise what they have seen: the verification string of entity capabilities
// (XEP-0115 §5) and the hash of an avatar (XEP-0153 §4.1, XEP-0084 §4.1).
//
// What it is not: a cache. Whoever caches what a hash stands for verifies it first ([Caps.Ver] of the answer against what was announced) and
// keys by algorithm and hash, so that nobody can poison it (XEP-0115 §7.1).
//
// Goroutines: none.
//
//	c := hash.Caps{Identities: ids, Features: features}
//	n := hash.CapsNode("https://example.org/viaduct", c.Ver())
package hash

import (
	"crypto/sha1" //nolint:gosec // XEP-0115 and XEP-0153 name SHA-1; nothing is secured by it
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Identity is one identity of disco#info (XEP-0030 §3.1).
type Identity struct{ Category, Type, Lang, Name string }

// Caps is what a capabilities hash is made of.
type Caps struct {
	Identities []Identity
	Features   []string
	Forms      []*xmlstream.Node // jabber:x:data forms of XEP-0128
}

// ErrIllFormed says that an answer must not be trusted or cached (XEP-0115 §5.4 step 3).
var ErrIllFormed = errors.New("hash: ill-formed disco#info")

// Avatar returns the lower-case hexadecimal SHA-1 of an image.
func Avatar(image []byte) string {
	sum := sha1.Sum(image) //nolint:gosec // XEP-0153 §4.1
	return hex.EncodeToString(sum[:])
}

// CapsNode returns <c/> for presence and stream features (XEP-0115 §4, §6.3).
func CapsNode(node, ver string) *xmlstream.Node {
	return xmlstream.NewNode(ns.Caps, "c", "hash", "sha-1", "node", node, "ver", ver)
}

// Ver returns the SHA-1 verification string (XEP-0115 §5.1).
func (c Caps) Ver() string {
	sum := sha1.Sum([]byte(c.input())) //nolint:gosec // XEP-0115 §5.1
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c Caps) input() string {
	var b strings.Builder
	ids := make([]string, len(c.Identities))
	for i, id := range c.Identities {
		ids[i] = id.Category + "/" + id.Type + "/" + id.Lang + "/" + id.Name + "<"
	}
	slices.Sort(ids)
	for _, s := range ids {
		b.WriteString(s)
	}
	features := slices.Clone(c.Features)
	slices.Sort(features)
	for _, s := range features {
		b.WriteString(s + "<")
	}
	forms := make([]string, 0, len(c.Forms))
	for _, f := range c.Forms {
		if s, ok := formInput(f); ok {
			forms = append(forms, s)
		}
	}
	slices.Sort(forms)
	for _, s := range forms {
		b.WriteString(s)
	}
	return b.String()
}

// formInput is a form's part, which begins with its FORM_TYPE; a form without one of type hidden does not count
// (XEP-0115 §5.4 step 3.6).
func formInput(f *xmlstream.Node) (string, bool) {
	formType := ""
	var fields []string
	for n := range f.Children(ns.Form, "field") {
		var values []string
		for v := range n.Children(ns.Form, "value") {
			values = append(values, v.TextContent())
		}
		if n.Attr("var") == "FORM_TYPE" {
			if t := n.Attr("type"); t != "" && t != "hidden" || len(values) == 0 {
				return "", false
			}
			formType = values[0]
			continue
		}
		slices.Sort(values)
		fields = append(fields, n.Attr("var")+"<"+strings.Join(append(values, ""), "<"))
	}
	if formType == "" {
		return "", false
	}
	slices.Sort(fields)
	return formType + "<" + strings.Join(fields, ""), true
}

// Parse reads a disco#info answer. Duplicate identities, features or form types, and a FORM_TYPE of two different values, make it
// ill-formed.
func Parse(query *xmlstream.Node) (Caps, error) {
	var c Caps
	ids, features, types := map[Identity]bool{}, map[string]bool{}, map[string]bool{}
	for n := range query.Elements() {
		switch {
		case n.Name.Space == ns.DiscoInfo && n.Name.Local == "identity":
			id := Identity{n.Attr("category"), n.Attr("type"), lang(n), n.Attr("name")}
			if ids[id] {
				return Caps{}, ErrIllFormed
			}
			ids[id] = true
			c.Identities = append(c.Identities, id)
		case n.Name.Space == ns.DiscoInfo && n.Name.Local == "feature":
			v := n.Attr("var")
			if features[v] {
				return Caps{}, ErrIllFormed
			}
			features[v] = true
			c.Features = append(c.Features, v)
		case n.Name.Space == ns.Form && n.Name.Local == "x":
			t, ok := formType(n)
			if !ok || t != "" && types[t] {
				return Caps{}, ErrIllFormed
			}
			types[t] = true
			c.Forms = append(c.Forms, n)
		}
	}
	return c, nil
}

func lang(n *xmlstream.Node) string {
	for _, a := range n.Attrs {
		if a.Name.Space == ns.XML && a.Name.Local == "lang" {
			return a.Value
		}
	}
	return ""
}

func formType(f *xmlstream.Node) (string, bool) {
	t := ""
	for n := range f.Children(ns.Form, "field") {
		if n.Attr("var") != "FORM_TYPE" {
			continue
		}
		for v := range n.Children(ns.Form, "value") {
			if s := v.TextContent(); t == "" {
				t = s
			} else if s != t {
				return "", false
			}
		}
	}
	return t, true
}
