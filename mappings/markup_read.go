package mappings

import (
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxSpans bounds the ranges that are read of one message.
const maxSpans = 256

// readMarkup reads spans and code blocks of XEP-0394 over a body. Quotes go by their marks in the text, lists are text.
func readMarkup(body string, markup *xmlstream.Node, mentions []span) *flat {
	total := runes(body)
	var spans, blocks []span
	langs := map[int]string{}
	for n := range markup.Elements() {
		start, end, ok := readRange(n, total)
		if !ok || len(spans)+len(blocks) >= maxSpans {
			continue
		}
		switch n.Name {
		case xmlstream.Name{Space: ns.Markup, Local: "span"}:
			s := span{start: start, end: end}
			for _, m := range marks {
				if n.Child(ns.Markup, m.local) != nil {
					s.style |= m.style
				}
			}
			spans = append(spans, s)
		case xmlstream.Name{Space: ns.Markup, Local: "bcode"}:
			blocks = append(blocks, span{start: start, end: end})
			langs[start] = n.Attr("language")
		}
	}
	f := &flat{}
	at := 0
	for raw := range strings.SplitSeq(body, "\n") {
		n := runes(raw)
		if b := covering(blocks, at, at+n); b != nil {
			f.lines = append(f.lines, line{pre: true, block: b.start + 1, lang: langs[b.start], runs: []run{{text: raw}}})
		} else {
			quote, rest := cutQuote(raw, maxQuote)
			f.lines = append(f.lines, line{quote: quote, runs: cutRuns(rest, at+n-runes(rest), spans, mentions)})
		}
		at += n + 1
	}
	return f
}

func readRange(n *xmlstream.Node, total int) (start, end int, ok bool) {
	start, err1 := strconv.Atoi(n.Attr("start"))
	end, err2 := strconv.Atoi(n.Attr("end"))
	return start, end, err1 == nil && err2 == nil && start >= 0 && start < end && end <= total
}

func covering(spans []span, from, to int) *span {
	for i := range spans {
		if spans[i].start <= from && spans[i].end >= to && spans[i].end > from {
			return &spans[i]
		}
	}
	return nil
}

// cutRuns parts a line's text, which begins at the given place of the body, where styles and mentions change.
func cutRuns(text string, at int, spans, mentions []span) []run {
	rs := []rune(text)
	cuts := []int{0, len(rs)}
	for _, s := range slices.Concat(spans, mentions) {
		for _, c := range []int{s.start - at, s.end - at} {
			if c > 0 && c < len(rs) {
				cuts = append(cuts, c)
			}
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []run
	for i := 0; i+1 < len(cuts); i++ {
		r := run{text: string(rs[cuts[i]:cuts[i+1]])}
		for _, s := range spans {
			if s.start <= at+cuts[i] && s.end >= at+cuts[i+1] {
				r.style |= s.style
			}
		}
		for _, m := range mentions {
			if m.start <= at+cuts[i] && m.end >= at+cuts[i+1] {
				r.mention = m.mention
			}
		}
		out = append(out, r)
	}
	return out
}

// cutBody takes ranges, in code points, out of a body.
func cutBody(body string, ranges []span) string {
	if len(ranges) == 0 {
		return body
	}
	var b strings.Builder
	i := 0
	for _, r := range body {
		if covering(ranges, i, i+1) == nil {
			b.WriteRune(r)
		}
		i++
	}
	return b.String()
}

// plainText is a body that says of itself that it is no markup (<unstyled/>).
func plainText(body string, mentions []span) *flat {
	f := &flat{}
	at := 0
	for raw := range strings.SplitSeq(body, "\n") {
		f.lines = append(f.lines, line{runs: cutRuns(raw, at, nil, mentions)})
		at += runes(raw) + 1
	}
	return f
}

// documentOf is the document of a body with what stands beside it.
func documentOf(body string, beside xmlstream.Fragment, mentions []span) richtext.Document {
	if m, ok := beside.Child(ns.Markup, "markup"); ok {
		return bounded(readMarkup(body, m.Node(), mentions).document())
	}
	if beside.Has(ns.Styling, "unstyled") {
		return bounded(plainText(body, mentions).document())
	}
	if x, ok := beside.Child(ns.XHTMLIM, "html"); ok && len(mentions) == 0 {
		if d, ok := ReadXHTML(x.Node(), body); ok {
			return d
		}
	}
	return bounded(parseStyling(body, mentions).document())
}

// shiftMarkup moves the ranges beside a body (XEP-0394) to where they are once the body is cut.
func shiftMarkup(beside xmlstream.Fragment, cuts []span) xmlstream.Fragment {
	is := func(c xmlstream.Child) bool { return c.Is(ns.Markup, "markup") }
	c, ok := beside.Child(ns.Markup, "markup")
	if !ok {
		return beside
	}
	n := c.Node()
	var keep []*xmlstream.Node
	for _, r := range n.Nodes {
		start, end, ok := readRange(r, 1<<30)
		if !ok {
			continue
		}
		if moved := shiftSpans([]span{{start: start, end: end}}, cuts); len(moved) == 1 {
			keep = append(keep, r.SetAttr("start", strconv.Itoa(moved[0].start)).SetAttr("end", strconv.Itoa(moved[0].end)))
		}
	}
	n.Nodes = keep
	return beside.Without(is).With(n)
}
