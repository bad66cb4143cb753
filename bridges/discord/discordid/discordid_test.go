package discordid

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSnowflakes(t *testing.T) {
	// The example of the documentation.
	if got := Time("175928847299117063"); !got.Equal(time.Date(2016, 4, 30, 11, 18, 25, 796e6, time.UTC)) {
		t.Error(got)
	}
	for id, want := range map[string]bool{
		"1": true, "175928847299117063": true, "18446744073709551615": true, "18446744073709551616": false,
		"": false, "0": false, "01": false, "1a": false, "-1": false, "١٢": false, "111111111111111111111": false,
	} {
		if Valid(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	if !Time(At(at)).Equal(at) || At(time.Unix(0, 0)) != "0" {
		t.Error(At(at))
	}
	if Compare("9", "10") >= 0 || Compare("11", "10") <= 0 || Compare("", "1") >= 0 || Max("9", "10") != "10" || Max("10", "") != "10" {
		t.Error("order")
	}
}

func TestMessages(t *testing.T) {
	for s, want := range map[string]Message{"12": {ID: "12"}, "11-12": {Thread: "11", ID: "12"}} {
		got, ok := ParseMessage(s)
		if !ok || got != want || got.String() != s {
			t.Errorf("%s: %+v", s, got)
		}
	}
	for _, s := range []string{"", "-", "1-", "-1", "a", "1-2-3", "01"} {
		if _, ok := ParseMessage(s); ok {
			t.Errorf("%q is taken", s)
		}
	}
	if (Message{ID: "1"}).Channel("5") != "5" || (Message{Thread: "4", ID: "1"}).Channel("5") != "4" {
		t.Error("channel")
	}
	if a, b := Persona("7", "Ann"), Persona("7", "Bob"); a == b || a != Persona("7", "Ann") || !strings.HasPrefix(a, "wh-7-") {
		t.Error(a, b)
	}
	if Emoji(":party:", "5") != "party:5" || Emoji("👍", "") != "👍" || Link("", "2", "") != "https://discord.com/channels/@me/2" {
		t.Error("spelling")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Target{
		"123":                                    {Kind: KindID, ID: "123"},
		"<@123>":                                 {Kind: KindUser, ID: "123"},
		"<@!123>":                                {Kind: KindUser, ID: "123"},
		"<#123>":                                 {Kind: KindChannel, ID: "123"},
		"https://discord.com/channels/1/2":       {Kind: KindChannel, ID: "2", Guild: "1"},
		"https://ptb.discord.com/channels/1/2/3": {Kind: KindChannel, ID: "2", Guild: "1", Message: "3"},
		"https://discordapp.com/channels/@me/2/3": {Kind: KindChannel, ID: "2", Message: "3"},
		"#General:My-Guild":                       {Kind: KindAlias, Name: "general", Guild: "my-guild"},
		"#general":                                {Kind: KindAlias, Name: "general"},
		"@Ann":                                    {Kind: KindName, Name: "ann"},
		"ann.b_c":                                 {Kind: KindName, Name: "ann.b_c"},
		"":                                        {},
		"#":                                       {},
		"@":                                       {},
		"a\x00b":                                  {},
		"ann@example.org":                         {},
		"https://example.org/channels/1/2":        {},
		"https://discord.com/channels/1/x":        {},
		"https://discord.com/channels/1/2/x":      {},
		"http://discord.com/channels/1/2":         {},
		strings.Repeat("x", 500):                  {},
	} {
		if got := Parse(text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if got := Parse(" 123\t"); got.ID != "123" {
		t.Errorf("%+v", got)
	}
	if got := Slug(" My  Guild: the/best "); got != "my-guild-the-best" {
		t.Error(got)
	}
}

func TestLegalName(t *testing.T) {
	for name, want := range map[string]string{
		"Ann":                   "Ann",
		" Ann \n B ":            "Ann B",
		"":                      "XMPP user",
		"\u200b \u2060":         "XMPP user",
		"Clyde":                 "C\u200alyde",
		"my DiScOrD, discord":   "my D\u200aiScOrD, d\u200aiscord",
		"everyone":              "e\u200averyone",
		"Here":                  "H\u200aere",
		"over\u202ethere":       "overthere",
		"b\xffad":               "bad",
		"дискорд":               "дискорд",
		strings.Repeat("й", 90): strings.Repeat("й", 79) + "…",
		"disc\u200bord":         "d\u200aiscord",
	} {
		if got := LegalName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzLegalName(f *testing.F) {
	for _, s := range []string{"Ann", "clyde", "DISCORDdiscord", "\u200a", "a\u202eb", "here"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := LegalName(s)
		lower := strings.ToLower(got)
		if n := utf8.RuneCountInString(got); n < 1 || n > MaxName || !utf8.ValidString(got) || strings.TrimSpace(got) == "" ||
			strings.Contains(lower, "clyde") || strings.Contains(lower, "discord") || lower == "everyone" || lower == "here" {
			t.Fatalf("%q: %q", s, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "<@1>", "<#2>", "#a:b", "@a", "https://discord.com/channels/1/2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Parse(s)
		if got.ID != "" && !Valid(got.ID) || got.Message != "" && !Valid(got.Message) || got.Kind == KindNone && got != (Target{}) {
			t.Fatalf("%q: %+v", s, got)
		}
		if m, ok := ParseMessage(s); ok && m.String() != s {
			t.Fatalf("%q: %+v", s, m)
		}
	})
}
