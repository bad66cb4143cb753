package matrixid

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	v12 := "!" + strings.Repeat("aB3-_", 8) + "xyz"
	tests := []struct {
		name, in string
		want     Target
		bad      bool
	}{
		{name: "user", in: " @alice:hs.example ", want: Target{Kind: KindUser, ID: "@alice:hs.example"}},
		{name: "user with port", in: "@a/b:hs:8448", want: Target{Kind: KindUser, ID: "@a/b:hs:8448"}},
		{name: "user on IPv6", in: "@a:[::1]:8448", want: Target{Kind: KindUser, ID: "@a:[::1]:8448"}},
		{name: "historical user", in: "@Al!ce:hs", want: Target{Kind: KindUser, ID: "@Al!ce:hs"}},
		{name: "alias", in: "#ops:hs", want: Target{Kind: KindAlias, ID: "#ops:hs"}},
		{name: "room", in: "!QtyK:hs", want: Target{Kind: KindRoom, ID: "!QtyK:hs"}},
		{name: "room of version 12", in: v12, want: Target{Kind: KindRoom, ID: v12}},
		{name: "link", in: "https://matrix.to/#/%23ops%3Ahs?via=a.example&via=b.example&via=a.example", want: Target{Kind: KindAlias, ID: "#ops:hs", Via: []string{"a.example", "b.example"}}},
		{name: "link to an event", in: "https://matrix.to/#/!QtyK:hs/$ev?via=hs", want: Target{Kind: KindRoom, ID: "!QtyK:hs", Event: "$ev", Via: []string{"hs"}}},
		{name: "uri of a user", in: "matrix:u/alice:hs", want: Target{Kind: KindUser, ID: "@alice:hs"}},
		{name: "uri of an event", in: "matrix:roomid/QtyK:hs/e/ev?via=hs", want: Target{Kind: KindRoom, ID: "!QtyK:hs", Event: "$ev", Via: []string{"hs"}}},
		{name: "hostile via", in: "matrix:r/ops:hs?via=a%2fb&via=", want: Target{Kind: KindAlias, ID: "#ops:hs"}},
		{name: "e-mail", in: "alice@example.org", bad: true},
		{name: "word", in: "ops", bad: true},
		{name: "no server", in: "@alice", bad: true},
		{name: "short room without server", in: "!abc", bad: true},
		{name: "empty server", in: "@alice:", bad: true},
		{name: "empty local", in: "@:hs", bad: true},
		{name: "space inside", in: "@al ice:hs", bad: true},
		{name: "control", in: "@a\x01:hs", bad: true},
		{name: "bad server", in: "@a:h/s", bad: true},
		{name: "bad port", in: "@a:hs:x", bad: true},
		{name: "other link", in: "https://example.org/#/@a:hs", bad: true},
		{name: "too long", in: "@" + strings.Repeat("a", 260) + ":hs", bad: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.in)
			if test.bad != (err != nil) {
				t.Fatalf("%+v, %v", got, err)
			}
			if got.Kind != test.want.Kind || got.ID != test.want.ID || got.Event != test.want.Event || !slices.Equal(got.Via, test.want.Via) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestNamespace(t *testing.T) {
	ns := Namespace{Prefix: "_xmpp_", Server: "hs.example:8448"}
	long := strings.Repeat("x", 240) + "@example.org"
	tests := []struct {
		name  string
		ghost Ghost
		want  string // "" if only reading back is checked
	}{
		{"plain", ns.Person("alice@example.org"), "@_xmpp_alice=40example.org:hs.example:8448"},
		{"escaped", ns.Person(`a\40b@example.org`), `@_xmpp_a=5c40b=40example.org:hs.example:8448`},
		{"cyrillic", ns.Person("аня@пример.рф"), ""},
		{"underscore", ns.Person("a_b@example.org"), "@_xmpp_a__b=40example.org:hs.example:8448"},
		{"domain", ns.Person("example.org"), "@_xmpp_example.org:hs.example:8448"},
		{"occupant", ns.Occupant("Zm9v/+="), "@_xmpp_occ=2f_zm9v=2f+=3d:hs.example:8448"},
		{"long", ns.Person(long), ""},
	}
	users, aliases := regexp.MustCompile("^"+ns.UserRegex()+"$"), regexp.MustCompile("^"+ns.AliasRegex()+"$")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.want != "" && test.ghost.UserID != test.want {
				t.Errorf("got %s, want %s", test.ghost.UserID, test.want)
			}
			if len(test.ghost.UserID) > MaxLength || !users.MatchString(test.ghost.UserID) || !ns.Owns(test.ghost.UserID) {
				t.Errorf("%s", test.ghost.UserID)
			}
			back, ok := ns.Read(test.ghost.UserID)
			want := test.ghost
			if want.Hashed {
				want.Address, want.Occupant = "", ""
			}
			if !ok || back != want {
				t.Errorf("read back %+v (%v), want %+v", back, ok, want)
			}
		})
	}
	for _, not := range []string{"@alice:hs.example:8448", "@_xmpp_:hs.example:8448", "@_xmpp_a=40b:other", "@_xmpp_A:hs.example:8448", "@_xmpp_=zz:hs.example:8448", "_xmpp_a:hs.example:8448", "@_xmpp_a=2fb:hs.example:8448"} {
		if g, ok := ns.Read(not); ok {
			t.Errorf("%s is read as %+v", not, g)
		}
	}
	alias := ns.RoomAlias("room@conf.example.org")
	if jid, ok := ns.ReadAlias(alias); !ok || jid != "room@conf.example.org" || !aliases.MatchString(alias) {
		t.Errorf("%s -> %q %v", alias, jid, ok)
	}
	if _, ok := ns.ReadAlias("#other:hs.example:8448"); ok {
		t.Error("a foreign alias was read")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"@a:b", "#a:b", "!a:b", "matrix:u/a:b", "https://matrix.to/#/%40a%3Ab/$x?via=c", "!" + strings.Repeat("a", 43)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(target.ID)
		if err != nil || again.ID != target.ID || again.Kind != target.Kind {
			t.Fatalf("%q -> %+v -> %+v, %v", s, target, again, err)
		}
		if len(target.ID) > MaxLength || strings.ContainsAny(target.ID, " \n\x00") {
			t.Fatalf("%q", target.ID)
		}
	})
}

func FuzzNamespace(f *testing.F) {
	f.Add("alice@example.org")
	f.Add("occ/x")
	f.Fuzz(func(t *testing.T, jid string) {
		ns := Namespace{Prefix: "_xmpp_", Server: "hs"}
		if jid == "" || strings.Contains(jid, "/") {
			return
		}
		g := ns.Person(jid)
		back, ok := ns.Read(g.UserID)
		if !ok || !g.Hashed && back.Address != jid {
			t.Fatalf("%q -> %s -> %+v", jid, g.UserID, back)
		}
	})
}
