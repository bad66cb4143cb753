package mappings_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

var update = flag.Bool("update", false, "append addresses that are missing in testdata/addresses.golden; those that stand there are never changed")

func segments(list ...any) []sdk.AddressSegment {
	var out []sdk.AddressSegment
	for i := 0; i < len(list); i += 2 {
		out = append(out, sdk.AddressSegment{Name: list[i].(string), Case: list[i+1].(sdk.CaseRule)})
	}
	return out
}

// shapes are those of the networks that Viaduct bridges, as bridging.md's table has them.
func shapes() map[string]sdk.AddressShape {
	mxUser := sdk.AddressForm{Name: "user", RemotePrefix: "@", Separator: ":", Segments: segments("localpart", sdk.CaseMask, "server", sdk.CaseFold)}
	mxRoom := sdk.AddressForm{Name: "room id", RemotePrefix: "!", LocalPrefix: "!", Separator: ":", Least: 1,
		Segments: segments("id", sdk.CaseMask, "server", sdk.CaseFold)}
	mxAlias := sdk.AddressForm{Name: "alias", RemotePrefix: "#", LocalPrefix: "#", Separator: ":",
		Segments: segments("alias", sdk.CaseMask, "server", sdk.CaseFold)}
	slack := func(name string) sdk.AddressForm {
		return sdk.AddressForm{Name: name, Separator: ":", Segments: segments("id", sdk.CaseUpper, "team", sdk.CaseUpper)}
	}
	named := func(name, prefix string, rule sdk.CaseRule) sdk.AddressForm {
		return sdk.AddressForm{Name: name, RemotePrefix: prefix, LocalPrefix: prefix, Separator: ":", Segments: segments(name, rule, "where", sdk.CaseFold)}
	}
	one := func(name string, rule sdk.CaseRule) sdk.AddressForm {
		return sdk.AddressForm{Name: name, Segments: segments(name, rule)}
	}
	return map[string]sdk.AddressShape{
		"matrix": {Users: []sdk.AddressForm{mxUser}, Rooms: []sdk.AddressForm{mxRoom}, Aliases: []sdk.AddressForm{mxAlias}},
		"slack": {Users: []sdk.AddressForm{slack("user")}, Rooms: []sdk.AddressForm{slack("channel")},
			Aliases: []sdk.AddressForm{named("name", "#", sdk.CaseFold)}},
		"discord": {Users: []sdk.AddressForm{one("user", sdk.CaseDigits)}, Rooms: []sdk.AddressForm{one("channel", sdk.CaseDigits)},
			Aliases: []sdk.AddressForm{named("name", "#", sdk.CaseFold)}},
		"demo": {Users: []sdk.AddressForm{one("person", sdk.CaseFold)}, Rooms: []sdk.AddressForm{one("room", sdk.CaseFold)}},
	}
}

func codecs(t testing.TB) map[string]*mappings.Codec {
	t.Helper()
	out := map[string]*mappings.Codec{}
	for name, shape := range shapes() {
		c, err := mappings.NewCodec(shape, name+".example.org", "rooms."+name+".example.org")
		if err != nil {
			t.Fatal(err)
		}
		out[name] = c
	}
	return out
}

func encode(c *mappings.Codec, kind, id string) (mappings.Address, error) {
	switch kind {
	case "user":
		return c.User(sdk.RemoteUserID(id))
	case "room":
		return c.Room(sdk.RemoteRoomID(id))
	}
	return c.Alias(id)
}

func TestAddressesGolden(t *testing.T) {
	all := codecs(t)
	const file = "testdata/addresses.golden"
	old, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	known := map[string]bool{}
	lines := 0
	sc := bufio.NewScanner(bytes.NewReader(old))
	for sc.Scan() {
		f := strings.Split(sc.Text(), "\t")
		if len(f) != 4 {
			t.Fatalf("line %q", sc.Text())
		}
		id, err := strconv.Unquote(f[2])
		if err != nil {
			t.Fatal(err)
		}
		lines++
		known[f[0]+f[1]+id] = true
		t.Run(f[0]+" "+f[1]+" "+id[:min(len(id), 40)], func(t *testing.T) { checkAddress(t, all[f[0]], f[1], id, f[3]) })
	}
	if *update {
		for _, row := range addressRows() {
			if known[row[0]+row[1]+row[2]] {
				continue
			}
			a, err := encode(all[row[0]], row[1], row[2])
			if err != nil {
				t.Fatalf("%s %s %q: %v", row[0], row[1], row[2], err)
			}
			old = fmt.Appendf(old, "%s\t%s\t%q\t%s\n", row[0], row[1], row[2], a.JID)
		}
		if err := os.WriteFile(file, old, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if lines < 200 {
		t.Errorf("%d addresses, at least 200 are frozen", lines)
	}
}

func checkAddress(t *testing.T, c *mappings.Codec, kind, id, want string) {
	a, err := encode(c, kind, id)
	if err != nil || a.JID.String() != want {
		t.Fatalf("address %s, %v; frozen is %s", a.JID, err, want)
	}
	k, back, err := c.Decode(jid.MustParse(want))
	if err != nil {
		t.Fatal(err)
	}
	if a.Hashed {
		if k != mappings.KindHash {
			t.Errorf("kind %v", k)
		}
		return
	}
	if back != id {
		t.Errorf("reads back as %q", back)
	}
}

func TestAddressesDiffer(t *testing.T) {
	c := codecs(t)["matrix"]
	seen := map[string]string{}
	for _, row := range addressRows() {
		if row[0] != "matrix" {
			continue
		}
		a, err := encode(c, row[1], row[2])
		if err != nil {
			t.Fatal(err)
		}
		if other, dup := seen[a.JID.String()]; dup && other != row[2] {
			t.Errorf("%q and %q share %s", other, row[2], a.JID)
		}
		seen[a.JID.String()] = row[2]
	}
}

func TestDecodeRefuses(t *testing.T) {
	c := codecs(t)
	for name, row := range map[string][2]string{
		"foreign host":           {"matrix", "alice%hs@matrix.example.com"},
		"no server":              {"matrix", "alice@matrix.example.org"},
		"mask without need":      {"matrix", "alice~0%hs@matrix.example.org"},
		"mask with leading zero": {"matrix", "alice~01%hs@matrix.example.org"},
		"mask beyond the text":   {"matrix", "ab~ff%hs@matrix.example.org"},
		"mask of a digit":        {"matrix", "1b~1%hs@matrix.example.org"},
		"letters":                {"discord", "12a4@discord.example.org"},
		"base 32 without need":   {"matrix", "b32-" + "ibqwy2ldmu5gq4y" + "@matrix.example.org"},
		"host itself":            {"demo", "demo.example.org"},
	} {
		if k, id, err := c[row[0]].Decode(jid.MustParse(row[1])); err == nil {
			t.Errorf("%s: %s reads as %v %q", name, row[1], k, id)
		}
	}
}

func TestNewCodecRefuses(t *testing.T) {
	if _, err := mappings.NewCodec(sdk.AddressShape{}, "a", "b"); err == nil {
		t.Error("an empty shape was taken")
	}
	if _, err := mappings.NewCodec(shapes()["demo"], "a b", "b"); err == nil {
		t.Error("a host with a space was taken")
	}
}

func FuzzAddress(f *testing.F) {
	all := codecs(f)
	for _, row := range addressRows() {
		f.Add(row[0], row[1], row[2])
	}
	f.Fuzz(func(t *testing.T, network, kind, id string) {
		c := all[network]
		if c == nil {
			return
		}
		a, err := encode(c, kind, id)
		if err != nil {
			return
		}
		k, back, err := c.Decode(jid.MustParse(a.JID.String()))
		if err != nil || !a.Hashed && back != id || a.Hashed != (k == mappings.KindHash) {
			t.Errorf("%s of %q reads as %v %q, %v", a.JID, id, k, back, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	all := codecs(f)
	f.Add("alice~9%hs@matrix.example.org")
	f.Add("#xmpp%hs@rooms.matrix.example.org")
	f.Add("b32-mfrgg@rooms.demo.example.org")
	f.Fuzz(func(t *testing.T, s string) {
		j, err := jid.Parse(s)
		if err != nil {
			return
		}
		for _, c := range all {
			k, id, err := c.Decode(j)
			if err != nil || k == mappings.KindHash {
				continue
			}
			kind := map[mappings.Kind]string{mappings.KindUser: "user", mappings.KindRoom: "room", mappings.KindAlias: "alias"}[k]
			if a, err := encode(c, kind, id); err != nil || a.JID != j.Bare() {
				t.Errorf("%s reads as %q, whose address is %s, %v", j, id, a.JID, err)
			}
		}
	})
}
