package discordfmt

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

var update = flag.Bool("update", false, "write the golden files")

func names() Names {
	return Names{
		User:    func(id string) string { return map[string]string{"1": "Ann", "2": "Bob"}[id] },
		Channel: func(id string) string { return map[string]string{"10": "general"}[id] },
		Role:    func(id string) string { return map[string]string{"20": "Crew"}[id] },
	}
}

// sources are what the golden file shows read and written again.
func sources() []string {
	return []string{
		"plain words", "two\nlines", "two\n\nparagraphs", "**bold**", "*italic*", "_italic_", "__under__", "~~strike~~", "||hidden||",
		"***both***", "___both___", "**bold *and* italic**", "*italic **and** bold*", "__*a*__", "**_~~__||all||__~~_**",
		"snake_case_name and 2*3*4", "_a_b", "a_b_", "* not italic *", "**not bold", "**a\n\nb**", "a * b * c", "**a**b**c**", "****", "__", "~~ ~~",
		`\*not\* \_this\_ \~\~either\~\~ \|\|nor\|\| this`, `\\ and \a`, `C:\path`, "`code`", "``a ` b``", "`` ` ``", "`**no bold**`", "`open", "```not closed",
		"```\nblock\n```", "```go\nfunc main() {}\n```", "```go```", "```one line```", "before ```\ncode\n``` after", "```\na\n\n- b\n> c\n```", "```c++\nx\n```", "``````",
		"> quote", "> two\n> lines\nnot", ">not", ">>> all\nof it\n\nand this", "> a\n\n> b", "> **bold\n> lines**", "> ```\n> code\n> ```", "> > nested", "text\n> quote\ntext", "> - a\n> - b",
		"# one", "## two", "### three", "#### four", "#no", "# ", "-# small", "text\n-# small\ntext", "# **bold**\ntext",
		"- a\n- b", "* a\n* b", "1. a\n2. b", "7. a\n8. b", "- a\n  - b\n    - c\n- d", "- a\n  1. x\n  2. y", "1. a\n- b", "- a\n  goes on\ntext", "-a", "1.a", "- ", "text\n- a\ntext",
		"https://example.org/a_b_c*d*", "see https://example.org/.", "(https://example.org/a)", "https://example.org/(a)", "<https://example.org/>", "<http://x y>",
		"[label](https://example.org/)", "[**b** l](https://example.org/ \"title\")", "[l](<https://example.org/>)", "[l](javascript:alert(1))", "[l](/path)", "[a [b] c](https://x.example/(y))", "[not", "[a]b", "https://", "hhttps://x.example",
		"<@1> and <@!2> and <@3>", "<#10> <#11>", "<@&20> <@&21>", "<@x> <@> <#> <@01>", "@everyone @here", "<:party:5> <a:dance:6>", "<:bad name:5>", "<t:1618953630> <t:1618953630:d> <t:1618953630:R> <t:1618953630:x> <t:z>", "<id:customize>", "</cmd:5>",
		"\r\nwindows\r\nlines\r", "tab\there", "e\u0301 👩‍👩‍👧 🇪🇺", "שלום", "@\u200beveryone", "a\u200bb", "  - indented", "**a** **b**", "*a*b", "`a``b`", "|| a\nb ||", "<", "<<@1>>", "a\n\n\n\nb",
	}
}

func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range sources() {
		doc := Parse(s, names())
		out := Write(doc)
		fmt.Fprintf(&b, "%q\n  %s\n  %q\n", s, tree(doc.Blocks), out)
		if again := Parse(out, names()); !again.Equal(doc) && !strings.Contains(s, "<@&") {
			t.Errorf("%q: written as %q, that reads as\n%s\nnot\n%s", s, out, tree(again.Blocks), tree(doc.Blocks))
		}
	}
	golden(t, "testdata/markdown.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range g {
			if i >= len(w) || g[i] != w[i] {
				t.Fatalf("line %d: %s", i+1, g[i])
			}
		}
		t.Fatal("the golden file is longer")
	}
}

// tree spells a tree out.
func tree(nodes []richtext.Node) string {
	kinds := map[richtext.Kind]string{
		richtext.KindParagraph: "p", richtext.KindQuote: "quote", richtext.KindCodeBlock: "pre", richtext.KindList: "list", richtext.KindListItem: "item", richtext.KindHeading: "h",
		richtext.KindText: "", richtext.KindLineBreak: "br", richtext.KindBold: "b", richtext.KindItalic: "i", richtext.KindUnderline: "u", richtext.KindStrike: "s", richtext.KindCode: "code",
		richtext.KindLink: "a", richtext.KindSpoiler: "spoiler", richtext.KindMention: "mention", richtext.KindEmoji: "emoji", richtext.KindTime: "time", richtext.KindSubtext: "small",
	}
	var parts []string
	for _, n := range nodes {
		s := kinds[n.Kind]
		switch {
		case n.Kind == richtext.KindHeading:
			s = fmt.Sprintf("h%d", n.Level)
		case n.Ordered:
			s = fmt.Sprintf("list%d", n.Start)
		case n.Kind == richtext.KindMention:
			s = fmt.Sprintf("mention:%d:%s", n.Mention.Target, n.Mention.ID)
		}
		if n.Lang != "" {
			s += ":" + n.Lang
		}
		if n.URL != "" {
			s += ":" + n.URL
		}
		if n.Text != "" {
			s += fmt.Sprintf("%q", n.Text)
		}
		if len(n.Children) > 0 {
			s += "(" + tree(n.Children) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestWrite(t *testing.T) {
	role := richtext.Node{Kind: richtext.KindMention, Text: "@Crew", Mention: richtext.Mention{Target: richtext.MentionRole, ID: "20"}}
	all := richtext.Node{Kind: richtext.KindMention, Text: "@everyone", Mention: richtext.Mention{Target: richtext.MentionAll}}
	person := richtext.Node{Kind: richtext.KindMention, Text: "Romeo", Mention: richtext.Mention{Target: richtext.MentionUser, Person: "p1"}}
	for name, test := range map[string]struct {
		doc   richtext.Document
		want  string
		users []string
	}{
		"plain text with marks":  {richtext.FromPlain("*a* _b_ `c` ~~d~~ ||e|| [f](g)"), "\\*a\\* \\_b\\_ \\`c\\` \\~\\~d\\~\\~ \\|\\|e\\|\\| \\[f](g)", nil},
		"beginnings of lines":    {richtext.FromPlain("# a\n> b\n- c\n1. d\n-# e\n  - f"), "\\# a\n\\> b\n\\- c\n1\\. d\n\\-# e\n  \\- f", nil},
		"addresses stay":         {richtext.FromPlain("see https://x.example/a_b_c, ok"), "see https://x.example/a_b_c\u200b, ok", nil},
		"user":                   {richtext.Doc(richtext.Para(richtext.MentionUserID("1", "@Ann"), richtext.MentionUserID("1", "@Ann"))), "<@1><@1>", []string{"1"}},
		"person of this side":    {richtext.Doc(richtext.Para(person)), "Romeo", nil},
		"role":                   {richtext.Doc(richtext.Para(role)), "@Crew", nil},
		"everybody":              {richtext.Doc(richtext.Para(all)), "@\u200beveryone", nil},
		"everybody in a text":    {richtext.FromPlain("@everyone @Here @her"), "@\u200beveryone @\u200bHere @\u200bher", nil},
		"everybody in two texts": {richtext.Doc(richtext.Para(richtext.Text("@"), richtext.Bold(richtext.Text("everyone")))), "@\u200b**everyone**", nil},
		"a mention typed":        {richtext.FromPlain("<@1> <@&20> <#10> <:a:5> <t:1>"), "\\<@1> \\<@\u200b&20> \\<#10> \\<:a:5> \\<t:1>", nil},
		"fence in code":          {richtext.Doc(richtext.CodeBlock("", "a\n```\nb")), "```\na\n`\u200b``\nb\n```", nil},
		"link of another scheme": {richtext.Doc(richtext.Para(richtext.Link("xmpp:a@b.example", richtext.Text("us")))), "us (xmpp:a@b.example)", nil},
		"a link that lies":       {richtext.Doc(richtext.Para(richtext.Link("https://evil.example/", richtext.Text("https://bank.example/")))), "[https\\://bank.example/](https://evil.example/)", nil},
		"nested quote":           {richtext.Doc(richtext.Quote(richtext.Para(richtext.Text("a")), richtext.Quote(richtext.Para(richtext.Text("b"))))), "> a\n> b", nil},
		"italic in a word":       {richtext.Doc(richtext.Para(richtext.Italic(richtext.Text("a")), richtext.Text("b"))), "*a*b", nil},
		"marks that touch":       {richtext.Doc(richtext.Para(richtext.Italic(richtext.Bold(richtext.Text("a"))))), "*\u200b**a**\u200b*", nil},
		"styles that touch":      {richtext.Doc(richtext.Para(richtext.Underline(richtext.Italic(richtext.Text("a"))))), "__*a*__", nil},
		"reply fallback":         {richtext.Doc(richtext.ReplyFallback(richtext.Para(richtext.Text("old"))), richtext.Para(richtext.Text("new"))), "new", nil},
		"spoiler with a reason":  {richtext.Doc(richtext.Para(richtext.Spoiler("end", richtext.Text("he dies")))), "(end) ||he dies||", nil},
	} {
		if got := Write(test.doc); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if got := Mentions(test.doc); !slices.Equal(got, test.users) {
			t.Errorf("%s: calls %v", name, got)
		}
	}
}

func TestSplit(t *testing.T) {
	code := richtext.Doc(richtext.Para(richtext.Text("see")), richtext.CodeBlock("go", strings.Repeat("a line of code\n", 300)))
	parts := Split(code, 2000)
	if len(parts) < 3 {
		t.Fatal(len(parts))
	}
	for i, p := range parts {
		if Length(p) > 2000 || strings.Count(p, "```")%2 != 0 || i > 0 && !strings.HasPrefix(p, "```go\n") {
			t.Errorf("part %d: %.40q… %d", i, p, Length(p))
		}
	}
	words := Split(richtext.FromPlain(strings.Repeat("*word* ", 1000)), 2000)
	if got := strings.Join(strings.Fields(strings.Join(words, " ")), " "); got != strings.TrimSpace(strings.Repeat("\\*word\\* ", 1000)) {
		t.Error("words were lost")
	}
	if got := Split(richtext.Document{}, 2000); got != nil {
		t.Error(got)
	}
	if Length("a😀") != 3 {
		t.Error("length")
	}
}

func TestEmbeds(t *testing.T) {
	var b strings.Builder
	for _, e := range []Embed{
		{Type: "rich", Title: "Build", URL: "https://ci.example/1", Description: "**failed** @everyone\n> quoted", Fields: []EmbedField{{"Branch", "main"}, {"Log", "```\nx\n```"}, {"\u200b", "loose"}}},
		{Type: "rich", Author: EmbedParty{"CI", ""}, Footer: EmbedFooter{"yesterday"}, Image: EmbedPicture{"https://ci.example/p.png"}},
		{Type: "rich"},
	} {
		doc := e.Text(names())
		fmt.Fprintf(&b, "%s\n%s\n---\n", tree(doc.Blocks), doc.Plain())
	}
	golden(t, "testdata/embeds.golden", b.String())
	if (Embed{Type: "rich"}).IsPreview() || !(Embed{Type: "link"}).IsPreview() || (Embed{Type: "poll_result"}).IsPreview() {
		t.Error("previews")
	}
}

// letters is what a reader must find again, white space aside.
func letters(d richtext.Document) string {
	var b strings.Builder
	d.Walk(func(n richtext.Node) bool {
		switch n.Kind {
		case richtext.KindText, richtext.KindCode, richtext.KindCodeBlock, richtext.KindMention, richtext.KindEmoji, richtext.KindTime:
			b.WriteString(n.Text)
		}
		return true
	})
	s := strings.NewReplacer("%5F", "_", "%2A", "*", "%7E", "~", "%7C", "|", "%60", "`", "%5C", "\\", zero, "").Replace(b.String())
	return strings.Join(strings.Fields(s), "")
}

// sane generates trees that Discord can show, with texts full of signs.
func sane(t *rapid.T) richtext.Document {
	word := rapid.OneOf(rapid.StringMatching(`[a-z]{1,6}`), rapid.StringMatching("[-a-z*_~|`#>.@<\\[\\]()\\\\!:1]{1,6}"))
	inline := func(t *rapid.T) richtext.Node {
		text := func() richtext.Node {
			return richtext.Text(strings.Join(rapid.SliceOfN(word, 1, 3).Draw(t, "words"), " "))
		}
		styles := []richtext.Kind{richtext.KindBold, richtext.KindItalic, richtext.KindUnderline, richtext.KindStrike, richtext.KindSpoiler}
		switch rapid.IntRange(0, 9).Draw(t, "inline") {
		case 0, 1:
			return richtext.Style(rapid.SampledFrom(styles).Draw(t, "style"), text(), richtext.Style(rapid.SampledFrom(styles).Draw(t, "inner"), text()))
		case 2:
			return richtext.Code(rapid.StringMatching("[a-z`*_ ]{0,4}[a-z]").Draw(t, "code"))
		case 3:
			return richtext.Link("https://x.example/"+rapid.StringMatching(`[a-z_*]{0,5}`).Draw(t, "path"), text())
		case 4:
			return richtext.MentionUserID("1", "@Ann")
		case 5:
			return richtext.LineBreak()
		case 6:
			return richtext.Style(rapid.SampledFrom(styles).Draw(t, "style"), text())
		}
		return text()
	}
	paragraph := func() richtext.Node {
		var kids []richtext.Node
		for range rapid.IntRange(1, 4).Draw(t, "inlines") {
			kids = append(kids, inline(t))
		}
		return richtext.Para(kids...)
	}
	line := func() []richtext.Node {
		return []richtext.Node{richtext.Text(word.Draw(t, "start")), richtext.Bold(richtext.Text(word.Draw(t, "bold")))}
	}
	var d richtext.Document
	for range rapid.IntRange(1, 4).Draw(t, "blocks") {
		var n richtext.Node
		switch rapid.IntRange(0, 5).Draw(t, "block") {
		case 0:
			n = richtext.Quote(paragraph())
		case 1:
			n = richtext.CodeBlock(rapid.SampledFrom([]string{"", "go", "c++"}).Draw(t, "lang"), rapid.StringMatching("[a-z`]{1,6}(\n[-> a-z`]{0,5}[a-z])?").Draw(t, "code"))
		case 2:
			n = richtext.List(richtext.Item(richtext.Para(line()...), richtext.OrderedList(3, richtext.Item(richtext.Para(line()...)))), richtext.Item(richtext.Para(line()...)))
		case 3:
			n = richtext.Heading(rapid.IntRange(1, 3).Draw(t, "level"), line()...)
		default:
			n = paragraph()
		}
		d.Blocks = append(d.Blocks, n)
	}
	d, _ = richtext.Normalize(d, richtext.DefaultLimits())
	return d
}

// What is written reads back as the same tree.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := sane(t)
		out := Write(d)
		again := Parse(out, names())
		if letters(again) != letters(d) {
			t.Fatalf("written as %q, letters\n%q\n%q", out, letters(again), letters(d))
		}
		if exact(d) && tree(again.Blocks) != tree(d.Blocks) {
			t.Fatalf("written as %q, read back as\n%s\nnot\n%s", out, tree(again.Blocks), tree(d.Blocks))
		}
		checkCalls(t, out, names())
	})
}

// exact leaves out what Discord itself cannot show: code or addresses with marks
// within a style, a space at a line's end, a style of one line over several.
func exact(d richtext.Document) bool {
	ok := true
	var walk func(nodes []richtext.Node, styled bool)
	walk = func(nodes []richtext.Node, styled bool) {
		for _, n := range nodes {
			switch {
			case styled && (n.Kind == richtext.KindCode || strings.Contains(n.Text, "://")):
				ok = false
			case n.Kind == richtext.KindLink && strings.ContainsAny(n.URL, "_*"), strings.Contains(n.Text, zero):
				ok = false
			}
			walk(n.Children, styled || !n.Kind.IsBlock() && n.Kind != richtext.KindText)
		}
	}
	walk(d.Blocks, false)
	return ok
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkCalls: nothing that was written calls everybody or a role.
func checkCalls(t failer, out string, n Names) {
	t.Helper()
	n.Everyone = true
	for _, m := range Parse(out, n).Mentions() {
		if m.Target != richtext.MentionUser && m.Target != richtext.MentionRoom {
			t.Fatalf("%q calls %+v", out, m)
		}
	}
	lower := strings.ToLower(out)
	for _, bad := range []string{"@everyone", "@here", "<@&"} {
		code := strings.Contains(out, "`")
		if strings.Contains(lower, bad) && !code {
			t.Fatalf("%q contains %s", out, bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range sources() {
		f.Add(s)
	}
	f.Add(strings.Repeat("**_", 500) + "x")
	f.Add(strings.Repeat("[", 2000))
	f.Fuzz(func(t *testing.T, s string) {
		doc := Parse(s, names())
		if normal, cut := richtext.Normalize(doc, richtext.DefaultLimits()); cut || !normal.Equal(doc) {
			t.Fatalf("not normal: %s", tree(doc.Blocks))
		}
		out := Write(doc)
		if !utf8.ValidString(out) {
			t.Fatalf("%q", out)
		}
		checkCalls(t, out, names())
		if got, want := letters(Parse(out, names())), letters(doc); got != want {
			t.Fatalf("%q written as %q:\n%q\n%q", s, out, got, want)
		}
		if len(s) > 300 {
			return // a cut at every 60 characters takes its time
		}
		for _, p := range Split(doc, 60) {
			checkCalls(t, p, names())
		}
	})
}
