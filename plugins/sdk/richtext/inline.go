package richtext

import (
	"slices"
	"strings"
)

// inlineState is what encloses an inline.
type inlineState struct {
	depth   int
	styles  []Kind
	link    bool
	oneLine bool // a heading: line breaks become spaces
}

func (z *normalizer) inlines(nodes []Node, st inlineState) []Node {
	var out []Node
	if st.depth > hardDepth {
		z.cut = z.cut || len(nodes) > 0
		return nil
	}
	for _, n := range nodes {
		out = z.inline(out, n, st)
	}
	return out
}

func (z *normalizer) inline(out []Node, n Node, st inlineState) []Node {
	switch n.Kind {
	case KindText:
		return z.text(out, n.Text, st)
	case KindLineBreak:
		return z.lineBreak(out, st)
	case KindCode:
		return z.leaf(out, Node{Kind: KindCode, Text: z.fit(cleanText(n.Text, false))})
	case KindMention, KindEmoji, KindTime:
		return z.atom(out, n)
	case KindLink:
		return z.link(out, n, st)
	case KindCodeBlock:
		return z.embedded(out, []Node{Text(n.Text)}, st)
	}
	if n.Kind.isStyle() {
		return z.style(out, n, st)
	}
	if n.Kind.IsBlock() {
		return z.embedded(out, n.Children, st)
	}
	// Unknown kinds are containers: their text and their children stay.
	out = z.text(out, n.Text, st)
	return z.splice(out, n.Children, st)
}

func (z *normalizer) splice(out, nodes []Node, st inlineState) []Node {
	st.depth++
	for _, n := range z.inlines(nodes, st) {
		out = join(out, n)
	}
	return out
}

func (z *normalizer) text(out []Node, s string, st inlineState) []Node {
	for i, line := range strings.Split(cleanText(s, !st.oneLine), "\n") {
		if i > 0 {
			out = z.lineBreak(out, st)
		}
		out = z.leaf(out, Node{Kind: KindText, Text: z.fit(line)})
	}
	return out
}

func (z *normalizer) lineBreak(out []Node, st inlineState) []Node {
	if st.oneLine {
		return z.leaf(out, Text(" "))
	}
	if !z.take() {
		return out
	}
	return append(out, LineBreak())
}

func (z *normalizer) leaf(out []Node, n Node) []Node {
	if n.Text == "" || !z.take(n.Text) {
		return out
	}
	return join(out, n)
}

func (z *normalizer) style(out []Node, n Node, st inlineState) []Node {
	if st.depth >= z.limits.Depth || slices.Contains(st.styles, n.Kind) {
		return z.splice(out, n.Children, st)
	}
	label := ""
	if n.Kind == KindSpoiler {
		label = z.fit(cleanText(n.Text, false))
	}
	if !z.take(label) {
		return out
	}
	st.styles = append(slices.Clone(st.styles), n.Kind)
	st.depth++
	kids := z.inlines(n.Children, st)
	if len(kids) == 0 {
		return out
	}
	return join(out, Node{Kind: n.Kind, Text: label, Children: kids})
}

func (z *normalizer) link(out []Node, n Node, st inlineState) []Node {
	url := cleanURL(n.URL)
	if st.link || url == "" || st.depth >= z.limits.Depth || !z.take(url) {
		return z.splice(out, n.Children, st)
	}
	st.link = true
	st.depth++
	kids := z.inlines(n.Children, st)
	if len(kids) == 0 {
		kids = z.leaf(nil, Text(z.fit(url)))
	}
	if len(kids) == 0 {
		return out
	}
	return join(out, Node{Kind: KindLink, URL: url, Children: kids})
}

// atom is a mention, emoji or time: whole or not at all, with a fall-back.
func (z *normalizer) atom(out []Node, n Node) []Node {
	a := Node{Kind: n.Kind, Text: cleanText(n.Text, false)}
	var strs []string
	switch n.Kind {
	case KindMention:
		m := n.Mention
		m.ID, m.Person, m.Address = cleanText(m.ID, false), cleanText(m.Person, false), cleanText(m.Address, false)
		a.Mention = m
		a.Text = firstNonEmpty(a.Text, "@"+firstNonEmpty(m.ID, m.Address, m.Person, "all"))
		strs = []string{m.ID, m.Person, m.Address}
	case KindEmoji:
		e := n.Emoji
		e.Name, e.ID, e.Media = cleanText(e.Name, false), cleanText(e.ID, false), cleanText(e.Media, false)
		a.Emoji = e
		a.Text = firstNonEmpty(a.Text, ":"+firstNonEmpty(e.Name, "emoji")+":")
		strs = []string{e.Name, e.ID, e.Media}
	case KindTime:
		a.Time = n.Time
		a.Text = n.Time.fallback(a.Text)
	}
	if !z.take(append(strs, a.Text)...) {
		return out
	}
	return append(out, a)
}

// embedded is a block where only inlines may stand: its text on lines of its own.
func (z *normalizer) embedded(out, kids []Node, st inlineState) []Node {
	if len(out) > 0 && out[len(out)-1].Kind != KindLineBreak {
		out = z.lineBreak(out, st)
	}
	before := len(out)
	out = z.splice(out, kids, st)
	if len(out) > before && out[len(out)-1].Kind != KindLineBreak {
		out = z.lineBreak(out, st)
	}
	return out
}

// join appends n, making it one with a neighbour of the same sort.
func join(out []Node, n Node) []Node {
	if len(out) == 0 {
		return append(out, n)
	}
	last := &out[len(out)-1]
	if last.Kind != n.Kind {
		return append(out, n)
	}
	switch {
	case n.Kind == KindText || n.Kind == KindCode:
		last.Text += n.Text
		return out
	case n.Kind.isStyle() && last.Text == n.Text, n.Kind == KindLink && last.URL == n.URL:
		kids := slices.Clip(last.Children)
		for _, k := range n.Children {
			kids = join(kids, k)
		}
		last.Children = kids
		return out
	}
	return append(out, n)
}

func firstNonEmpty(strs ...string) string {
	for _, s := range strs {
		if s != "" {
			return s
		}
	}
	return ""
}
