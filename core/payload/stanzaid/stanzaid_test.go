package stanzaid_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func codec(t testing.TB) *stanzaid.Codec {
	t.Helper()
	c, err := stanzaid.NewCodec(bytes.Repeat([]byte{7}, stanzaid.SecretLen))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCodecRoundTrip(t *testing.T) {
	c := codec(t)
	seen := map[string]bool{}
	for _, archive := range []string{"alice@example.org", "bob@example.org", "ops@rooms.example.org"} {
		for _, id := range []int64{0, 1, 2, 1 << 20, 1 << 40, math.MaxInt64} {
			s := c.Encode(archive, id)
			if len(s) != 26 || strings.ToLower(s) != s {
				t.Errorf("Encode(%s, %d) = %q", archive, id, s)
			}
			if seen[s] {
				t.Errorf("%q stands for two messages", s)
			}
			seen[s] = true
			if got, ok := c.Decode(archive, s); !ok || got != id {
				t.Errorf("Decode(%q) = %d, %v, want %d", s, got, ok, id)
			}
			if _, ok := c.Decode("eve@example.org", s); ok {
				t.Errorf("%q of %s was taken by another archive", s, archive)
			}
		}
	}
}

// The wire form is stored by clients for ever: it must not change with the code.
func TestCodecIsStable(t *testing.T) {
	if got, want := codec(t).Encode("alice@example.org", 42), "tjgb72nniwklnaaxxu6bmox4kq"; got != want {
		t.Errorf("Encode = %q, want %q", got, want)
	}
}

func TestDecodeRefusesForeign(t *testing.T) {
	c := codec(t)
	good := c.Encode("alice@example.org", 42)
	last := good[:25] + string("abcdefghijklmnopqrstuvwxyz234567"[(strings.IndexByte("abcdefghijklmnopqrstuvwxyz234567", good[25])+1)%32])
	for name, s := range map[string]string{
		"empty": "", "short": good[:25], "long": good + "a", "upper case": strings.ToUpper(good),
		"spare bits": last, "number": "1700000000000000", "sql": "' OR 1=1 --", "other letters": strings.Repeat("1", 26),
	} {
		if id, ok := c.Decode("alice@example.org", s); ok {
			t.Errorf("%s: Decode(%q) = %d", name, s, id)
		}
	}
}

func TestShortSecret(t *testing.T) {
	if _, err := stanzaid.NewCodec(make([]byte, 15)); err == nil {
		t.Error("a secret of 15 bytes was taken")
	}
}

func fragment(t *testing.T, s string) xmlstream.Fragment {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// XEP-0359 §6; row 21 of the attacks that are tried against such servers: 0, 1, 2 and n copies, in each position.
func TestStripInEachPosition(t *testing.T) {
	us := jid.MustParse("bob@example.org")
	const forged = "<stanza-id xmlns='urn:xmpp:sid:0' by='bob@example.org' id='forged'/>"
	const other = "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example.net' id='theirs'/>"
	for name, s := range map[string]string{
		"none":   other + "<body>x</body>",
		"first":  forged + other + "<body>x</body>",
		"middle": other + forged + "<body>x</body>",
		"last":   other + "<body>x</body>" + forged,
		"two":    forged + other + forged + "<body>x</body>",
		"many":   strings.Repeat(forged, 50) + other + "<body>x</body>" + strings.Repeat(forged, 50),
	} {
		f := stanzaid.Strip(fragment(t, s), func(by jid.JID) bool { return by == us })
		if id := stanzaid.Of(f, us); id != "" {
			t.Errorf("%s: the forged id %q is still there", name, id)
		}
		if id := stanzaid.Of(f, jid.MustParse("room@muc.example.net")); id != "theirs" {
			t.Errorf("%s: the room's id is %q", name, id)
		}
		if f.NumChildren() != 2 {
			t.Errorf("%s: %d children remain: %s", name, f.NumChildren(), f.Bytes())
		}
	}
}

func TestStripWithoutAddress(t *testing.T) {
	f := stanzaid.Strip(fragment(t, "<stanza-id xmlns='urn:xmpp:sid:0' id='x'/><stanza-id xmlns='urn:xmpp:sid:0' by='@' id='x'/>"),
		func(jid.JID) bool { return false })
	if f.NumChildren() != 0 {
		t.Errorf("ids by nobody remain: %s", f.Bytes())
	}
}

func TestOrigin(t *testing.T) {
	if got := stanzaid.Origin(fragment(t, "<body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>")); got != "o1" {
		t.Errorf("Origin = %q", got)
	}
	if got := stanzaid.Origin(fragment(t, "<body>x</body>")); got != "" {
		t.Errorf("Origin without one = %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	c := codec(f)
	f.Add(c.Encode("a@b", 1))
	f.Add("")
	f.Add(strings.Repeat("a", 26))
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := c.Decode("a@b", s); ok && c.Encode("a@b", id) != s {
			t.Errorf("%q decodes to %d, which is written %q", s, id, c.Encode("a@b", id))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	c := codec(b)
	b.ReportAllocs()
	for b.Loop() {
		c.Encode("alice@example.org", 1700000000000<<20)
	}
}
