package demo

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestText(t *testing.T) {
	var (
		text, para = richtext.Text, richtext.Para
		bold       = richtext.Bold
	)
	for name, tc := range map[string]struct {
		text string
		want richtext.Document
		back string // if it is written differently
	}{
		"plain":          {text: "hello", want: richtext.Doc(para(text("hello")))},
		"bold":           {text: "a *b* c", want: richtext.Doc(para(text("a "), bold(text("b")), text(" c")))},
		"nested":         {text: "*a _b_*", want: richtext.Doc(para(bold(text("a "), richtext.Italic(text("b")))))},
		"struck":         {text: "~no~", want: richtext.Doc(para(richtext.Strike(text("no"))))},
		"code":           {text: "`*x*`", want: richtext.Doc(para(richtext.Code("*x*")))},
		"fence":          {text: "a\n\n```\nb *c*\n```", want: richtext.Doc(para(text("a")), richtext.CodeBlock("", "b *c*"))},
		"open fence":     {text: "```\nb", want: richtext.Doc(richtext.CodeBlock("", "b")), back: "```\nb\n```"},
		"mention":        {text: "hi @mira!", want: richtext.Doc(para(text("hi "), richtext.MentionUserID("mira", "@mira"), text("!")))},
		"e-mail":         {text: "a@b.c", want: richtext.Doc(para(text("a@b.c")))},
		"snake":          {text: "snake_case_name", want: richtext.Doc(para(text("snake_case_name")))},
		"arithmetic":     {text: "2*3*4", want: richtext.Doc(para(text("2*3*4")))},
		"alone":          {text: "* a * b", want: richtext.Doc(para(text("* a * b")))},
		"over two lines": {text: "*a\nb*", want: richtext.Doc(para(text("*a"), richtext.LineBreak(), text("b*")))},
		"paragraphs":     {text: "a\n\nb", want: richtext.Doc(para(text("a")), para(text("b")))},
		"nothing":        {text: "", want: richtext.Doc()},
	} {
		t.Run(name, func(t *testing.T) {
			got := fromText(tc.text)
			if !got.Equal(tc.want) {
				t.Errorf("read %+v", got)
			}
			if tc.back == "" {
				tc.back = tc.text
			}
			if back := toText(got); back != tc.back {
				t.Errorf("written %q", back)
			}
		})
	}
}

// What other networks know and this one does not is written as plain text.
func TestTextOfOthers(t *testing.T) {
	doc := richtext.Doc(
		richtext.Heading(1, richtext.Text("Title")),
		richtext.Quote(richtext.Para(richtext.Text("said"))),
		richtext.List(richtext.Item(richtext.Para(richtext.Text("one"))), richtext.Item(richtext.Para(richtext.Text("two")))),
		richtext.Para(richtext.Link("https://example.org/", richtext.Text("here")), richtext.Underline(richtext.Text(" under"))),
	)
	want := "*Title*\n\n> said\n\n- one\n- two\n\nhere (https://example.org/) under"
	if got := toText(doc); got != want {
		t.Errorf("%q", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a *b* _c_ `d` ~e~ @f", "```x```y```", "*_~*_~", "\xff*\xff*", strings.Repeat("*a ", 50), "é*é*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := fromText(s)
		if n, cut := richtext.Normalize(d, richtext.DefaultLimits()); cut || !n.Equal(d) {
			t.Fatalf("not normal: %+v", d)
		}
		out := toText(d)
		if !utf8.ValidString(out) {
			t.Fatalf("%q", out)
		}
		// What is written is read as words again: no letter is lost.
		if letters(fromText(out).Plain()) != letters(d.Plain()) {
			t.Fatalf("%q became %q", d.Plain(), fromText(out).Plain())
		}
	})
}

// letters leaves out what marks and fences may add or take.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("*_~`@ \n\t", r) {
			return -1
		}
		return r
	}, s)
}
