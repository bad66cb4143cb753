package mappings

import (
	"strings"
	"unicode"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxQuote is how deep quotes nest; deeper '>' are text.
const maxQuote = 16

// ParseStyling reads a body with XEP-0393.
func ParseStyling(body string) richtext.Document {
	return bounded(parseStyling(body, nil).document())
}

func bounded(d richtext.Document) richtext.Document {
	d, _ = richtext.Normalize(d, richtext.DefaultLimits())
	return d
}

const fence = "```"

// parseStyling parses blocks (XEP-0393 §5.1). mentions are ranges of the body, in code points.
func parseStyling(body string, mentions []span) *flat {
	f := &flat{}
	at := 0
	open, openQuote := false, 0
	lang := ""
	for raw := range strings.SplitSeq(body, "\n") {
		limit := maxQuote
		if open {
			limit = openQuote // within a preformatted block a deeper '>' is its text
		}
		quote, rest := cutQuote(raw, limit)
		if open && quote < openQuote { // §5.1.3: the block ends with its parent
			open = false
		}
		start := at + runes(raw) - runes(rest)
		switch {
		case open && rest == fence:
			open = false
		case open:
			f.lines = append(f.lines, line{quote: quote, pre: true, block: f.block, lang: lang, runs: []run{{text: rest}}})
		case strings.HasPrefix(rest, fence):
			open, openQuote = true, quote
			f.block++
			lang = strings.TrimSpace(rest[len(fence):])
			if strings.ContainsAny(lang, " `") {
				lang = ""
			}
		default:
			f.lines = append(f.lines, line{quote: quote, runs: parseSpans(rest, start, mentions)})
		}
		at += runes(raw) + 1
	}
	return f
}

// cutQuote takes the quotation marks off a line (XEP-0393 §5.1.4).
func cutQuote(s string, limit int) (int, string) {
	n := 0
	for n < limit && strings.HasPrefix(s, ">") {
		s = strings.TrimPrefix(s[1:], " ")
		n++
	}
	return n, s
}

// directives are the marks of spans (XEP-0393 §5.2).
func directive(r rune) style {
	switch r {
	case '*':
		return bold
	case '_':
		return italic
	case '~':
		return strike
	case '`':
		return code
	}
	return 0
}

type spanParser struct {
	text     []rune
	at       int // where text begins in the body
	mentions []span
	out      []run
}

func parseSpans(s string, at int, mentions []span) []run {
	p := &spanParser{text: []rune(s), at: at, mentions: mentions}
	p.parse(0, len(p.text), 0)
	return p.out
}

func (p *spanParser) parse(from, to int, s style) {
	for i := from; i < to; i++ {
		d := directive(p.text[i])
		if d != 0 && s&d == 0 && p.opens(i, from, d, s) {
			if end := p.closing(i, to); end > 0 {
				if d == code {
					p.emit(i+1, end, s|code) // §5.2.5: nothing is a span within
				} else {
					p.parse(i+1, end, s|d)
				}
				i = end
				continue
			}
		}
		p.emit(i, i+1, s)
	}
}

// opens: at the beginning of the line, behind white space or another opening directive, and not followed by white space (§5.2).
func (p *spanParser) opens(i, from int, d, outer style) bool {
	if i+1 >= len(p.text) || isSpace(p.text[i+1]) {
		return false
	}
	return i == 0 || isSpace(p.text[i-1]) || i == from && outer != 0 && directive(p.text[i-1]) != d
}

// closing finds the first directive of the same sort that is not preceded by white space; something stands between.
func (p *spanParser) closing(i, to int) int {
	for j := i + 1; j < to; j++ {
		if p.text[j] == p.text[i] && !isSpace(p.text[j-1]) {
			if j == i+1 {
				return 0
			}
			return j
		}
	}
	return 0
}

func (p *spanParser) emit(from, to int, s style) {
	for i := from; i < to; i++ {
		m, start := p.mention(i)
		if n := len(p.out); n > 0 && p.out[n-1].style == s && p.out[n-1].mention == m && !start {
			p.out[n-1].text += string(p.text[i])
			continue
		}
		p.out = append(p.out, run{text: string(p.text[i]), style: s, mention: m})
	}
}

// mention returns whose mention the i-th character belongs to, and whether it begins there.
func (p *spanParser) mention(i int) (*richtext.Mention, bool) {
	for k := range p.mentions {
		if m := &p.mentions[k]; p.at+i >= m.start && p.at+i < m.end {
			return m.mention, p.at+i == m.start
		}
	}
	return nil, false
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Z, r) }
