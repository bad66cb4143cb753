package archive

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func node(t testing.TB, s string) *xmlstream.Node {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(s))
	if err != nil || f.NumChildren() != 1 {
		t.Skip("no element")
	}
	return f.At(0).Node()
}

func TestReadPrefs(t *testing.T) {
	const open = "<prefs xmlns='urn:xmpp:mam:2' default='roster'>"
	p, err := readPrefs(node(t, open+"<never><jid>A@Example.org</jid><jid>a@example.org</jid></never><always><jid>b@example.org/x</jid></always></prefs>"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&prefs{Default: Roster, Always: []string{"b@example.org/x"}, Never: []string{"a@example.org"}}, p); d != "" {
		t.Error(d)
	}
	many := strings.Builder{}
	for i := range maxListed + 1 {
		many.WriteString("<jid>u" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/50) + "@example.org</jid>")
	}
	for name, bad := range map[string]string{
		"no default": "<prefs xmlns='urn:xmpp:mam:2'/>",
		"no address": open + "<always><jid/></always></prefs>",
		"too many":   open + "<never>" + many.String() + "</never></prefs>",
	} {
		if _, err := readPrefs(node(t, bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestListed(t *testing.T) {
	list := []string{"a@example.org", "b@example.org/x", "example.net"}
	for who, want := range map[string]bool{
		"a@example.org": true, "a@example.org/y": true, "b@example.org": false, "b@example.org/x": true, "b@example.org/y": false,
		"example.net": true, "c@example.net": false,
	} {
		if listed(list, jid.MustParse(who)) != want {
			t.Errorf("%s: not %v", who, want)
		}
	}
}

func message(t *testing.T, s string) *stanza.Stanza {
	t.Helper()
	st, err := stanza.Unmarshal([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// XEP-0424 §6: whose retraction is heard. Occupants of a room share its bare address.
func TestSameAuthor(t *testing.T) {
	const x = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
	occupant := func(id string) string { return x + "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='" + id + "'/>" }
	msg := func(from, inner string) *stanza.Stanza {
		return message(t, "<message xmlns='jabber:client' from='"+from+"'>"+inner+"</message>")
	}
	for name, c := range map[string]struct {
		said, st *stanza.Stanza
		want     bool
	}{
		"another client of hers":      {msg("a@example.org/x", ""), msg("a@example.org/y", ""), true},
		"somebody else":               {msg("a@example.org/x", ""), msg("b@example.org/x", ""), false},
		"the same occupant":           {msg("hall@rooms/A", occupant("1")), msg("hall@rooms/A", occupant("1")), true},
		"another occupant":            {msg("hall@rooms/A", occupant("1")), msg("hall@rooms/B", occupant("2")), false},
		"another under the same nick": {msg("hall@rooms/A", occupant("1")), msg("hall@rooms/A", occupant("2")), false},
		"without the mark":            {msg("hall@rooms/A", occupant("1")), msg("hall@rooms/A", ""), false},
		"with the mark only now":      {msg("hall@rooms/A", ""), msg("hall@rooms/A", x), false},
		"no mark, the same address":   {msg("hall@rooms/A", ""), msg("hall@rooms/A", ""), true},
		"no mark, perhaps a room":     {msg("hall@rooms/A", ""), msg("hall@rooms/B", ""), false},
		"no mark, only asked for":     {msg("asks@elsewhere/A", ""), msg("asks@elsewhere/B", ""), false},
		"a contact's other client":    {msg("eve@elsewhere/A", ""), msg("eve@elsewhere/B", ""), true},
	} {
		m := &Module{contacts: book{"eve@elsewhere": "both", "asks@elsewhere": "from"}}
		m.d.Hosts = houses{}
		if got, err := m.sameAuthor(t.Context(), "bob@example.org", c.said, c.st); got != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// book has the subscriptions of contacts.
type book map[string]string

func (b book) Item(_ context.Context, _, contact jid.JID) (storage.RosterItem, error) {
	return storage.RosterItem{Subscription: b[contact.String()]}, nil
}

// houses has the accounts at example.org.
type houses struct{ module.Hosts }

func (houses) IsAccountDomain(d string) bool { return d == "example.org" }

func FuzzReadPrefs(f *testing.F) {
	f.Add("<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>a@b</jid></always><never/></prefs>")
	f.Add("<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>a@b/c</jid><jid xmlns='x'>d</jid></never></prefs>")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := readPrefs(node(t, s))
		if err != nil {
			return
		}
		again, err := readPrefs(p.node())
		if err != nil || cmp.Diff(p, again) != "" {
			t.Errorf("%v: %s is read as %v", err, p.node(), again)
		}
	})
}
