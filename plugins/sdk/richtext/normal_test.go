package richtext

import (
	"reflect"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   Document
		want Document
	}{
		{"nothing", Doc(), Doc()},
		{"loose inlines get a paragraph", Doc(Text("a"), Bold(Text("b")), Quote(Text("c"))), Doc(Para(Text("a"), Bold(Text("b"))), Quote(Para(Text("c"))))},
		{"neighbours join", Doc(Para(Text("a"), Text("b"), Bold(Text("c")), Bold(Text("d")))), Doc(Para(Text("ab"), Bold(Text("cd"))))},
		{"joins deep down", Doc(Para(Bold(Italic(Text("a"))), Bold(Italic(Text("b"))))), Doc(Para(Bold(Italic(Text("ab")))))},
		{"empty things vanish", Doc(Para(Bold(), Text("")), Quote(Para()), List(Item()), CodeBlock("go", "\n"), Heading(1)), Doc()},
		{"a style in itself", Doc(Para(Bold(Text("a"), Bold(Text("b"))))), Doc(Para(Bold(Text("ab"))))},
		{"line feeds become breaks", Doc(Para(Text("a\r\nb\rc\u2028d"))), Doc(Para(Text("a"), LineBreak(), Text("b"), LineBreak(), Text("c"), LineBreak(), Text("d")))},
		{"breaks at the ends go", Doc(Para(LineBreak(), Text("a"), LineBreak())), Doc(Para(Text("a")))},
		{"broken UTF-8 and controls", Doc(Para(Text("a\xffb\x00c\x1bd\uFFFE\te"))), Doc(Para(Text("a\uFFFDbcd\te")))},
		{"a link without a label", Doc(Para(Link("https://x.y/"))), Doc(Para(Link("https://x.y/", Text("https://x.y/"))))},
		{"a link in a link", Doc(Para(Link("https://x/", Text("a"), Link("https://y/", Text("b"))))), Doc(Para(Link("https://x/", Text("ab"))))},
		{"dangerous links", Doc(Para(Link("javascript:alert(1)", Text("a")), Link("data:text/html,x", Text("b")), Link("https://x y", Text("c")), Link("//x", Text("d")))), Doc(Para(Text("abcd")))},
		{"heading levels and lines", Doc(Heading(9, Text("a\nb"))), Doc(Heading(6, Text("a b")))},
		{"a loose item", Doc(Item(Text("a"))), Doc(List(Item(Para(Text("a")))))},
		{"a list of loose things", Doc(List(Para(Text("a")), Text("b"))), Doc(List(Item(Para(Text("a"))), Item(Para(Text("b")))))},
		{"ordered lists start at one", Doc(OrderedList(0, Item(Text("a")))), Doc(OrderedList(1, Item(Para(Text("a")))))},
		{"a block in an inline", Doc(Para(Text("a"), Bold(Quote(Para(Text("b")))), Text("c"))), Doc(Para(Text("a"), Bold(Text("b"), LineBreak()), Text("c")))},
		{"code on one line", Doc(Para(Code("a\nb"))), Doc(Para(Code("a b")))},
		{"code block", Doc(CodeBlock("go <x>", "\na\n\tb\n")), Doc(CodeBlock("gox", "a\n\tb"))},
		{"reply fallback at the top only", Doc(ReplyFallback(Text("q")), Quote(ReplyFallback(Text("r")))), Doc(ReplyFallback(Para(Text("q"))), Quote(Para(Text("r"))))},
		{"fall-backs of atoms", Doc(Para(MentionUserID("u", ""), Node{Kind: KindEmoji, Emoji: Emoji{Name: "p"}}, Node{Kind: KindTime, Time: Time{Unix: 60}})), Doc(Para(MentionUserID("u", "@u"), Node{Kind: KindEmoji, Text: ":p:", Emoji: Emoji{Name: "p"}}, Node{Kind: KindTime, Text: "1970-01-01 00:01 UTC", Time: Time{Unix: 60}}))},
		{"unknown kinds are containers", Doc(Node{Kind: 900, Text: "a", Children: []Node{Bold(Text("b"))}}, Node{Kind: 901, Children: []Node{Quote(Text("c"))}}), Doc(Para(Text("a"), Bold(Text("b"))), Quote(Para(Text("c"))))},
		{"fields of other kinds are cleared", Doc(Node{Kind: KindParagraph, URL: "x", Lang: "y", Level: 3, Children: []Node{{Kind: KindText, Text: "a", URL: "z"}}}), Doc(Para(Text("a")))},
		{"spoilers keep their reason", Doc(Para(Spoiler("why\n", Text("a")))), Doc(Para(Spoiler("why ", Text("a"))))},
	} {
		got, cut := Normalize(tc.in, DefaultLimits())
		if cut || !got.Equal(tc.want) || !sameTree(got, tc.want) {
			t.Errorf("%s:\n got  %+v (cut %v)\n want %+v", tc.name, got, cut, tc.want)
		}
	}
}

// sameTree is DeepEqual that takes nil and empty for the same.
func sameTree(a, b Document) bool {
	return len(a.Blocks) == 0 && len(b.Blocks) == 0 || reflect.DeepEqual(a, b)
}

func TestLimits(t *testing.T) {
	deep := Text("x")
	for range 100 {
		deep = Quote(Para(Bold(deep)))
	}
	many := Doc()
	for range 100 {
		many.Blocks = append(many.Blocks, Para(Text("yy")))
	}
	for _, tc := range []struct {
		name  string
		in    Document
		limit Limits
		cut   bool
		plain string
	}{
		{"depth loses formatting, not text", Doc(deep), Limits{Depth: 3, Nodes: 1000, Bytes: 1000}, false, "> x"},
		{"nodes", many, Limits{Depth: 9, Nodes: 4, Bytes: 1000}, true, "yy\n\nyy"},
		{"bytes at a rune's border", Doc(Para(Text("aäö"))), Limits{Depth: 9, Nodes: 9, Bytes: 4}, true, "aä"},
		{"atoms are whole or gone", Doc(Para(Text("ab"), MentionUserID("user", "name"))), Limits{Depth: 9, Nodes: 9, Bytes: 5}, true, "ab"},
	} {
		got, cut := Normalize(tc.in, tc.limit)
		if cut != tc.cut || got.Plain() != tc.plain {
			t.Errorf("%s: %q, cut %v", tc.name, got.Plain(), cut)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, tc := range []struct {
		name string
		doc  Document
		want string
	}{
		{"paragraphs", Doc(Para(Text("a")), Para(Text("b"))), "a\n\nb"},
		{"styles leave no trace", Doc(Para(Bold(Text("a")), Text(" "), Italic(Strike(Underline(Text("b")))))), "a b"},
		{"links", Doc(Para(Link("https://x/", Text("l")), Text(" "), Link("https://y/", Text("https://y/")), Text(" "), Link("mailto:a@b", Text("a@b")))), "l (https://x/) https://y/ a@b"},
		{"quotes", Doc(Quote(Para(Text("a"), LineBreak(), Text("b")), Para(Text("c")), Quote(Para(Text("d"))))), "> a\n> b\n>\n> c\n> > d"},
		{"lists", Doc(List(Item(Para(Text("a")), List(Item(Para(Text("b"))))), Item(Para(Text("c"), LineBreak(), Text("d"))))), "- a\n  - b\n- c\n  d"},
		{"numbers", Doc(OrderedList(9, Item(Para(Text("a"))), Item(Para(Text("b"))))), "9. a\n10. b"},
		{"code", Doc(Quote(CodeBlock("go", "a\nb"))), "> a\n> b"},
		{"mention, emoji, time", Doc(Para(MentionUserID("u", "Bob"), Node{Kind: KindEmoji, Text: ":x:"}, Node{Kind: KindTime, Time: Time{Unix: 0, Style: TimeClock}})), "Bob:x:00:00 UTC"},
		{"spoiler", Doc(Para(Spoiler("r", Text("s")))), "s"},
	} {
		if got := tc.doc.Plain(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestFromPlain(t *testing.T) {
	for in, want := range map[string]Document{
		"":                   Doc(),
		"\n\n\n":             Doc(),
		"a *b* <c>":          Doc(Para(Text("a *b* <c>"))),
		"a\r\nb\n\n\n\nc\n":  Doc(Para(Text("a"), LineBreak(), Text("b")), Para(Text("c"))),
		"\x01" + "a\xff":     Doc(Para(Text("a\uFFFD"))),
		"one\n\n\ntwo\n\n x": Doc(Para(Text("one")), Para(Text("two")), Para(Text(" x"))),
	} {
		got := FromPlain(in)
		if !sameTree(got, want) {
			t.Errorf("%q: %+v", in, got)
		}
		if again, _ := Normalize(got, DefaultLimits()); !sameTree(again, got) {
			t.Errorf("%q is not normal", in)
		}
	}
}

func TestMentionsAndFallback(t *testing.T) {
	d := Doc(ReplyFallback(Quote(Para(MentionUserID("quoted", "q")))), Para(MentionUserID("called", "c")))
	if got := d.Mentions(); len(got) != 1 || got[0].ID != "called" {
		t.Error(got)
	}
	if got := d.WithoutReplyFallback().Plain(); got != "c" {
		t.Error(got)
	}
	if len(d.Blocks) != 2 {
		t.Error("the document itself was changed")
	}
}

func TestEqual(t *testing.T) {
	a := Doc(Para(Text("a"), Link("https://x/", Text("b"))))
	for name, b := range map[string]Document{
		"text": Doc(Para(Text("x"), Link("https://x/", Text("b")))), "address": Doc(Para(Text("a"), Link("https://y/", Text("b")))),
		"more": Doc(Para(Text("a"), Link("https://x/", Text("b")), Text("c"))), "none": Doc(),
	} {
		if a.Equal(b) || b.Equal(a) {
			t.Errorf("%s: equal", name)
		}
	}
	if !a.Equal(Doc(Para(Text("a"), Link("https://x/", Text("b"))))) {
		t.Error("not equal to itself")
	}
}

func TestSplit(t *testing.T) {
	words := strings.Repeat("word ", 30)
	for _, tc := range []struct {
		name  string
		doc   Document
		limit int
		want  []string
	}{
		{"fits", Doc(Para(Text("short"))), 10, []string{"short"}},
		{"nothing", Doc(), 10, nil},
		{"between paragraphs", Doc(Para(Text("aaaaaa")), Para(Text("bbbbbb"))), 9, []string{"aaaaaa", "bbbbbb"}},
		{"at a line", Doc(Para(Text("aaaa"), LineBreak(), Text("b cc"))), 7, []string{"aaaa", "b cc"}},
		{"after a sentence", Doc(Para(Text("It is. So be it then"))), 12, []string{"It is. ", "So be it ", "then"}},
		{"between words", Doc(Para(Text("one two three"))), 9, []string{"one two ", "three"}},
		{"anywhere", Doc(Para(Text("abcdefghij"))), 4, []string{"abcd", "efgh", "ij"}},
		{"never in a flag", Doc(Para(Text("abc🇩🇪d"))), 4, []string{"abc", "🇩🇪d"}},
		{"never before an accent", Doc(Para(Text("abce\u0301f"))), 4, []string{"abc", "e\u0301f"}},
		{"lists keep their numbers", Doc(OrderedList(3, Item(Para(Text("aaaa"))), Item(Para(Text("bbbb"))), Item(Para(Text("cccc"))))), 15, []string{"3. aaaa\n4. bbbb", "5. cccc"}},
		{"quotes stay quotes", Doc(Quote(Para(Text("aaaa bbbb")))), 7, []string{"> aaaa ", "> bbbb"}},
		{"one character over the limit", Doc(Quote(Quote(Para(Text("ab"))))), 2, []string{"> > a", "> > b"}},
		{"words", Doc(Para(Text(strings.TrimSpace(words)))), 75, []string{strings.Repeat("word ", 15), strings.TrimSpace(strings.Repeat("word ", 15))}},
	} {
		var got []string
		for _, p := range Split(tc.doc, tc.limit, PlainRunes) {
			got = append(got, p.Plain())
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got  %q\n want %q", tc.name, got, tc.want)
		}
	}
}

func TestSplitKeepsFencesAndStyles(t *testing.T) {
	d := Doc(CodeBlock("go", "aaa\nbbb\nccc"), Para(Bold(Text("dddd "), Link("https://x/", Text("eeee ffff gggg")))))
	want := []Document{
		Doc(CodeBlock("go", "aaa\nbbb")), Doc(CodeBlock("go", "ccc"), Para(Bold(Text("dddd ")))),
		Doc(Para(Bold(Link("https://x/", Text("eeee ffff "))))), Doc(Para(Bold(Link("https://x/", Text("gggg"))))),
	}
	got := Split(d, 10, Len)
	if len(got) != len(want) {
		t.Fatalf("%d parts: %+v", len(got), got)
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Errorf("part %d: %+v", i, got[i])
		}
	}
}

func TestMeasures(t *testing.T) {
	d := Doc(Para(Text("aé🙂")))
	if r, b, u := PlainRunes(d), PlainBytes(d), PlainUTF16(d); r != 3 || b != 7 || u != 4 {
		t.Error(r, b, u)
	}
}
