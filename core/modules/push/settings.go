package push

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// level is a notification setting (XEP-0492 §2.1).
type level uint8

const (
	unset level = iota
	always
	onMention
	never
)

var levels = map[string]level{"always": always, "on-mention": onMention, "never": never}

// identity is what an application is (XEP-0030 §3.1).
type identity struct{ Category, Type string }

// phone is what a client is taken for that has not said what it is: who has a device woken has it in a pocket.
func phone() identity { return identity{"client", "phone"} }

// setting returns what a <notify/> says for an application: the most specific element counts (XEP-0492 §3). Of two that are equally specific, which there
// must not be, the first.
func setting(notify *xmlstream.Node, who identity) level {
	best, rank := unset, 0
	for c := range notify.Elements() {
		l := levels[c.Name.Local]
		if c.Name.Space != ns.NotificationSettings || l == unset {
			continue
		}
		category, typ := c.Attr("identity-category"), c.Attr("identity-type")
		r := 0
		switch {
		case category == "" && typ == "":
			r = 1
		case category == who.Category && typ == "":
			r = 2
		case category == who.Category && typ == who.Type:
			r = 3
		}
		if r > rank {
			best, rank = l, r
		}
	}
	return best
}

// bookmark is what is read of an item of XEP-0402.
type bookmark struct {
	notify *xmlstream.Node // nil: no settings
	nick   string
}

func readBookmark(item *xmlstream.Node) (b bookmark) {
	if item == nil {
		return b
	}
	c := item.Child(ns.Bookmarks, "conference")
	if c == nil {
		return b
	}
	if n := c.Child(ns.Bookmarks, "nick"); n != nil {
		b.nick = strings.TrimSpace(n.TextContent())
	}
	if e := c.Child(ns.Bookmarks, "extensions"); e != nil {
		b.notify = e.Child(ns.NotificationSettings, "notify")
	}
	return b
}

// setting is the bookmark's for an application.
func (b bookmark) setting(who identity) level {
	if b.notify == nil {
		return unset
	}
	return setting(b.notify, who)
}

// self is by what a person is mentioned in a chat.
type self struct {
	account jid.JID
	room    jid.JID // zero in a direct chat
	nicks   []string
}

// is tells whether an address is hers.
func (s self) is(who jid.JID) bool {
	if who.Bare() == s.account {
		return true
	}
	return !s.room.IsZero() && who.Bare() == s.room && s.named(who.Resource())
}

func (s self) named(nick string) bool {
	for _, n := range s.nicks {
		if n != "" && n == nick {
			return true
		}
	}
	return false
}

// mentioned tells whether a message mentions her (XEP-0492 §3).
func (s self) mentioned(st *stanza.Stanza) bool {
	for c := range st.Payload.All() {
		switch {
		case c.Is(ns.Reference, "reference"): // XEP-0372 §3.2
			if c.Attr("type") == "mention" && s.is(referred(c.Attr("uri"))) {
				return true
			}
		case c.Is(ns.Mentions, "mention"): // XEP-0513 §3
			who, err := jid.Parse(c.Attr("jid"))
			if all := c.Attr("mentions"); all == ns.Mentions+"#channel" && !s.room.IsZero() || all == "" && err == nil && s.is(who) {
				return true
			}
		case c.Is(ns.Reply, "reply"): // XEP-0461 §3
			if who, err := jid.Parse(c.Attr("to")); err == nil && s.is(who) {
				return true
			}
		}
	}
	body := st.Body()
	for _, n := range s.nicks {
		if inText(body, n) {
			return true
		}
	}
	return false
}

// referred reads the URI of a reference; the zero JID if it is none of a person.
func referred(uri string) jid.JID {
	text, ok := strings.CutPrefix(uri, "xmpp:")
	text, _, _ = strings.Cut(text, "?")
	text, err := url.PathUnescape(text)
	if !ok || err != nil {
		return jid.JID{}
	}
	who, err := jid.Parse(text)
	if err != nil {
		return jid.JID{}
	}
	return who
}

// inText tells whether a nick stands in a text as a word of its own, in whatever case.
func inText(text, nick string) bool {
	text, nick = strings.ToLower(text), strings.ToLower(strings.TrimSpace(nick))
	if nick == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], nick)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(nick):])
		if !partOfWord(before) && !partOfWord(after) {
			return true
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		from = i + n
	}
}

func partOfWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
}
