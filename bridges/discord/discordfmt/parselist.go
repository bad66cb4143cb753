package discordfmt

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// item is the mark of a list's line.
type item struct {
	indent  int
	ordered bool
	number  int
	text    string
}

// listItem reads "- text", "* text" or "1. text", however far indented.
func listItem(line string) (item, bool) {
	body := strings.TrimLeft(line, " ")
	it := item{indent: len(line) - len(body)}
	if text, ok := strings.CutPrefix(body, "- "); ok {
		it.text = strings.TrimSpace(text)
		return it, it.text != ""
	}
	if text, ok := strings.CutPrefix(body, "* "); ok {
		it.text = strings.TrimSpace(text)
		return it, it.text != ""
	}
	digits := len(body) - len(strings.TrimLeft(body, "0123456789"))
	if digits < 1 || digits > 9 || !strings.HasPrefix(body[digits:], ". ") {
		return item{}, false
	}
	it.ordered = true
	it.number, _ = strconv.Atoi(body[:digits])
	it.text = strings.TrimSpace(body[digits+2:])
	return it, it.text != ""
}

// maxListDepth is how deep Discord shows lists in lists.
const maxListDepth = 11

// list reads lines of items; an indented line goes on with the item before it.
func (p *parser) list(s string) ([]richtext.Node, string) {
	var items []item
	for s != "" {
		line, rest := cutLine(s)
		it, ok := listItem(line)
		switch {
		case ok:
			items = append(items, it)
		case strings.HasPrefix(line, "  ") && strings.TrimSpace(line) != "":
			items[len(items)-1].text += "\n" + strings.TrimSpace(line)
		default:
			return p.lists(items, 0), s
		}
		s = rest
	}
	return p.lists(items, 0), s
}

// lists builds trees of items: what is indented further belongs to the item before.
func (p *parser) lists(items []item, depth int) []richtext.Node {
	var out []richtext.Node
	for i := 0; i < len(items); {
		first := items[i]
		list := richtext.Node{Kind: richtext.KindList, Ordered: first.ordered, Start: first.number}
		for i < len(items) && items[i].ordered == first.ordered {
			head := items[i]
			end := i + 1
			for end < len(items) && items[end].indent > head.indent && depth < maxListDepth {
				end++
			}
			kids := []richtext.Node{richtext.Para(p.inlines(head.text, 0)...)}
			if end > i+1 {
				kids = append(kids, p.lists(items[i+1:end], depth+1)...)
			}
			list.Children = append(list.Children, richtext.Item(kids...))
			i = end
		}
		out = append(out, list)
	}
	return out
}
