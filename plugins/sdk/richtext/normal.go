package richtext

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits bound a tree.
type Limits struct {
	Depth int // levels of nesting; what is deeper loses its formatting, not its text
	Nodes int // nodes in the whole tree; what comes after is cut off
	Bytes int // bytes of all strings in the tree; what comes after is cut off
}

// DefaultLimits are for one chat message: more than any network takes.
func DefaultLimits() Limits { return Limits{Depth: 24, Nodes: 8192, Bytes: 256 << 10} }

// hardDepth bounds recursion itself: below it nothing is kept.
const hardDepth = 2000

// Normalize returns the normal form of d within limits, and whether something
// had to be cut off. In normal form
//   - every string is valid UTF-8 without control characters but tab (and line
//     feed in a code block);
//   - blocks hold only what their kind allows; loose inlines stand in paragraphs;
//   - neighbours of the same style are one, a style inside itself is gone, and so is
//     what is empty;
//   - a link has an address with a known scheme, and no link inside;
//   - mentions, emoji and times have a text to fall back on.
//
// Normalize is idempotent.
func Normalize(d Document, l Limits) (Document, bool) {
	n := normalizer{limits: l}
	blocks := n.blocks(d.Blocks, 1, true)
	return Document{Blocks: blocks}, n.cut
}

type normalizer struct {
	limits       Limits
	nodes, bytes int
	cut          bool
}

// take accounts for one node with its strings; false means the budget is used up.
func (z *normalizer) take(strs ...string) bool {
	n := 0
	for _, s := range strs {
		n += len(s)
	}
	if z.nodes+1 > z.limits.Nodes || z.bytes+n > z.limits.Bytes {
		z.cut = true
		return false
	}
	z.nodes++
	z.bytes += n
	return true
}

// fit shortens s to what the byte budget leaves, at a rune's border.
func (z *normalizer) fit(s string) string {
	left := z.limits.Bytes - z.bytes
	if len(s) <= left {
		return s
	}
	z.cut = true
	left = max(left, 0)
	for left > 0 && !utf8.RuneStart(s[left]) {
		left--
	}
	return s[:left]
}

func (z *normalizer) blocks(nodes []Node, depth int, top bool) []Node {
	var out, loose []Node
	flush := func() {
		if n, ok := z.paragraph(loose, depth); ok {
			out = append(out, n)
		}
		loose = nil
	}
	for _, n := range nodes {
		if !n.Kind.IsBlock() && !(n.Kind.opaque() && hasBlock(n.Children)) {
			loose = append(loose, n)
			continue
		}
		flush()
		out = append(out, z.block(n, depth, top)...)
	}
	flush()
	return out
}

// opaque reports whether k is a number this version does not know.
func (k Kind) opaque() bool { return !k.IsBlock() && (k < KindText || k > KindSubtext) }

func hasBlock(nodes []Node) bool {
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.Kind.IsBlock() })
}

func (z *normalizer) block(n Node, depth int, top bool) []Node {
	if depth > hardDepth {
		z.cut = true
		return nil
	}
	switch n.Kind {
	case KindParagraph:
		return z.one(z.paragraph(n.Children, depth))
	case KindHeading:
		return z.one(z.heading(n, depth))
	case KindCodeBlock:
		return z.one(z.codeBlock(n))
	case KindList:
		return z.list(n, depth)
	case KindListItem:
		return z.list(Node{Kind: KindList, Children: []Node{n}}, depth)
	case KindQuote, KindReplyFallback:
		return z.container(n, depth, top)
	}
	return z.blocks(n.Children, depth+1, false)
}

func (z *normalizer) one(n Node, ok bool) []Node {
	if !ok {
		return nil
	}
	return []Node{n}
}

// container is a quote or reply fallback; the latter means something at the
// top only.
func (z *normalizer) container(n Node, depth int, top bool) []Node {
	if depth >= z.limits.Depth || n.Kind == KindReplyFallback && !top || !z.take() {
		return z.blocks(n.Children, depth+1, false)
	}
	kids := z.blocks(n.Children, depth+1, false)
	if len(kids) == 0 {
		return nil
	}
	return []Node{{Kind: n.Kind, Children: kids}}
}

func (z *normalizer) paragraph(inlines []Node, depth int) (Node, bool) {
	if len(inlines) == 0 || !z.take() {
		return Node{}, false
	}
	kids := z.inlines(inlines, inlineState{depth: depth + 1})
	kids = trimBreaks(kids)
	return Node{Kind: KindParagraph, Children: kids}, len(kids) > 0
}

func trimBreaks(kids []Node) []Node {
	for len(kids) > 0 && kids[0].Kind == KindLineBreak {
		kids = kids[1:]
	}
	for len(kids) > 0 && kids[len(kids)-1].Kind == KindLineBreak {
		kids = kids[:len(kids)-1]
	}
	return kids
}

func (z *normalizer) heading(n Node, depth int) (Node, bool) {
	if !z.take() {
		return Node{}, false
	}
	kids := trimBreaks(z.inlines(n.Children, inlineState{depth: depth + 1, oneLine: true}))
	return Node{Kind: KindHeading, Level: min(max(n.Level, 1), 6), Children: kids}, len(kids) > 0
}

func (z *normalizer) codeBlock(n Node) (Node, bool) {
	text := z.fit(strings.Trim(cleanText(n.Text, true), "\n"))
	text = strings.Trim(text, "\n")
	lang := cleanName(n.Lang)
	if text == "" || !z.take(text, lang) {
		return Node{}, false
	}
	return Node{Kind: KindCodeBlock, Text: text, Lang: lang}, true
}

func (z *normalizer) list(n Node, depth int) []Node {
	if depth >= z.limits.Depth || !z.take() {
		var out []Node
		for _, item := range n.Children {
			out = append(out, z.blocks(itemBlocks(item), depth+1, false)...)
		}
		return out
	}
	out := Node{Kind: KindList, Ordered: n.Ordered}
	if n.Ordered {
		out.Start = min(max(n.Start, 1), 1_000_000_000)
	}
	for _, item := range n.Children {
		if !z.take() {
			break
		}
		kids := z.blocks(itemBlocks(item), depth+2, false)
		if len(kids) > 0 {
			out.Children = append(out.Children, Node{Kind: KindListItem, Children: kids})
		}
	}
	if len(out.Children) == 0 {
		return nil
	}
	return []Node{out}
}

// itemBlocks is what a list's child holds; a child that is no item is one.
func itemBlocks(n Node) []Node {
	if n.Kind == KindListItem {
		return n.Children
	}
	return []Node{n}
}
