package push

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func parse(t testing.TB, xml string) *xmlstream.Node {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil || f.NumChildren() != 1 {
		t.Fatalf("%s: %v", xml, err)
	}
	return f.At(0).Node()
}

// XEP-0492 §3: the most specific element counts, wherever it stands.
func TestSetting(t *testing.T) {
	who := identity{"client", "phone"}
	for _, c := range []struct {
		name, inner string
		want        level
	}{
		{"nothing", "", unset},
		{"fallback", "<always/>", always},
		{"category before fallback", "<always/><never identity-category='client'/>", never},
		{"type before category", "<on-mention identity-category='client' identity-type='phone'/><never identity-category='client'/><always/>", onMention},
		{"others", "<never identity-category='client' identity-type='pc'/><never identity-category='gateway'/>", unset},
		{"a type without a category", "<never identity-type='phone'/><always/>", always},
		{"twice the same", "<never/><always/>", never},
		{"of another namespace", "<never xmlns='urn:x'/><always/>", always},
		{"unknown", "<sometimes/>", unset},
		{"with more in it", "<on-mention><advanced><x xmlns='urn:x'/></advanced></on-mention>", onMention},
	} {
		if got := setting(parse(t, "<notify xmlns='urn:xmpp:notification-settings:1'>"+c.inner+"</notify>"), who); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}

func TestMentioned(t *testing.T) {
	me := self{account: jid.MustParse("me@x.example"), room: jid.MustParse("r@c.example"), nicks: []string{"Al", "Jürgen", ""}}
	for _, c := range []struct {
		name, payload string
		want          bool
	}{
		{"nothing", "<body>hello</body>", false},
		{"nick", "<body>hello al!</body>", true},
		{"nick at the end", "<body>hello AL</body>", true},
		{"part of a word", "<body>also, Malta, al_1</body>", false},
		{"part of a word, then a word", "<body>also al</body>", true},
		{"other letters", "<body>JÜRGEN:</body>", true},
		{"reference", "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:me@x.example'/>", true},
		{"reference to the nick", "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:r@c.example/Al'/>", true},
		{"reference to the nick elsewhere", "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:q@c.example/Al'/>", false},
		{"reference of data", "<reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:me@x.example'/>", false},
		{"reference to nobody", "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:%zz'/>", false},
		{"mention", "<mention xmlns='urn:xmpp:mentions:0' jid='me@x.example'/>", true},
		{"mention of another", "<mention xmlns='urn:xmpp:mentions:0' jid='you@x.example'/>", false},
		{"mention of all here", "<mention xmlns='urn:xmpp:mentions:0' mentions='urn:xmpp:mentions:0#channel'/>", true},
		{"mention of some", "<mention xmlns='urn:xmpp:mentions:0' mentions='urn:xmpp:mentions:0#moderators'/>", false},
		{"answer", "<reply xmlns='urn:xmpp:reply:0' to='r@c.example/Al' id='1'/>", true},
		{"answer to another", "<reply xmlns='urn:xmpp:reply:0' to='r@c.example/Bo' id='1'/>", false},
	} {
		f, err := xmlstream.ParseFragment([]byte(c.payload))
		if err != nil {
			t.Fatal(err)
		}
		st := &stanza.Stanza{Kind: stanza.Message, Payload: f}
		if got := me.mentioned(st); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 5: 8 * time.Minute, 10: 4*time.Hour + 16*time.Minute, 11: maxBackoff, 1000: maxBackoff} {
		if got := backoff(30*time.Second, failures); got != want {
			t.Errorf("after %d: %s", failures, got)
		}
	}
}

// FuzzBookmark: whatever somebody keeps as a bookmark or writes into a message is read without harm, and a nick that is found in a text stands there.
func FuzzBookmark(f *testing.F) {
	for _, s := range []string{
		"<item xmlns='http://jabber.org/protocol/pubsub'><conference xmlns='urn:xmpp:bookmarks:1'><nick>Al</nick><extensions><notify xmlns='urn:xmpp:notification-settings:1'><never identity-category='client'/></notify></extensions></conference></item>",
		"<message><body>al</body><reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:a@b/c?x'/></message>",
		"<mentions xmlns='urn:xmpp:mmn:0'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='r@c/x'/></forwarded></mentions>",
	} {
		f.Add(s, "al")
	}
	f.Fuzz(func(t *testing.T, xml, nick string) {
		frag, err := xmlstream.ParseFragment([]byte(xml))
		if err != nil {
			return
		}
		st := &stanza.Stanza{Kind: stanza.Message, From: jid.MustParse("r@c"), Payload: frag}
		me := self{account: jid.MustParse("a@b"), nicks: []string{nick}}
		_, _, _ = worth(st), me.mentioned(st), readChat(&occasion{account: me.account, st: st})
		for _, n := range frag.Nodes() {
			_ = readBookmark(n).setting(phone())
			_, _ = publishOptions(n)
		}
		if nick != "" && inText(nick, nick) != inText(" "+nick+" ", nick) {
			t.Errorf("%q is found in one of two texts only", nick)
		}
	})
}
