package slackid

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

func ids() []string {
	return []string{
		"U012ABC:T0XYZ", "W0123456789:E01ABCDEF", "USLACKBOT:T0XYZ", "B012ABC:T0XYZ", "u012:T0", "U012ABC", "U012ABC:t0xyz", "U1:T0:X", ":", "U1:", ":T0",
		"C012ABC:T0XYZ", "G0A:T0XYZ", "D0A:T0XYZ", "C012ABC:E0ENT", "C0", "c012abc:T0XYZ", "D0A:T0XYZ:1712345678.000100", "C0A:T0XYZ:1712345678.000100",
		"D0A:T0XYZ:1712345678", "D0A:T0XYZ:1712345678.0001", "UÄ:T0", "U\x00:T0", "U" + strings.Repeat("A", 80) + ":T0",
	}
}

func targets() []string {
	return []string{
		"C012ABC", "C012ABC:T0XYZ", "U012ABC", "U012ABC:T0XYZ", "#general", "#general:acme", "general", "General", "@ada", "ada@example.org", "<@U012ABC>", "<@U012ABC|ada>",
		"<#C012ABC|general>", "https://acme.slack.com/archives/C012ABC", "https://acme.slack.com/archives/C012ABC/p1712345678000100", "https://acme.slack.com/team/U012ABC",
		"https://app.slack.com/client/T0XYZ/C012ABC", "https://acme.enterprise.slack.com/archives/C012ABC", "https://example.org/archives/C012ABC", "https://evilslack.com/archives/C012ABC",
		"", "#", "@", "#ünïcode", "two words", "<>", "http://[", "https://acme.slack.com/archives/C012ABC/pzzz", "nothing-of-this-name", "a\nb",
	}
}

func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range ids() {
		u, userOK := ParseUser(s)
		c, channelOK := ParseChannel(s)
		fmt.Fprintf(&b, "id %.40q user=%v channel=%v", s, userOK, channelOK)
		if userOK && u.String() != s || channelOK && c.String() != s {
			t.Errorf("%q reads back as %q, %q", s, u, c)
		}
		b.WriteByte('\n')
	}
	for _, s := range targets() {
		target, ok := ParseTarget(s)
		fmt.Fprintf(&b, "target %q ok=%v %+v\n", s, ok, target)
	}
	if *update {
		if err := os.WriteFile("testdata/ids.golden", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/ids.golden")
	if err != nil || b.String() != string(want) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestTS(t *testing.T) {
	if sec, nsec, ok := TS("1712345678.000100").Unix(); sec != 1712345678 || nsec != 100_000 || !ok {
		t.Error(sec, nsec, ok)
	}
	for _, bad := range []TS{"", "1", "1712345678", "1712345678.1", "1712345678.1234567", "17123456x8.000100", "1712345678,000100", "-712345678.000100"} {
		if bad.Valid() {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, row := range []struct {
		a, b TS
		want int
	}{{"1712345678.000100", "1712345678.000100", 0}, {"1712345678.000100", "1712345678.000101", -1}, {"9999999999.000000", "10000000000.000000", -1}, {"1712345679.000000", "1712345678.999999", 1}} {
		if got := row.a.Compare(row.b); got != row.want {
			t.Errorf("%s, %s: %d", row.a, row.b, got)
		}
	}
	if !TS("1712345678.000100").After("") || TS("").After("") {
		t.Error("none is before everything")
	}
}

func TestPermalink(t *testing.T) {
	for want, got := range map[string]string{
		"https://acme.slack.com/archives/C1":                                                      Permalink("https://acme.slack.com/", "C1", "", ""),
		"https://acme.slack.com/archives/C1/p1712345678000100":                                    Permalink("https://acme.slack.com/", "C1", "1712345678.000100", ""),
		"https://acme.slack.com/archives/C1/p1712345679000100?thread_ts=1712345678.000100&cid=C1": Permalink("https://acme.slack.com", "C1", "1712345679.000100", "1712345678.000100"),
		"": Permalink("", "C1", "1712345679.000100", ""),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
		if target, ok := ParseTarget(want); want != "" && (!ok || target.Channel != "C1") {
			t.Errorf("%+v", target)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range append(ids(), targets()...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, ok := ParseUser(s); ok && u.String() != s {
			t.Fatalf("%q reads back as %q", s, u)
		}
		if c, ok := ParseChannel(s); ok && c.String() != s {
			t.Fatalf("%q reads back as %q", s, c)
		}
		target, ok := ParseTarget(s)
		if !ok {
			return
		}
		if target.Channel != "" && !IsChannel(target.Channel) || target.User != "" && !IsUser(target.User) && !IsBot(target.User) || target.Message != "" && !target.Message.Valid() {
			t.Fatalf("%+v", target)
		}
		if target == (Target{}) {
			t.Fatal("taken, and nothing in it")
		}
	})
}
