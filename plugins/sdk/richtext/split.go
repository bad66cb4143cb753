package richtext

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Measure gives the length of a document in a network's own unit, as that
// network would count what its renderer writes. It must not shrink when the
// document grows, and a document of n characters measures at least n.
type Measure func(Document) int

// Split cuts a document into parts that each measure at most limit. It cuts at the
// best place in the second half of what fits: between blocks, else at a line's
// end, after a sentence, between words, and never inside a grapheme if that can
// be helped. Every part is a whole tree: a style, a fence, a quote or a list that is
// cut goes on in the next part, numbered lists with their number. A part is never
// empty; a single character whose mark-up alone exceeds the limit stands by itself.
func Split(d Document, limit int, measure Measure) []Document {
	d, _ = Normalize(d, unlimited())
	limit = max(limit, 1)
	var parts []Document
	for !d.Empty() {
		if fits(d, limit) && measure(d) <= limit {
			return append(parts, d)
		}
		head, tail := cutDoc(d, cutPoint(d, limit, measure))
		if !head.Empty() {
			parts = append(parts, head)
		}
		d = tail
	}
	return parts
}

// fits is a cheap necessary condition: at most limit characters.
func fits(d Document, limit int) bool {
	s := scan{limit: limit + 1}
	s.nodes(d.Blocks)
	return len(s.ranks)-1 <= limit
}

// cutPoint is the number of characters of the next part, at least one.
func cutPoint(d Document, limit int, measure Measure) int {
	s := scan{limit: limit + 1, ranks: []int8{rankNever}}
	s.nodes(d.Blocks)
	lo, hi := 1, max(min(limit, len(s.ranks)-1), 1)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if measure(cutHead(d, mid)) <= limit {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	best := lo
	for n := lo; n > lo/2; n-- {
		if s.ranks[n] > s.ranks[best] {
			best = n
		}
	}
	return best
}

// Ranks of the position after a character: how good a place to cut it is.
const (
	rankNever int8 = iota
	rankAny
	rankWord
	rankSentence
	rankLine
	rankBlock
	rankTop
)

// scan walks a normal tree and ranks the position after every character.
// A leaf that is not text counts as one character.
type scan struct {
	limit int
	ranks []int8 // [n] is the rank of cutting after n characters; [0] is unused
	depth int
}

func (s *scan) full() bool { return len(s.ranks) > s.limit }

func (s *scan) nodes(nodes []Node) {
	for _, n := range nodes {
		if s.full() {
			return
		}
		s.node(n)
	}
}

func (s *scan) node(n Node) {
	if s.ranks == nil {
		s.ranks = []int8{rankNever}
	}
	switch n.Kind {
	case KindText, KindCode, KindCodeBlock:
		s.text(n.Text)
	case KindLineBreak:
		s.ranks = append(s.ranks, rankLine)
	case KindMention, KindEmoji, KindTime:
		s.ranks = append(s.ranks, rankAny)
	default:
		s.depth++
		s.nodes(n.Children)
		s.depth--
	}
	if n.Kind.IsBlock() && !s.full() {
		rank := rankBlock
		if s.depth == 0 {
			rank = rankTop
		}
		s.ranks[len(s.ranks)-1] = rank
	}
}

func (s *scan) text(t string) {
	var prev rune
	for i, r := range t {
		if s.full() {
			return
		}
		next, _ := utf8.DecodeRuneInString(t[i+utf8.RuneLen(r):])
		s.ranks = append(s.ranks, rankAfter(prev, r, next))
		prev = r
	}
}

// rankAfter ranks the place between r and next.
func rankAfter(prev, r, next rune) int8 {
	switch {
	case joinsGrapheme(r, next):
		return rankNever
	case r == '\n':
		return rankLine
	case unicode.IsSpace(r) && strings.ContainsRune(".!?…。！？", prev):
		return rankSentence
	case unicode.IsSpace(r):
		return rankWord
	}
	return rankAny
}

// joinsGrapheme is the part of UAX #29 that chat text meets: combining marks,
// variation selectors, joiners, skin tones, flags.
func joinsGrapheme(r, next rune) bool {
	const zwj = 0x200D
	switch {
	case next == utf8.RuneError:
		return false
	case unicode.In(next, unicode.Mn, unicode.Me, unicode.Mc), next == zwj, r == zwj:
		return true
	case next >= 0x1F3FB && next <= 0x1F3FF:
		return true
	case r >= 0x1F1E6 && r <= 0x1F1FF && next >= 0x1F1E6 && next <= 0x1F1FF:
		return true
	}
	return false
}

// cutDoc parts a normal document after n characters; both halves are normal.
func cutDoc(d Document, n int) (head, tail Document) {
	h, t, _ := cutNodes(d.Blocks, n)
	head, _ = Normalize(Document{Blocks: h}, unlimited())
	tail, _ = Normalize(Document{Blocks: t}, unlimited())
	return head, tail
}

// cutHead is the first half of cutDoc at the cost of that half.
func cutHead(d Document, n int) Document {
	h, _, _ := cutNodes(d.Blocks, n)
	head, _ := Normalize(Document{Blocks: h}, unlimited())
	return head
}

func unlimited() Limits { return Limits{Depth: hardDepth, Nodes: 1 << 30, Bytes: 1 << 30} }

// cutNodes returns the nodes before and after n characters and what is left of n.
func cutNodes(nodes []Node, n int) (head, tail []Node, left int) {
	for i, node := range nodes {
		if n <= 0 {
			return head, append(tail, nodes[i:]...), 0
		}
		h, t, rest := cutNode(node, n)
		if h != nil {
			head = append(head, *h)
		}
		if t != nil {
			tail = append(tail, *t)
		}
		n = rest
	}
	return head, tail, n
}

func cutNode(node Node, n int) (head, tail *Node, left int) {
	switch node.Kind {
	case KindText, KindCode, KindCodeBlock:
		return cutText(node, n)
	case KindLineBreak, KindMention, KindEmoji, KindTime:
		return &node, nil, n - 1
	}
	hk, tk, left := cutNodes(node.Children, n)
	if len(hk) > 0 {
		h := node
		h.Children = hk
		head = &h
	}
	if len(tk) > 0 {
		t := node
		t.Children = tk
		if node.Kind == KindList && node.Ordered {
			// An item that is itself cut keeps its number.
			t.Start = max(node.Start, 1) + len(node.Children) - len(tk)
		}
		tail = &t
	}
	return head, tail, left
}

func cutText(node Node, n int) (head, tail *Node, left int) {
	at := len(node.Text)
	for i := range node.Text {
		if n == 0 {
			at = i
			break
		}
		n--
	}
	if at > 0 {
		h := node
		h.Text = node.Text[:at]
		head = &h
	}
	if at < len(node.Text) {
		t := node
		t.Text = node.Text[at:]
		tail = &t
	}
	return head, tail, n
}

// Len is the number of characters Split counts: runes of text, one for every
// mention, emoji, time and line break.
func Len(d Document) int {
	s := scan{limit: 1 << 40}
	s.nodes(d.Blocks)
	return max(len(s.ranks)-1, 0)
}

// Join puts parts back together, as blocks one after the other.
func Join(parts ...Document) Document {
	var d Document
	for _, p := range parts {
		d.Blocks = append(d.Blocks, slices.Clone(p.Blocks)...)
	}
	return d
}
