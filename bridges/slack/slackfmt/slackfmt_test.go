package slackfmt

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

var update = flag.Bool("update", false, "write the golden files")

func readOptions() ReadOptions {
	return ReadOptions{
		User: func(id string) (string, string) {
			if id == "U012ABC" {
				return "U012ABC:T0XYZ", "Ada"
			}
			return "", ""
		},
		Channel: func(id string) (string, string) {
			if id == "C012ABC" {
				return "C012ABC:T0XYZ", "general"
			}
			return "", ""
		},
		Group: func(string) string { return "devs" },
		Emoji: func(name string) string {
			if name == "party_parrot" {
				return "emoji:party_parrot"
			}
			return ""
		},
	}
}

func writeOptions() WriteOptions {
	return WriteOptions{
		User:      func(m richtext.Mention) string { id, _, _ := strings.Cut(m.ID, ":"); return id },
		Channel:   func(m richtext.Mention) string { id, _, _ := strings.Cut(m.ID, ":"); return id },
		Broadcast: true,
	}
}

func asJSON(t testing.TB, blocks []Block) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(blocks); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// back is a document that was written and read again.
func back(t testing.TB, d richtext.Document) richtext.Document {
	t.Helper()
	return Read(Source{Blocks: json.RawMessage(asJSON(t, Blocks(d, writeOptions())))}, readOptions())
}

// The golden files hold what a message is read as, in plain text, as mrkdwn and as
// blocks.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(inputs) < 15 {
		t.Fatalf("%d inputs, %v", len(inputs), err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			var s Source
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			doc := Read(s, readOptions())
			got := "--- plain\n" + doc.Plain() + "\n--- mrkdwn\n" + Mrkdwn(doc, writeOptions()) + "\n--- blocks\n" + asJSON(t, Blocks(doc, writeOptions()))
			golden := strings.TrimSuffix(input, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if again := back(t, doc); asJSON(t, Blocks(back(t, again), writeOptions())) != asJSON(t, Blocks(again, writeOptions())) {
				t.Errorf("not stable:\n%s\n%s", asJSON(t, Blocks(again, writeOptions())), asJSON(t, Blocks(back(t, again), writeOptions())))
			}
		})
	}
}

// TestExact: what Slack can show comes back as the same tree.
func TestExact(t *testing.T) {
	para, text := richtext.Para, richtext.Text
	for name, d := range map[string]richtext.Document{
		"text":        richtext.FromPlain("one\ntwo\n\nthree *not bold* _no_ `no` <b> &amp; :wave: 1:2:3"),
		"styles":      richtext.Doc(para(text("a "), richtext.Bold(text("b "), richtext.Italic(text("c"))), text(" "), richtext.Strike(text("d")), richtext.Code("e*f`"), richtext.Underline(text("g")))),
		"link":        richtext.Doc(para(text("see "), richtext.Link("https://example.org/a_b_c", text("this")), text(" or "), richtext.Link("https://example.org/"))),
		"code":        richtext.Doc(richtext.CodeBlock("go", "a := 1\n\n```\n<b>")),
		"quote":       richtext.Doc(richtext.Quote(para(text("a"), richtext.LineBreak(), text("b")), para(text("c"))), para(text("d"))),
		"two quotes":  richtext.Doc(richtext.Quote(para(text("a"))), para(text("x")), richtext.Quote(para(text("b")))),
		"quoted code": richtext.Doc(richtext.Quote(richtext.CodeBlock("", "x"))),
		"lists": richtext.Doc(richtext.List(richtext.Item(para(text("a")), richtext.OrderedList(3, richtext.Item(para(text("x"))), richtext.Item(para(text("y"))))), richtext.Item(para(text("b")))),
			para(text("after"))),
		"numbers":   richtext.Doc(richtext.OrderedList(7, richtext.Item(para(text("seven")), richtext.List(richtext.Item(para(text("dot"))))), richtext.Item(para(text("eight"))))),
		"mention":   richtext.Doc(para(richtext.MentionUserID("U012ABC:T0XYZ", "@Ada"), text(" look"))),
		"broadcast": richtext.Doc(para(richtext.Node{Kind: richtext.KindMention, Text: "@here", Mention: richtext.Mention{Target: richtext.MentionActive}})),
		"time":      richtext.Doc(para(richtext.Node{Kind: richtext.KindTime, Text: "then", Time: richtext.Time{Unix: 5, Style: richtext.TimeRelative}})),
		"emoji":     richtext.Doc(para(text("x "), richtext.Node{Kind: richtext.KindEmoji, Text: ":party_parrot:", Emoji: richtext.Emoji{Name: "party_parrot", ID: "party_parrot", Media: "emoji:party_parrot"}})),
	} {
		t.Run(name, func(t *testing.T) {
			want := normal(d)
			if got := back(t, d); !got.Equal(want) {
				t.Errorf("got\n%+v\nwant\n%+v\n%s", got, want, asJSON(t, Blocks(d, writeOptions())))
			}
		})
	}
}

func TestLinks(t *testing.T) {
	for in, want := range map[string]string{
		"see https://example.org/a.":           "<https://example.org/a>",
		"(https://example.org/a_(b))":          "<https://example.org/a_(b)>",
		"xhttps://example.org":                 "",
		"https:// nothing":                     "",
		"https://example.org/?a=b&c=d#e_f_g, ": "<https://example.org/?a=b&amp;c=d#e_f_g>",
	} {
		got := ""
		for _, e := range Blocks(richtext.FromPlain(in), WriteOptions{})[0].Elements[0].Elements {
			if e.Type == "link" {
				got = "<" + Escape(e.URL) + ">"
			}
		}
		if got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

// calls counts what would call somebody in blocks and in a text.
func calls(t testing.TB, d richtext.Document, o WriteOptions) int {
	t.Helper()
	n := 0
	var walk func([]*Element)
	walk = func(list []*Element) {
		for _, e := range list {
			if e.Type == "user" || e.Type == "broadcast" || e.Type == "usergroup" || e.Type == "channel" {
				n++
			}
			walk(e.Elements)
		}
	}
	for _, b := range Blocks(d, o) {
		walk(b.Elements)
	}
	for _, m := range FromMrkdwn(Mrkdwn(d, o), ReadOptions{}).Mentions() {
		if m.Target != richtext.MentionUnknown {
			n++
		}
	}
	return n
}

// hostile are texts that try to call somebody.
func hostile() []string {
	return []string{
		"<!channel>", "<!here|here>", "<@U012ABC>", "<#C012ABC>", "<!subteam^S012>", "@everyone @here @channel", "&lt;!channel&gt;", "<<!channel>>", "<\u200b!channel>",
		"```<!channel>```", "`<!everyone>`", "> <!channel>", "<https://x.example|<!channel>>", "<!date^1^{date}|<!channel>>", "*<!channel>*", "x\n<!channel>\ny",
	}
}

func TestNobodyIsCalled(t *testing.T) {
	for _, s := range hostile() {
		docs := map[string]richtext.Document{
			"text": richtext.FromPlain(s), "code": richtext.Doc(richtext.CodeBlock(s, s)), "inline code": richtext.Doc(richtext.Para(richtext.Code(s))),
			"label": richtext.Doc(richtext.Para(richtext.Link("https://example.org/", richtext.Text(s)))), "address": richtext.Doc(richtext.Para(richtext.Link("https://example.org/"+s, richtext.Text("x")))),
			"spoiler": richtext.Doc(richtext.Para(richtext.Spoiler(s, richtext.Text(s)))), "a name": richtext.Doc(richtext.Para(richtext.MentionUserID("nobody", s))),
			"emoji":            richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindEmoji, Text: s, Emoji: richtext.Emoji{Name: s}})),
			"a time":           richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindTime, Text: s, Time: richtext.Time{Unix: 1}})),
			"everybody":        richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindMention, Text: s, Mention: richtext.Mention{Target: richtext.MentionAll}})),
			"a link's mention": richtext.Doc(richtext.Para(richtext.Link("https://example.org/", richtext.MentionUserID("U012ABC:T0XYZ", s)))),
		}
		for where, d := range docs {
			if n := calls(t, d, WriteOptions{User: func(m richtext.Mention) string { return "" }}); n != 0 {
				t.Errorf("%s in %s calls somebody: %s %s", s, where, asJSON(t, Blocks(d, WriteOptions{})), Mrkdwn(d, WriteOptions{}))
			}
		}
	}
	d := richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindMention, Text: "@all", Mention: richtext.Mention{Target: richtext.MentionAll}}))
	if calls(t, d, writeOptions()) != 2 {
		t.Error("who may call everybody, cannot")
	}
}

func TestSplit(t *testing.T) {
	text := strings.Repeat("word & <b> ", 2000)
	parts := Split(richtext.Doc(richtext.CodeBlock("go", text), richtext.Para(richtext.Bold(richtext.Text(text)))))
	var words []string
	for _, p := range parts {
		if n := Measure(p); n > Limit {
			t.Errorf("a part of %d", n)
		}
		words = append(words, strings.Fields(p.Plain())...)
	}
	if len(words) != 12000 || len(parts) < 10 {
		t.Errorf("%d words in %d parts", len(words), len(parts))
	}
}

func TestEmoji(t *testing.T) {
	for text, name := range map[string]string{"👍": "+1", "❤️": "heart", "❤": "heart", "👋🏽": "wave::skin-tone-4", "🎉": "tada", ":party_parrot:": "party_parrot", "x": "", ":no good:": "", "": "", ":": "", "::": ""} {
		if got := EmojiName(text); got != name {
			t.Errorf("%q is called %q, not %q", text, got, name)
		}
	}
	for name, text := range map[string]string{"+1": "👍", "thumbsup": "👍", "wave::skin-tone-4": "👋🏽", "heart": "❤️", "party_parrot": "", "wave::skin-tone-9": "👋"} {
		if got := EmojiText(name); got != text {
			t.Errorf("%q is %q, not %q", name, got, text)
		}
	}
	for alias, name := range aliases() {
		if EmojiText(name) == "" {
			t.Errorf("the alias %q stands for %q, which is none", alias, name)
		}
	}
}

func TestStatusText(t *testing.T) {
	if got := StatusText(":house_with_garden:", "at home &amp; busy"); got != "🏡 at home & busy" {
		t.Error(got)
	}
	if got := StatusText("", ""); got != "" {
		t.Error(got)
	}
}

// The time that reading takes grows with the length, not with its square.
func TestHostileLength(t *testing.T) {
	for _, s := range []string{"*a ", "_*a ", "<", "`", ":", "*_~", "<a|", ":a", "&gt;", "```", "<@U1"} {
		if d := FromMrkdwn(strings.Repeat(s, maxMrkdwn/len(s)), ReadOptions{}); d.Empty() && s != "```" {
			t.Errorf("%q is nothing", s)
		}
	}
}

// document draws a tree of what richtext has.
func document() *rapid.Generator[richtext.Document] {
	word := rapid.StringOfN(rapid.RuneFrom([]rune("ab *_~`<>&|:!@#\n-.1é👍")), 1, 12, -1)
	var inline func(depth int) *rapid.Generator[richtext.Node]
	inline = func(depth int) *rapid.Generator[richtext.Node] {
		return rapid.Custom(func(t *rapid.T) richtext.Node {
			kids := func() []richtext.Node { return rapid.SliceOfN(inline(depth+1), 1, 3).Draw(t, "kids") }
			n := rapid.IntRange(0, 9).Draw(t, "inline")
			if depth > 3 {
				n %= 3
			}
			switch n {
			case 3, 4:
				return richtext.Style(rapid.SampledFrom([]richtext.Kind{richtext.KindBold, richtext.KindItalic, richtext.KindStrike, richtext.KindUnderline, richtext.KindSubtext}).Draw(t, "style"), kids()...)
			case 5:
				return richtext.Link("https://example.org/"+rapid.StringMatching(`[a-z_*]{0,5}`).Draw(t, "url"), kids()...)
			case 6:
				return richtext.MentionUserID("U012ABC:T0XYZ", "Ada")
			case 7:
				return richtext.Code(word.Draw(t, "code"))
			case 8:
				return richtext.Spoiler("", kids()...)
			case 9:
				return richtext.LineBreak()
			}
			return richtext.Text(word.Draw(t, "text"))
		})
	}
	var block func(depth int) *rapid.Generator[richtext.Node]
	block = func(depth int) *rapid.Generator[richtext.Node] {
		return rapid.Custom(func(t *rapid.T) richtext.Node {
			n := rapid.IntRange(0, 5).Draw(t, "block")
			if depth > 3 {
				n = 0
			}
			blocks := func() []richtext.Node { return rapid.SliceOfN(block(depth+1), 1, 3).Draw(t, "blocks") }
			switch n {
			case 1:
				return richtext.Quote(blocks()...)
			case 2:
				return richtext.CodeBlock("", word.Draw(t, "code"))
			case 3:
				var items []richtext.Node
				for range rapid.IntRange(1, 3).Draw(t, "items") {
					items = append(items, richtext.Item(blocks()...))
				}
				if rapid.Bool().Draw(t, "ordered") {
					return richtext.OrderedList(rapid.IntRange(0, 20).Draw(t, "start"), items...)
				}
				return richtext.List(items...)
			case 4:
				return richtext.Heading(1, rapid.SliceOfN(inline(0), 1, 3).Draw(t, "heading")...)
			}
			return richtext.Para(rapid.SliceOfN(inline(0), 1, 5).Draw(t, "inlines")...)
		})
	}
	return rapid.Custom(func(t *rapid.T) richtext.Document {
		return normal(richtext.Document{Blocks: rapid.SliceOfN(block(0), 1, 4).Draw(t, "blocks")})
	})
}

func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \n\t>-•.0123456789", r) {
			return -1
		}
		return r
	}, s)
}

// What was once read is written and read as the same tree, and no text is lost on the
// way there.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := document().Draw(rt, "document")
		once := back(t, d)
		if twice := back(t, once); !twice.Equal(once) {
			rt.Fatalf("once\n%+v\ntwice\n%+v\n%s", once, twice, asJSON(t, Blocks(once, writeOptions())))
		}
		want, got := squeeze(d.Plain()), squeeze(strings.ReplaceAll(once.Plain(), "(spoiler) ", ""))
		if !hasLinks(d) && want != got {
			rt.Fatalf("%q became %q", want, got)
		}
	})
}

func hasLinks(d richtext.Document) bool {
	found := false
	d.Walk(func(n richtext.Node) bool {
		found = found || n.Kind == richtext.KindLink || n.Kind == richtext.KindMention
		return true
	})
	return found
}

func FuzzRead(f *testing.F) {
	inputs, _ := filepath.Glob("testdata/golden/*.json")
	for _, input := range inputs {
		var s Source
		if raw, err := os.ReadFile(input); err == nil && json.Unmarshal(raw, &s) == nil {
			f.Add(s.Text, string(s.Blocks), string(s.Attachments))
		}
	}
	for _, s := range hostile() {
		f.Add(s, "", "")
	}
	f.Fuzz(func(t *testing.T, text, blocks, attachments string) {
		doc := Read(Source{Text: text, Blocks: json.RawMessage(blocks), Attachments: json.RawMessage(attachments)}, readOptions())
		if again := normal(doc); !again.Equal(doc) {
			t.Fatalf("not normal: %+v", doc)
		}
		if s := Mrkdwn(doc, writeOptions()); !utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
		once := back(t, doc)
		if twice := back(t, once); !twice.Equal(once) {
			t.Fatalf("not stable:\n%+v\n%+v", once, twice)
		}
		// Whatever was read, text calls nobody.
		if n := calls(t, richtext.FromPlain(doc.Plain()), writeOptions()); n != 0 {
			t.Fatalf("%q calls somebody", doc.Plain())
		}
	})
}
