package caps

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// protocol is one of the two ways of announcing capabilities.
type protocol uint8

const (
	unverifiable protocol = iota // XEP-0115 before version 1.4: without a hash
	legacy                       // XEP-0115
	second                       // XEP-0390
)

// key is what capabilities are known by.
type key struct {
	proto     protocol
	algo, sum string
	owner     string // of what cannot be verified: the session
}

// announcement is what a presence says.
type announcement struct {
	key  key
	node string // to ask for (XEP-0115 §6.2, XEP-0390 §6.3)
}

// maxHash bounds a hash and a node as they come.
const maxHash = 512

// read finds the announcement in a presence. XEP-0390 is preferred: its hash cannot be forged.
func read(st *stanza.Stanza) (announcement, bool) {
	if c, ok := st.Child(ns.Caps2, "c"); ok {
		if a, ok := readSecond(c.Node()); ok {
			return a, true
		}
	}
	c, ok := st.Child(ns.Caps, "c")
	if !ok {
		return announcement{}, false
	}
	ver, node, algo := c.Attr("ver"), c.Attr("node"), c.Attr("hash")
	switch {
	case ver == "" || node == "" || len(ver)+len(node)+len(algo) > maxHash:
		return announcement{}, false
	case !known(algo):
		return announcement{key{proto: unverifiable, sum: ver, owner: st.From.String()}, node + "#" + ver}, true
	}
	return announcement{key{proto: legacy, algo: strings.Clone(algo), sum: strings.Clone(ver)}, node + "#" + ver}, true
}

func readSecond(c *xmlstream.Node) (announcement, bool) {
	for h := range c.Children(ns.Hashes, "hash") {
		algo, sum := h.Attr("algo"), strings.TrimSpace(h.TextContent())
		if _, ok := (hash.Caps{}).Hash2(algo); ok && sum != "" && len(sum) <= maxHash {
			return announcement{key{proto: second, algo: algo, sum: sum}, hash.Caps2Prefix + algo + "." + sum}, true
		}
	}
	return announcement{}, false
}

func known(algo string) bool {
	_, ok := (hash.Caps{}).VerOf(algo)
	return ok
}

// verify tells whether an answer is what the key stands for.
func (k key) verify(c hash.Caps) bool {
	switch k.proto {
	case legacy:
		sum, ok := c.VerOf(k.algo)
		return ok && sum == k.sum && !c.Ambiguous()
	case second:
		sum, ok := c.Hash2(k.algo)
		return ok && sum == k.sum
	}
	return false
}
