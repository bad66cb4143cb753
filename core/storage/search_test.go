package storage_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		" .,'\"* ":                  nil,
		"Where, art THOU? where":    {"where", "art", "thou"},
		"Crème brûlée ÅNGSTRÖM":     {"creme", "brulee", "angstrom"},
		"don't e-mail x2 3.14":      {"don", "t", "e", "mail", "x2", "3", "14"},
		"東京タワー":                     {"東", "京", "タ", "ワ", "ー"},
		"Привет, Ёлка":              {"привет", "елка"},
		"ｆｕｌｌ ﬁ":                    {"full", "fi"},
		"wor* wo* word*x":           {"wor", "wo", "word", "x"},
		"a\x00b\u200bc":             {"a", "b", "c"},
		strings.Repeat("x", 100):    {strings.Repeat("x", 64)},
		"\uE000abc \U0001F600smile": {"abc", "smile"},
	} {
		if d := cmp.Diff(want, storage.Words(text, false)); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
	if d := cmp.Diff([]string{"wor*", "wo", "word*", "x"}, storage.Words("wor* wo* word*x", true)); d != "" {
		t.Error(d)
	}
	if n := len(storage.Words(strings.Repeat("a b c d ", 10), false)); n != 4 {
		t.Errorf("%d words", n)
	}
}

func TestText(t *testing.T) {
	text, from, to, err := storage.Text([]byte("<message xmlns='jabber:client' from='A@example.org/x' to='b@example.org'>" +
		"<subject>one</subject><body>two</body><body xml:lang='de'>zwei</body><x xmlns='u'>three</x></message>"))
	if err != nil || text != "one\ntwo\nzwei\n" || from != "a@example.org" || to != "b@example.org" {
		t.Errorf("%q %q %q %v", text, from, to, err)
	}
	if _, from, to, err := storage.Text([]byte("<message xmlns='jabber:client'><body>x</body></message>")); from != "" || to != "" || err != nil {
		t.Errorf("%q %q %v", from, to, err)
	}
	if _, _, _, err := storage.Text([]byte("x")); err == nil {
		t.Error("no stanza was read")
	}
}

// Words are bounded, each once, and what is cut once is not cut further: what is looked for is cut in the same way as what is kept.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"Where art thou", "Crème* brûlée", "東京タワー ไทย", "\xff\x00*", "İstanbul ﬃ Ǆ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list := storage.Words(s, false)
		for i, w := range list {
			if w == "" || strings.ContainsAny(w, " \"*'") || slices.Contains(list[:i], w) {
				t.Errorf("%q has the word %q", s, w)
			}
		}
		wild := storage.Words(s, true)
		for i := range wild {
			wild[i] = strings.TrimSuffix(wild[i], "*")
		}
		for _, w := range wild {
			if !slices.Contains(list, w) {
				t.Errorf("%q: %q is looked for and not indexed", s, w)
			}
		}
	})
}
