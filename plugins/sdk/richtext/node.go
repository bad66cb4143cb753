package richtext

import "slices"

// Kind says what a node is. The numbers are part of bridge/v1 and never
// change; a reader treats a number it does not know as a plain container.
type Kind int32

// Block kinds stand in a document, a quote, a list item or a reply fallback;
// inline kinds stand in a paragraph, a heading or another inline.
const (
	KindUnknown       Kind = 0
	KindParagraph     Kind = 1  // block; Children are inlines
	KindQuote         Kind = 2  // block; Children are blocks
	KindCodeBlock     Kind = 3  // block; Text is the code with \n, Lang its language or ""
	KindList          Kind = 4  // block; Children are list items; Ordered, Start
	KindListItem      Kind = 5  // block; only in a list; Children are blocks
	KindHeading       Kind = 6  // block; Children are inlines; Level 1 to 6
	KindReplyFallback Kind = 7  // block; top level only: the quoted text a client without replies would show
	KindText          Kind = 20 // inline; Text without line breaks
	KindLineBreak     Kind = 21 // inline
	KindBold          Kind = 22 // inline; Children are inlines, and so below
	KindItalic        Kind = 23
	KindUnderline     Kind = 24
	KindStrike        Kind = 25
	KindCode          Kind = 26 // inline; Text
	KindLink          Kind = 27 // inline; URL, Children the label
	KindSpoiler       Kind = 28 // inline; Text the reason or "", Children the hidden text
	KindMention       Kind = 29 // inline; Mention, Text the name to show
	KindEmoji         Kind = 30 // inline; a custom emoji: Emoji, Text the fall-back such as ":party:"
	KindTime          Kind = 31 // inline; Time, Text the fall-back
	KindSubtext       Kind = 32 // inline; small print; Children are inlines
)

// Node is one node of the tree. Only the fields its kind names have a meaning;
// Normalize clears the others.
type Node struct {
	Kind     Kind
	Text     string
	URL      string
	Lang     string
	Level    int
	Ordered  bool
	Start    int // number of the first item of an ordered list; 0 means 1
	Mention  Mention
	Emoji    Emoji
	Time     Time
	Children []Node
}

// MentionTarget says what a mention points at.
type MentionTarget int32

// The targets. Broadcast targets are only ever set by a reader that saw an
// explicit, permitted broadcast; text that merely looks like one stays text.
const (
	MentionUnknown MentionTarget = 0
	MentionUser    MentionTarget = 1 // ID is the remote user id, or Person the XMPP person
	MentionRoom    MentionTarget = 2 // ID is the remote room id
	MentionRole    MentionTarget = 3 // ID is the remote role or user-group id
	MentionAll     MentionTarget = 4 // everybody in the room
	MentionActive  MentionTarget = 5 // everybody who is there now
)

// Mention is what a mention node points at.
type Mention struct {
	Target  MentionTarget
	ID      string // in the network's own spelling; "" if the target is an XMPP person or a broadcast
	Person  string // sdk.PersonID of an XMPP person; "" otherwise
	Address string // an XMPP address (a person's bare JID or a room's) when it is known, else ""
}

// Emoji is a custom emoji.
type Emoji struct {
	Name     string // without colons
	ID       string // the network's id
	Media    string // sdk.MediaID of its picture, or ""
	Animated bool
}

// TimeStyle says how a point in time is meant to be shown.
type TimeStyle int32

// The styles; an unknown one is shown as TimeDateTime.
const (
	TimeDateTime TimeStyle = 0
	TimeDate     TimeStyle = 1
	TimeClock    TimeStyle = 2
	TimeRelative TimeStyle = 3
)

// Time is a point in time that each reader sees in her own zone.
type Time struct {
	Unix  int64 // seconds
	Style TimeStyle
}

// Document is a whole formatted text: a list of blocks.
type Document struct {
	Blocks []Node
}

// IsBlock reports whether k stands where blocks stand.
func (k Kind) IsBlock() bool { return k >= KindParagraph && k <= KindReplyFallback }

// IsLeaf reports whether k has no children: its content is Text or nothing.
func (k Kind) IsLeaf() bool {
	switch k {
	case KindCodeBlock, KindText, KindLineBreak, KindCode, KindMention, KindEmoji, KindTime:
		return true
	}
	return false
}

// isStyle reports whether nesting k in k means nothing.
func (k Kind) isStyle() bool {
	switch k {
	case KindBold, KindItalic, KindUnderline, KindStrike, KindSubtext, KindSpoiler:
		return true
	}
	return false
}

// Empty reports whether the document has no content at all.
func (d Document) Empty() bool { return len(d.Blocks) == 0 }

// Equal reports whether two documents are the same tree. An edit that changes
// nothing and an echo of our own message are recognised by it.
func (d Document) Equal(o Document) bool { return slices.EqualFunc(d.Blocks, o.Blocks, Node.Equal) }

// Equal reports whether two nodes are the same tree.
func (n Node) Equal(o Node) bool {
	return n.attrs() == o.attrs() && slices.EqualFunc(n.Children, o.Children, Node.Equal)
}

// attributes is a node without its children, comparable with ==.
type attributes struct {
	kind            Kind
	text, url, lang string
	level, start    int
	ordered         bool
	mention         Mention
	emoji           Emoji
	time            Time
}

func (n Node) attrs() attributes {
	return attributes{n.Kind, n.Text, n.URL, n.Lang, n.Level, n.Start, n.Ordered, n.Mention, n.Emoji, n.Time}
}

// Walk calls visit for every node in document order, parents first; the
// children of a node are skipped where visit returns false.
func (d Document) Walk(visit func(Node) bool) { walk(d.Blocks, visit) }

func walk(nodes []Node, visit func(Node) bool) {
	for _, n := range nodes {
		if visit(n) {
			walk(n.Children, visit)
		}
	}
}

// Mentions lists the mentions of a document in order, reply fallbacks left
// out: being quoted is not being called.
func (d Document) Mentions() []Mention {
	var out []Mention
	d.Walk(func(n Node) bool {
		if n.Kind == KindMention {
			out = append(out, n.Mention)
		}
		return n.Kind != KindReplyFallback
	})
	return out
}

// WithoutReplyFallback is the document without what stands there only for
// clients that do not know replies.
func (d Document) WithoutReplyFallback() Document {
	blocks := slices.Clone(d.Blocks)
	blocks = slices.DeleteFunc(blocks, func(n Node) bool { return n.Kind == KindReplyFallback })
	return Document{Blocks: blocks}
}
