package matrixfmt

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

var update = flag.Bool("update", false, "write the golden files")

// The golden files hold what is read, as plain text and written as HTML again.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/golden/*.html")
	if err != nil || len(inputs) < 10 {
		t.Fatalf("%d inputs, %v", len(inputs), err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".html"), func(t *testing.T) {
			source, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			doc := Parse(string(source))
			got := "--- plain\n" + doc.Plain() + "\n--- html\n" + HTML(doc, Options{}) + "\n"
			golden := strings.TrimSuffix(input, ".html") + ".golden"
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
			checkBack(t, doc)
		})
	}
}

// checkBack: what is written is read as the same text.
func checkBack(t *testing.T, doc richtext.Document) {
	t.Helper()
	doc = doc.WithoutReplyFallback()
	again := Parse(HTML(doc, Options{}))
	if got, want := squeeze(again.Plain()), squeeze(doc.Plain()); got != want {
		t.Errorf("read back as\n%q\nnot\n%q\nfrom %s", got, want, HTML(doc, Options{}))
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func TestRender(t *testing.T) {
	person := richtext.Node{Kind: richtext.KindMention, Text: "Ann", Mention: richtext.Mention{Target: richtext.MentionUser, Address: "ann@example.org"}}
	nobody := richtext.Node{Kind: richtext.KindMention, Text: "@here", Mention: richtext.Mention{Target: richtext.MentionActive}}
	opt := Options{User: func(m richtext.Mention) string {
		if m.Address != "" {
			return "@_xmpp_ann:hs"
		}
		return m.ID
	}}
	tests := []struct {
		name  string
		doc   richtext.Document
		html  string
		users []string
		room  bool
		plain bool
	}{
		{name: "plain", doc: richtext.FromPlain("a < b\nc"), html: "a &lt; b<br>c", plain: true},
		{name: "two paragraphs", doc: richtext.FromPlain("a\n\nb"), html: "<p>a</p><p>b</p>", plain: true},
		{name: "person", doc: richtext.Doc(richtext.Para(person)), html: `<a href="https://matrix.to/#/@_xmpp_ann:hs">Ann</a>`, users: []string{"@_xmpp_ann:hs"}},
		{name: "user", doc: richtext.Doc(richtext.Para(richtext.MentionUserID("@b:hs", "B"), richtext.MentionUserID("@b:hs", "B"))), html: `<a href="https://matrix.to/#/@b:hs">B</a><a href="https://matrix.to/#/@b:hs">B</a>`, users: []string{"@b:hs"}},
		{name: "broadcast", doc: richtext.Doc(richtext.Para(nobody)), html: "@here", room: true},
		{name: "attribute", doc: richtext.Doc(richtext.Para(richtext.Link(`https://x.example/"><script>`, richtext.Text("x")))), html: `<a href="https://x.example/&#34;&gt;&lt;script&gt;">x</a>`},
		{name: "time", doc: richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindTime, Time: richtext.Time{Unix: 0}})), html: "1970-01-01 00:00 UTC"},
		{name: "fallback left out", doc: richtext.Doc(richtext.ReplyFallback(richtext.Para(richtext.Text("old"))), richtext.Para(richtext.Text("new"))), html: "new", plain: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := HTML(test.doc, opt); got != test.html {
				t.Errorf("got  %s\nwant %s", got, test.html)
			}
			users, room := Mentioned(test.doc, opt)
			if !slices.Equal(users, test.users) || room != test.room {
				t.Errorf("mentions %v %v", users, room)
			}
			if Formatted(test.doc) == test.plain {
				t.Errorf("formatted: %v", Formatted(test.doc))
			}
		})
	}
}

func TestMarkBroadcast(t *testing.T) {
	doc := MarkBroadcast(Parse("hello <b>@room</b> and @room"))
	mentions := doc.Mentions()
	if len(mentions) != 1 || mentions[0].Target != richtext.MentionAll || doc.Plain() != "hello @room and @room" {
		t.Errorf("%+v %q", mentions, doc.Plain())
	}
	if doc = MarkBroadcast(Parse("no call")); len(doc.Mentions()) != 0 {
		t.Errorf("%+v", doc)
	}
}

func FuzzParse(f *testing.F) {
	inputs, _ := filepath.Glob("testdata/golden/*.html")
	for _, input := range inputs {
		if source, err := os.ReadFile(input); err == nil {
			f.Add(string(source))
		}
	}
	f.Add(strings.Repeat("<b>", 700) + "x")
	f.Fuzz(func(t *testing.T, source string) {
		doc := Parse(source)
		normal, _ := richtext.Normalize(doc, richtext.DefaultLimits())
		if !normal.Equal(doc) {
			t.Fatalf("not normal: %+v", doc)
		}
		out := HTML(doc, Options{})
		if !utf8.ValidString(out) || strings.Contains(out, "<script") {
			t.Fatalf("%q", out)
		}
		again := HTML(Parse(out), Options{})
		if third := HTML(Parse(again), Options{}); third != again {
			t.Fatalf("not stable:\n%q\n%q\n%q", out, again, third)
		}
	})
}
