package mappings_test

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	rt "github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func frag(t testing.TB, s string) xmlstream.Fragment {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(s string) rt.Document { return rt.FromPlain(s) }

func TestWriteMessage(t *testing.T) {
	mention := func(m rt.Mention) string {
		if m.ID == "@bob:hs" {
			return "room@rooms.d/Bob"
		}
		return ""
	}
	link := func(m sdk.Media) string { return m.URL }
	for name, row := range map[string]struct {
		c    sdk.Content
		o    mappings.WriteOptions
		want string
	}{
		"text":  {sdk.Content{Body: text("hi <b>")}, mappings.WriteOptions{}, "<body>hi &lt;b&gt;</body>"},
		"emote": {sdk.Content{Kind: sdk.KindEmote, Body: text("waves")}, mappings.WriteOptions{}, "<body>/me waves</body>"},
		"reply": {sdk.Content{Body: text("yes"), ReplyTo: &sdk.Reply{Author: "Ann", Excerpt: "shall we?\nnow?"}}, mappings.WriteOptions{ReplyID: "s1", ReplyTo: "r@h/Ann"},
			"<body>> Ann:\n> shall we?\n> now?\nyes</body><reply xmlns='urn:xmpp:reply:0' id='s1' to='r@h/Ann'/>" +
				"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='26'/></fallback>"},
		"reply to the unknown": {sdk.Content{Body: text("yes"), ReplyTo: &sdk.Reply{Author: "Ann", Excerpt: "old"}}, mappings.WriteOptions{},
			"<body>> Ann:\n> old\nyes</body>"},
		"correction": {sdk.Content{Body: text("new")}, mappings.WriteOptions{Replace: "m1"},
			"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>"},
		"mention": {sdk.Content{Body: rt.Doc(rt.Para(rt.Text("hi "), rt.MentionUserID("@bob:hs", "Bob"), rt.MentionUserID("@eve:hs", "Eve")))}, mappings.WriteOptions{Mention: mention},
			"<body>hi BobEve</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='3' end='6' uri='xmpp:room@rooms.d/Bob'/>"},
		"ranges behind a quote": {sdk.Content{Body: text("*x*"), ReplyTo: &sdk.Reply{Excerpt: "q"}}, mappings.WriteOptions{},
			"<body>> q\n*x*</body><unstyled xmlns='urn:xmpp:styling:0'/>"},
		"spoiler": {sdk.Content{Body: rt.Doc(rt.Para(rt.Text("it was "), rt.Spoiler("", rt.Text("him")))), SpoilerText: "film"}, mappings.WriteOptions{},
			"<body>it was him</body><spoiler xmlns='urn:xmpp:spoiler:0'>film</spoiler>"},
		"file without a link": {sdk.Content{Body: text("see"), Attachments: []sdk.Attachment{{Media: sdk.Media{Name: "a.png"}}}}, mappings.WriteOptions{}, "<body>see\n[a.png]</body>"},
		"one file": {sdk.Content{Attachments: []sdk.Attachment{{Inline: true, Media: sdk.Media{Name: "a.png", Type: "image/png", Size: 3, URL: "https://h/a.png"}}}}, mappings.WriteOptions{URL: link},
			"<body>https://h/a.png</body><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><media-type>image/png</media-type>" +
				"<name>a.png</name><size>3</size></file><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://h/a.png'/></sources></file-sharing>" +
				"<x xmlns='jabber:x:oob'><url>https://h/a.png</url></x><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(xmlstream.NewFragment(mappings.WriteMessage(row.c, row.o)...).String(), "&gt;", ">")
			if want := strings.ReplaceAll(row.want, "&gt;", ">"); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

func TestWriteMessageIsBounded(t *testing.T) {
	f := xmlstream.NewFragment(mappings.WriteMessage(sdk.Content{Body: text(strings.Repeat("é", 200<<10))}, mappings.WriteOptions{})...)
	if f.Len() > mappings.MaxBody+64 {
		t.Errorf("%d bytes", f.Len())
	}
}

func TestReadMessage(t *testing.T) {
	people := mappings.ReadOptions{
		Mention: func(a string) (rt.Mention, bool) {
			return rt.Mention{Target: rt.MentionUser, ID: "@bob:hs"}, a == "room@rooms.d/Bob B"
		},
		Nick: func(n string) (rt.Mention, bool) {
			return rt.Mention{Target: rt.MentionUser, ID: "@bob:hs"}, n == "Bob"
		},
	}
	for name, row := range map[string]struct {
		in    string
		act   mappings.Act
		plain string
		check func(mappings.Incoming) bool
	}{
		"text":     {"<body>hi *you*</body>", mappings.ActSay, "hi you", nil},
		"unstyled": {"<body>hi *you*</body><unstyled xmlns='urn:xmpp:styling:0'/>", mappings.ActSay, "hi *you*", nil},
		"markup": {"<body>hi you</body><markup xmlns='urn:xmpp:markup:0'><span start='3' end='6'><strong/></span></markup>", mappings.ActSay, "hi you",
			func(in mappings.Incoming) bool { return in.Content.Body.Blocks[0].Children[1].Kind == rt.KindBold }},
		"emote":      {"<body>/me waves</body>", mappings.ActSay, "waves", func(in mappings.Incoming) bool { return in.Content.Kind == sdk.KindEmote }},
		"correction": {"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>", mappings.ActCorrect, "new", func(in mappings.Incoming) bool { return in.Target == "m1" }},
		"retraction": {"<retract xmlns='urn:xmpp:message-retract:1' id='s1'/><body>fallback</body>", mappings.ActRetract, "", func(in mappings.Incoming) bool { return in.Target == "s1" }},
		"reactions": {"<reactions xmlns='urn:xmpp:reactions:0' id='s1'><reaction>👍</reaction><reaction>👍</reaction><reaction> 🎉 </reaction></reactions>", mappings.ActReact, "",
			func(in mappings.Incoming) bool { return strings.Join(in.Emoji, "") == "👍🎉" }},
		"conversations omemo": {"<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>x</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' name='OMEMO' namespace='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted message</body><store xmlns='urn:xmpp:hints'/>",
			mappings.ActEncrypted, "", nil},
		"dino omemo":      {"<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='9'><key rid='1'>x</key><iv>y</iv></header><payload>z</payload></encrypted><body>[This message is OMEMO encrypted]</body>", mappings.ActEncrypted, "", nil},
		"omemo 2":         {"<encrypted xmlns='urn:xmpp:omemo:2'/>", mappings.ActEncrypted, "", nil},
		"openpgp":         {"<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>", mappings.ActEncrypted, "", nil},
		"composing":       {"<composing xmlns='http://jabber.org/protocol/chatstates'/>", mappings.ActTyping, "", func(in mappings.Incoming) bool { return in.Typing }},
		"paused":          {"<paused xmlns='http://jabber.org/protocol/chatstates'/>", mappings.ActTyping, "", func(in mappings.Incoming) bool { return !in.Typing }},
		"displayed":       {"<displayed xmlns='urn:xmpp:chat-markers:0' id='s9'/>", mappings.ActDisplayed, "", func(in mappings.Incoming) bool { return in.Target == "s9" }},
		"receipt request": {"<body>x</body><request xmlns='urn:xmpp:receipts'/>", mappings.ActSay, "x", func(in mappings.Incoming) bool { return in.Receipt }},
		"nothing":         {"<x xmlns='foo'/>", mappings.ActNone, "", nil},
		"reply": {"<body>&gt; Ann wrote:\n&gt; shall *we*\nyes</body><reply xmlns='urn:xmpp:reply:0' id='s1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='25'/></fallback>",
			mappings.ActSay, "yes", func(in mappings.Incoming) bool {
				return in.ReplyTo == "s1" && in.Content.ReplyTo.Excerpt == "shall *we*"
			}},
		"fallback beyond the body": {"<body>yes</body><reply xmlns='urn:xmpp:reply:0' id='s1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='99'/></fallback>",
			mappings.ActSay, "yes", nil},
		"fallback for something else": {"<body>yes</body><fallback xmlns='urn:xmpp:fallback:0' for='foo'><body start='0' end='2'/></fallback>", mappings.ActSay, "yes", nil},
		"reference": {"<body>hi Bob</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='3' end='6' uri='xmpp:room@rooms.d/Bob%20B'/>", mappings.ActSay, "hi Bob",
			func(in mappings.Incoming) bool {
				m := in.Content.Body.Mentions()
				return len(m) == 1 && m[0].ID == "@bob:hs"
			}},
		"addressed": {"<body>Bob: look</body>", mappings.ActSay, "Bob: look", func(in mappings.Incoming) bool { return len(in.Content.Body.Mentions()) == 1 }},
		"everyone": {"<body>@everyone @room @here &lt;!channel&gt;</body>", mappings.ActSay, "@everyone @room @here <!channel>",
			func(in mappings.Incoming) bool { return len(in.Content.Body.Mentions()) == 0 }},
		"link as a file": {"<body>https://h/a.png</body><x xmlns='jabber:x:oob'><url>https://h/a.png</url></x>", mappings.ActSay, "",
			func(in mappings.Incoming) bool {
				return len(in.Content.Attachments) == 1 && in.Content.Attachments[0].Media.Name == "a.png"
			}},
		"file of the machine": {"<body>x</body><x xmlns='jabber:x:oob'><url>file:///etc/passwd</url></x>", mappings.ActSay, "x",
			func(in mappings.Incoming) bool { return len(in.Content.Attachments) == 0 }},
		"xhtml": {"<body>hi you</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>hi <strong>you</strong></p></body></html>", mappings.ActSay, "hi you",
			func(in mappings.Incoming) bool { return in.Content.Body.Blocks[0].Children[1].Kind == rt.KindBold }},
		"xhtml that says something else": {"<body>hi</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>send money</body></html>", mappings.ActSay, "hi", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := mappings.ReadMessage(frag(t, row.in), people)
			if got.Act != row.act || got.Content.Body.Plain() != row.plain {
				t.Errorf("act %d %q, want %d %q", got.Act, got.Content.Body.Plain(), row.act, row.plain)
			}
			if row.check != nil && !row.check(got) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What is written for XMPP clients reads as the same content again: text, styles, reply, correction.
func TestMessageBothWays(t *testing.T) {
	c := sdk.Content{Body: rt.Doc(rt.Para(rt.Bold(rt.Text("yes")), rt.Text(" and *no*"))), ReplyTo: &sdk.Reply{Author: "Ann", Excerpt: "which?"}}
	f := xmlstream.NewFragment(mappings.WriteMessage(c, mappings.WriteOptions{ReplyID: "s1", Replace: "m1"})...)
	in := mappings.ReadMessage(f, mappings.ReadOptions{})
	if in.Act != mappings.ActCorrect || in.Target != "m1" || in.ReplyTo != "s1" || in.Content.ReplyTo.Excerpt != "which?" || in.Content.Body.Plain() != "yes and *no*" {
		t.Errorf("%s\n%+v", f, in)
	}
	r := mappings.ReadMessage(xmlstream.NewFragment(mappings.WriteReactions("s1", []string{"👍"})...), mappings.ReadOptions{})
	if r.Act != mappings.ActReact || r.Target != "s1" || len(r.Emoji) != 1 {
		t.Errorf("%+v", r)
	}
	d := mappings.ReadMessage(xmlstream.NewFragment(mappings.WriteRetraction("s1")...), mappings.ReadOptions{})
	if d.Act != mappings.ActRetract || d.Target != "s1" {
		t.Errorf("%+v", d)
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add("<body>hi *you*</body><markup xmlns='urn:xmpp:markup:0'><span start='3' end='6'><strong/></span></markup>")
	f.Add("<body>&gt; a\nb</body><reply xmlns='urn:xmpp:reply:0' id='s1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='4'/></fallback>")
	f.Add("<body>hi</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><ul><li>hi</li></ul></body></html>")
	f.Add("<body>Bob: x</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='3' uri='xmpp:a@b/c'/>")
	f.Add("<file-sharing xmlns='urn:xmpp:sfs:0'><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://h/x'/></sources></file-sharing>")
	everybody := func(string) (rt.Mention, bool) { return rt.Mention{Target: rt.MentionUser, ID: "u"}, true }
	f.Fuzz(func(t *testing.T, s string) {
		fr, err := xmlstream.ParseFragment([]byte(s))
		if err != nil {
			return
		}
		in := mappings.ReadMessage(fr, mappings.ReadOptions{Mention: everybody, Nick: everybody})
		out := xmlstream.NewFragment(mappings.WriteMessage(in.Content, mappings.WriteOptions{ReplyID: in.ReplyTo, Replace: in.Target})...)
		if _, err := xmlstream.ParseFragment(out.Bytes()); err != nil {
			t.Fatalf("%q: %v", out.Bytes(), err)
		}
	})
}
