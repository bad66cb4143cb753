package mappings_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestNick(t *testing.T) {
	for name, row := range map[string][2]string{
		"plain":             {"Alice", "Alice"},
		"spaces":            {"  Alice \t of\nWonderland ", "Alice of Wonderland"},
		"full width":        {"Ａｌｉｃｅ", "Alice"},
		"ligature":          {"ﬁsh", "fish"},
		"bidi override":     {"abc\u202egpj.exe", "abcgpj.exe"},
		"bidi isolate":      {"a\u2066b\u2069", "ab"},
		"zero width":        {"Al\u200bi\ufeffce", "Alice"},
		"control":           {"a\x00b\x07c", "abc"},
		"invalid utf-8":     {"a\xffb", "ab"},
		"empty":             {"", "user-bi3wks"},
		"only invisible":    {"\u200b\u2060\u200d", "user-bi3wks"},
		"only blanks":       {"\u3164\u3164", "user-bi3wks"},
		"only marks":        {"\u0301\u0301", "user-bi3wks"},
		"emoji family":      {"👩‍👩‍👧 mum", "👩‍👩‍👧 mum"},
		"slash and at":      {"a/b@c", "a/b@c"},
		"persian joiner":    {"می\u200cخواهم", "می\u200cخواهم"},
		"private use":       {"\ue000x", "x"},
		"tags":              {"x\U000e0041", "x"},
		"markup":            {"<b>bob</b>", "<b>bob</b>"},
		"combining tower":   {"a" + strings.Repeat("\u0301", 3), "á\u0301\u0301"},
		"ideographic space": {"李\u3000明", "李 明"},
	} {
		t.Run(name, func(t *testing.T) {
			got := mappings.Nick(row[0], "@x:hs")
			if strings.HasPrefix(row[1], "user-") {
				if !strings.HasPrefix(got, "user-") || len(got) != 11 {
					t.Errorf("%q", got)
				}
			} else if got != row[1] {
				t.Errorf("%q, want %q", got, row[1])
			}
		})
	}
}

func TestNickIsBounded(t *testing.T) {
	if n := utf8.RuneCountInString(mappings.Nick(strings.Repeat("x", 500), "u")); n != mappings.MaxGraphemes {
		t.Errorf("%d letters", n)
	}
	tower := mappings.Nick("a"+strings.Repeat("\u0301", 5000), "u")
	if len(tower) > mappings.MaxNickBytes {
		t.Errorf("%d bytes", len(tower))
	}
	if got := mappings.Cut("👩‍👩‍👧👩‍👩‍👧", 1, 100); got != "👩‍👩‍👧" {
		t.Errorf("cut to %q", got)
	}
	if got := mappings.Cut("🇩🇪🇫🇷", 1, 100); got != "🇩🇪" {
		t.Errorf("cut to %q", got)
	}
}

func TestNicks(t *testing.T) {
	got := mappings.Nicks("Alice", "@alice:matrix.org", "matrix.org")
	want := []string{"Alice", "Alice (matrix.org)", "Alice (alice:matrix.org)"}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("%d: %q, want %q", i, got[i], w)
		}
	}
	if len(got) != 4 || !strings.HasPrefix(got[3], "user-") {
		t.Errorf("%q", got)
	}
	for _, n := range mappings.Nicks(strings.Repeat("長", 100), sdk.RemoteUserID("@"+strings.Repeat("x", 300)+":hs"), "hs") {
		if len(n) > mappings.MaxNickBytes+2 || utf8.RuneCountInString(n) > mappings.MaxGraphemes {
			t.Errorf("too long: %q", n)
		}
	}
}

func TestSkeleton(t *testing.T) {
	for name, row := range map[string]struct {
		a, b string
		like bool
	}{
		"itself":        {"alice", "alice", true},
		"case":          {"Alice", "aLICE", true},
		"cyrillic":      {"аliсе", "alice", true},
		"greek":         {"αlιcε", "alice", true},
		"capital i":     {"AIice", "alice", true},
		"digit":         {"a1ice", "alice", true},
		"zero":          {"b0b", "bob", true},
		"rn":            {"arny", "amy", true},
		"accent":        {"álice", "alice", true},
		"full width":    {"ａｌｉｃｅ", "alice", true},
		"spaced":        {"a lice", "alice", true},
		"zero width":    {"al\u200bice", "alice", true},
		"other":         {"alina", "alice", false},
		"suffix":        {"alice (matrix.org)", "alice", false},
		"other scripts": {"日本", "日木", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mappings.LooksLike(row.a, []string{"somebody", row.b}); got != row.like {
				t.Errorf("%v: %q and %q", got, mappings.Skeleton(row.a), mappings.Skeleton(row.b))
			}
		})
	}
}

func TestShowBothWays(t *testing.T) {
	for _, s := range []sdk.Show{sdk.ShowOnline, sdk.ShowAway, sdk.ShowLongAway, sdk.ShowBusy, sdk.ShowOffline} {
		if got := mappings.ShowTo(mappings.ShowOf(s)); got != s {
			t.Errorf("%v becomes %v", s, got)
		}
	}
	if mappings.ShowOf(sdk.Show(99)) != (mappings.Shown{}) || !mappings.ShowOf(sdk.ShowInvisible).Unavailable {
		t.Error("unknown is not online, or invisible is not unavailable")
	}
}

func TestStandingBothWays(t *testing.T) {
	for _, r := range []sdk.Role{sdk.RoleOutcast, sdk.RoleVisitor, sdk.RoleMember, sdk.RoleModerator, sdk.RoleAdmin, sdk.RoleOwner} {
		if got := mappings.RoleOf(mappings.StandingOf(r)); got != r {
			t.Errorf("%v becomes %v", r, got)
		}
	}
}

func FuzzNick(f *testing.F) {
	f.Add("Alice", "@a:hs")
	f.Add("\u202e\u200b", "x")
	f.Add(strings.Repeat("👩‍", 100), "")
	f.Fuzz(func(t *testing.T, display, id string) {
		for _, n := range mappings.Nicks(display, sdk.RemoteUserID(id), "hs") {
			j, err := jid.New("room", "rooms.example.org", n)
			if err != nil || n == "" || len(n) > 255 {
				t.Fatalf("nick %q: %v", n, err)
			}
			if strings.ContainsAny(n, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff") {
				t.Fatalf("nick %q holds what cannot be seen", n)
			}
			mappings.Skeleton(j.Resource())
		}
	})
}
