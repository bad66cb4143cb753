package matrixfmt

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// MarkBroadcast makes the first "@room" of a document a mention of everybody.
// The caller has seen m.mentions.room and that the author may do that.
func MarkBroadcast(d richtext.Document) richtext.Document {
	done := false
	out := richtext.Document{Blocks: markIn(d.Blocks, &done)}
	out, _ = richtext.Normalize(out, richtext.DefaultLimits())
	return out
}

func markIn(nodes []richtext.Node, done *bool) []richtext.Node {
	const word = "@room"
	var out []richtext.Node
	for _, n := range nodes {
		at := strings.Index(n.Text, word)
		if n.Kind == richtext.KindText && at >= 0 && !*done {
			*done = true
			before, after := n.Text[:at], n.Text[at+len(word):]
			out = append(out, richtext.Text(before),
				richtext.Node{Kind: richtext.KindMention, Text: word, Mention: richtext.Mention{Target: richtext.MentionAll}},
				richtext.Text(after))
			continue
		}
		n.Children = markIn(n.Children, done)
		out = append(out, n)
	}
	return out
}
