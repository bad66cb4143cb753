package slackfmt

import "github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"

// maxIndent is the deepest indent that Slack shows.
const maxIndent = 8

// listStack builds trees of lists from a sequence of flat ones: lists[i] is the open
// list of level i, which hangs in the last item of lists[i-1] once it is closed.
type listStack struct {
	lists []openList
	done  []richtext.Node
}

type openList struct {
	node   richtext.Node
	indent int
	border int
}

func (s *listStack) add(items []richtext.Node, e *Element) {
	if len(items) == 0 {
		return
	}
	ordered := e.Style != nil && e.Style.List == "ordered"
	indent := min(max(e.Indent, 0), maxIndent)
	for len(s.lists) > 0 && s.top().indent > indent {
		s.pop()
	}
	if len(s.lists) > 0 {
		top := s.top()
		goesOn := !ordered || e.Offset == 0 || max(e.Offset, 0) == max(top.node.Start, 1)-1+len(top.node.Children)
		if top.indent == indent && top.node.Ordered == ordered && top.border == e.Border && goesOn {
			top.node.Children = append(top.node.Children, items...)
			return
		}
		if top.indent == indent {
			s.pop()
		}
	}
	if len(s.lists) > 0 && s.lists[0].border != e.Border {
		s.flush()
	}
	n := richtext.Node{Kind: richtext.KindList, Ordered: ordered, Children: items}
	if ordered {
		n.Start = min(max(e.Offset, 0), 999_999) + 1
	}
	s.lists = append(s.lists, openList{n, indent, e.Border})
}

func (s *listStack) top() *openList { return &s.lists[len(s.lists)-1] }

// pop closes the innermost list.
func (s *listStack) pop() {
	last := s.lists[len(s.lists)-1]
	s.lists = s.lists[:len(s.lists)-1]
	if len(s.lists) == 0 {
		s.done = append(s.done, bordered(last.border, last.node))
		return
	}
	items := s.top().node.Children
	item := &items[len(items)-1]
	item.Children = append(item.Children, last.node)
}

func (s *listStack) flush() {
	for len(s.lists) > 0 {
		s.pop()
	}
}

// take closes everything and gives the trees.
func (s *listStack) take() []richtext.Node {
	s.flush()
	out := s.done
	s.done = nil
	return out
}
