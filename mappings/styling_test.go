package mappings_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	rt "github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestParseStyling(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		want rt.Document
	}{
		"plain":             {"hello", rt.Doc(rt.Para(rt.Text("hello")))},
		"strong":            {"*a b*", rt.Doc(rt.Para(rt.Bold(rt.Text("a b"))))},
		"emphasis":          {"x _a_ y", rt.Doc(rt.Para(rt.Text("x "), rt.Italic(rt.Text("a")), rt.Text(" y")))},
		"strike":            {"~a~", rt.Doc(rt.Para(rt.Strike(rt.Text("a"))))},
		"code":              {"`*a*`", rt.Doc(rt.Para(rt.Code("*a*")))},
		"within a word":     {"snake_case_name 2*3*4", rt.Doc(rt.Para(rt.Text("snake_case_name 2*3*4")))},
		"space after":       {"* a*", rt.Doc(rt.Para(rt.Text("* a*")))},
		"space before":      {"*a *", rt.Doc(rt.Para(rt.Text("*a *")))},
		"empty":             {"** __", rt.Doc(rt.Para(rt.Text("** __")))},
		"not over lines":    {"*a\nb*", rt.Doc(rt.Para(rt.Text("*a"), rt.LineBreak(), rt.Text("b*")))},
		"lazy":              {"*a*b*", rt.Doc(rt.Para(rt.Bold(rt.Text("a")), rt.Text("b*")))},
		"nested":            {"*_a_*", rt.Doc(rt.Para(rt.Bold(rt.Italic(rt.Text("a")))))},
		"crossed":           {"*a _b* c_", rt.Doc(rt.Para(rt.Bold(rt.Text("a _b")), rt.Text(" c_")))},
		"quote":             {"> a\nb", rt.Doc(rt.Quote(rt.Para(rt.Text("a"))), rt.Para(rt.Text("b")))},
		"nested quote":      {">> a\n> b", rt.Doc(rt.Quote(rt.Quote(rt.Para(rt.Text("a"))), rt.Para(rt.Text("b"))))},
		"block":             {"```go\n*x*\n```\nafter", rt.Doc(rt.CodeBlock("go", "*x*"), rt.Para(rt.Text("after")))},
		"block without end": {"```\nx\ny", rt.Doc(rt.CodeBlock("", "x\ny"))},
		"block in a quote":  {"> ```\n> x\ny", rt.Doc(rt.Quote(rt.CodeBlock("", "x")), rt.Para(rt.Text("y")))},
		"paragraphs":        {"a\n\nb", rt.Doc(rt.Para(rt.Text("a")), rt.Para(rt.Text("b")))},
	} {
		t.Run(name, func(t *testing.T) {
			want, _ := rt.Normalize(row.want, rt.DefaultLimits())
			if got := mappings.ParseStyling(row.body); !got.Equal(want) {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

func TestWriteStyling(t *testing.T) {
	const unstyled = "<unstyled xmlns='urn:xmpp:styling:0'/>"
	for name, row := range map[string]struct {
		doc        rt.Document
		body, more string
	}{
		"plain":            {rt.Doc(rt.Para(rt.Text("hello"))), "hello", ""},
		"bold":             {rt.Doc(rt.Para(rt.Text("a "), rt.Bold(rt.Text("b")), rt.Text(" c"))), "a *b* c", ""},
		"accidental":       {rt.Doc(rt.Para(rt.Text("*not bold*"))), "*not bold*", unstyled},
		"accidental quote": {rt.Doc(rt.Para(rt.Text("> no"))), "> no", unstyled},
		"accidental block": {rt.Doc(rt.Para(rt.Text("```"))), "```", unstyled},
		"within a word": {rt.Doc(rt.Para(rt.Text("un"), rt.Bold(rt.Text("believ")), rt.Text("able"))), "unbelievable",
			unstyled + "<markup xmlns='urn:xmpp:markup:0'><span start='2' end='8'><strong/></span></markup>"},
		"link":          {rt.Doc(rt.Para(rt.Link("https://e.org/", rt.Text("here")))), "here (https://e.org/)", ""},
		"bare link":     {rt.Doc(rt.Para(rt.Link("https://e.org/"))), "https://e.org/", ""},
		"list":          {rt.Doc(rt.List(rt.Item(rt.Para(rt.Text("a"))), rt.Item(rt.Para(rt.Text("b"))))), "- a\n- b", ""},
		"numbers":       {rt.Doc(rt.OrderedList(9, rt.Item(rt.Para(rt.Text("a"))), rt.Item(rt.Para(rt.Text("b"))))), "9. a\n10. b", ""},
		"heading":       {rt.Doc(rt.Heading(1, rt.Text("T")), rt.Para(rt.Text("x"))), "*T*\nx", ""},
		"code":          {rt.Doc(rt.CodeBlock("go", "a\nb"), rt.Para(rt.Text("x"))), "```go\na\nb\n```\nx", ""},
		"quote":         {rt.Doc(rt.Quote(rt.Para(rt.Text("a")), rt.Quote(rt.Para(rt.Text("b")))), rt.Para(rt.Text("c"))), "> a\n> > b\nc", ""},
		"astral":        {rt.Doc(rt.Para(rt.Text("🙂x"), rt.Bold(rt.Text("y")))), "🙂xy", unstyled + "<markup xmlns='urn:xmpp:markup:0'><span start='2' end='3'><strong/></span></markup>"},
		"fence in code": {rt.Doc(rt.CodeBlock("", "a\n```\nb")), "a\n```\nb", unstyled + "<markup xmlns='urn:xmpp:markup:0'><bcode start='0' end='7'/></markup>"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, _ := rt.Normalize(row.doc, rt.DefaultLimits())
			b := mappings.WriteStyling(doc)
			more := ""
			for _, n := range b.Nodes {
				more += n.String()
			}
			if b.Text != row.body || more != row.more {
				t.Errorf("%q %s\nwant %q %s", b.Text, more, row.body, row.more)
			}
		})
	}
}

// drawDoc makes a random document of what XEP-0393 or XEP-0394 can show.
func drawDoc(t *rapid.T) rt.Document {
	text := rapid.StringMatching("[a-c *_~`>\n🙂.]{1,12}")
	var inlines func(depth int) []rt.Node
	inlines = func(depth int) []rt.Node {
		var out []rt.Node
		for range rapid.IntRange(1, 3).Draw(t, "n") {
			kinds := []rt.Kind{rt.KindText, rt.KindCode, rt.KindBold, rt.KindItalic, rt.KindStrike}
			k := rapid.SampledFrom(kinds).Draw(t, "kind")
			switch {
			case k == rt.KindText || depth > 2:
				out = append(out, rt.Text(text.Draw(t, "text")))
			case k == rt.KindCode:
				out = append(out, rt.Code(strings.ReplaceAll(text.Draw(t, "code"), "\n", " ")))
			default:
				out = append(out, rt.Style(k, inlines(depth+1)...))
			}
		}
		return out
	}
	var d rt.Document
	for range rapid.IntRange(1, 3).Draw(t, "blocks") {
		switch rapid.IntRange(0, 3).Draw(t, "block") {
		case 0:
			d.Blocks = append(d.Blocks, rt.Quote(rt.Para(inlines(0)...)))
		case 1:
			d.Blocks = append(d.Blocks, rt.CodeBlock("", text.Draw(t, "block text")))
		default:
			d.Blocks = append(d.Blocks, rt.Para(inlines(0)...))
		}
	}
	d, _ = rt.Normalize(d, rt.DefaultLimits())
	return d
}

// What is written without <unstyled/> reads as what was meant: the text never gains a style by accident and never loses one.
func TestStylingReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDoc(t)
		b := mappings.WriteStyling(doc)
		if len(b.Nodes) > 0 {
			return
		}
		again := mappings.WriteStyling(mappings.ParseStyling(b.Text))
		blank := strings.NewReplacer("\n", "", ">", "", " ", "") // empty lines at the ends of a block are nothing
		if blank.Replace(again.Text) != blank.Replace(b.Text) && len(again.Nodes) == 0 {
			t.Fatalf("%q becomes %q", b.Text, again.Text)
		}
	})
}

func FuzzParseStyling(f *testing.F) {
	for _, s := range []string{"*a*", "> > x\n```\ny", "`a` _b_ ~c~", "*_~`", "```x\n```", strings.Repeat(">", 40), "*a _b* c_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := mappings.ParseStyling(s)
		b := mappings.WriteStyling(d)
		for _, n := range b.Nodes {
			if _, err := xmlstream.ParseFragment([]byte(n.String())); err != nil {
				t.Fatal(err)
			}
		}
	})
}
