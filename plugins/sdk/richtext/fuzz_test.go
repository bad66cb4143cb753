package richtext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// builder makes any tree out of bytes: an instruction, then its arguments.
type builder struct{ data []byte }

func (b *builder) next() byte {
	if len(b.data) == 0 {
		return 0
	}
	c := b.data[0]
	b.data = b.data[1:]
	return c
}

func (b *builder) text() string {
	n := min(int(b.next())%24, len(b.data))
	s := string(b.data[:n])
	b.data = b.data[n:]
	return s
}

func (b *builder) nodes(depth int) []Node {
	var out []Node
	for range b.next() % 5 {
		if len(b.data) == 0 || depth > 40 {
			break
		}
		n := Node{Kind: Kind(b.next() % 36)}
		switch b.next() % 6 {
		case 0:
			n.Text = b.text()
		case 1:
			n.URL = "https://" + b.text()
		case 2:
			n.URL, n.Lang = b.text(), b.text()
		case 3:
			n.Mention = Mention{Target: MentionTarget(b.next() % 7), ID: b.text()}
			n.Emoji = Emoji{Name: b.text()}
		case 4:
			n.Ordered, n.Start, n.Level = true, int(b.next())-5, int(b.next())-5
		}
		if n.Text == "" {
			n.Text = b.text()
		}
		n.Children = b.nodes(depth + 1)
		out = append(out, n)
	}
	return out
}

func fromBytes(data []byte) Document {
	b := &builder{data}
	var d Document
	for len(b.data) > 0 {
		d.Blocks = append(d.Blocks, b.nodes(0)...)
	}
	return d
}

// checkNormal says what is not normal about a document.
func checkNormal(t interface {
	Helper()
	Fatalf(string, ...any)
}, d Document, l Limits) {
	t.Helper()
	nodes, bytes := 0, 0
	var check func(list []Node, depth int, block bool)
	check = func(list []Node, depth int, block bool) {
		for i, n := range list {
			nodes++
			for _, s := range []string{n.Text, n.URL, n.Lang, n.Mention.ID, n.Emoji.Name} {
				bytes += len(s)
				if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && (r != '\n' || n.Kind != KindCodeBlock) }) {
					t.Fatalf("kind %d has %q", n.Kind, s)
				}
			}
			if n.Kind.IsBlock() != block && !(n.Kind == KindListItem) {
				t.Fatalf("kind %d stands where it may not", n.Kind)
			}
			if n.Kind.IsLeaf() != (len(n.Children) == 0) || n.Kind.IsLeaf() && n.Kind != KindLineBreak && n.Text == "" {
				t.Fatalf("kind %d is empty or has children it may not: %+v", n.Kind, n)
			}
			if i > 0 && n.Kind == KindText && list[i-1].Kind == KindText {
				t.Fatalf("two texts side by side")
			}
			kidsBlock := n.Kind == KindQuote || n.Kind == KindListItem || n.Kind == KindList || n.Kind == KindReplyFallback
			check(n.Children, depth+1, kidsBlock)
		}
	}
	check(d.Blocks, 1, true)
	if nodes > l.Nodes || bytes > l.Bytes {
		t.Fatalf("%d nodes, %d bytes", nodes, bytes)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x04\x16\x00\x03abc\x00\x02\x14\x00\x05hello\x00"))
	f.Add([]byte("\x03\x02\x00\x00\x00\x02\x04\x05\x00\x00\x01\x05\x05\x03\xff\xfe\x00\x00\x01\x1b\x01\x04x/y "))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := fromBytes(data)
		for _, l := range []Limits{DefaultLimits(), {Depth: 3, Nodes: 12, Bytes: 40}} {
			n, cut := Normalize(d, l)
			checkNormal(t, n, l)
			again, cutAgain := Normalize(n, l)
			if cutAgain || !again.Equal(n) {
				t.Fatalf("not idempotent:\n %+v\n %+v", n, again)
			}
			if !utf8.ValidString(n.Plain()) {
				t.Fatalf("%q", n.Plain())
			}
			_ = cut
		}
	})
}

// letters is what a reader must find again in the parts, white space aside.
func letters(d Document) string {
	var b strings.Builder
	d.Walk(func(n Node) bool {
		switch n.Kind {
		case KindText, KindCode, KindCodeBlock, KindMention, KindEmoji, KindTime:
			b.WriteString(n.Text)
		}
		return true
	})
	return strings.Join(strings.Fields(b.String()), "")
}

func checkSplit(t interface {
	Helper()
	Fatalf(string, ...any)
}, d Document, limit int) {
	t.Helper()
	d, _ = Normalize(d, DefaultLimits())
	parts := Split(d, limit, Len)
	for _, p := range parts {
		checkNormal(t, p, DefaultLimits())
		if p.Empty() || Len(p) > limit {
			t.Fatalf("a part of %d, the limit is %d: %+v", Len(p), limit, p)
		}
	}
	if got, want := letters(Join(parts...)), letters(d); got != want {
		t.Fatalf("limit %d:\n %q\n %q", limit, got, want)
	}
	for _, p := range Split(d, limit, PlainRunes) {
		if PlainRunes(p) > limit && Len(p) > 1 {
			t.Fatalf("a part of %d, the limit is %d", PlainRunes(p), limit)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x04\x16\x00\x03abc\x00\x02\x14\x00\x05hello\x00"), 3)
	f.Add([]byte("\x02\x03\x00\x10a\nb\nc\nd\ne\nf\ng\nh\x00"), 5)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		checkSplit(t, fromBytes(data), max(limit, 1))
	})
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := fromBytes(rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "tree"))
		n, _ := Normalize(d, DefaultLimits())
		checkNormal(t, n, DefaultLimits())
		checkSplit(t, d, rapid.IntRange(1, 60).Draw(t, "limit"))
		s := rapid.String().Draw(t, "text")
		p := FromPlain(s)
		if again, _ := Normalize(p, unlimited()); !again.Equal(p) {
			t.Fatalf("FromPlain(%q) is not normal", s)
		}
		if q := FromPlain(p.Plain()); !q.Equal(p) {
			t.Fatalf("%q: plain text does not come back: %+v", s, q)
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	d := Doc(Para(Text("hello "), Bold(Text("world")), Text(", see "), Link("https://example.org/", Text("this"))), Quote(Para(Text("q"))))
	b.ReportAllocs()
	for b.Loop() {
		Normalize(d, DefaultLimits())
	}
}

func BenchmarkSplit(b *testing.B) {
	d := Doc(Para(Text(strings.Repeat("some words in a row. ", 1000))))
	b.ReportAllocs()
	for b.Loop() {
		Split(d, 2000, PlainRunes)
	}
}
