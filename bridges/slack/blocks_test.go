package slack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// TestBlocksOfTheLibrary: what slackfmt writes is what the library sends, field by field:
// every document of its goldens, and the marks that they lack. Only the zeros that Slack
// takes for granted (indent, offset, border) the library also says.
func TestBlocksOfTheLibrary(t *testing.T) {
	docs := map[string]richtext.Document{
		"marks": richtext.Doc(richtext.Para(richtext.Underline(richtext.Text("u")), richtext.Strike(richtext.Text("s")), richtext.Code("c"),
			richtext.Link("https://example.org/?a=1&b=<2>", richtext.Bold(richtext.Text("a link"))))),
	}
	names, err := filepath.Glob(filepath.Join("slackfmt", "testdata", "golden", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(name, err)
		}
		docs[filepath.Base(name)] = slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks, Attachments: m.Attachments}, slackfmt.ReadOptions{})
	}
	tree := func(v any) any {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var out any
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		return withoutZeros(out)
	}
	for name, doc := range docs {
		var p posting
		p.write(doc, slackfmt.WriteOptions{})
		want := slackfmt.Blocks(doc, slackfmt.WriteOptions{})
		if len(want) != len(p.blocks) {
			t.Errorf("%s: %d blocks, not %d", name, len(p.blocks), len(want))
			continue
		}
		if len(want) == 0 {
			continue
		}
		if diff := cmp.Diff(tree(want), tree(p.blocks)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func withoutZeros(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutZeros(v[i])
		}
	case map[string]any:
		for k, inner := range v {
			if v[k] = withoutZeros(inner); inner == float64(0) {
				delete(v, k)
			}
		}
	}
	return v
}
