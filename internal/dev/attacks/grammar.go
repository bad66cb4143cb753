package attacks

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Grammar makes what a client might say: stanzas that are valid, nearly valid and not XML at all.
type Grammar struct {
	Rand *rand.Rand
	// Addresses are whom stanzas are sent to, and what stands in them.
	Addresses []string
}

// pick returns one of the list.
func (g *Grammar) pick(list []string) string { return list[g.Rand.IntN(len(list))] }

var (
	messageTypes  = []string{"", "chat", "normal", "groupchat", "headline", "error", "GROUPCHAT", "bogus", ""}
	presenceTypes = []string{"", "", "", "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error", "bogus"}
	iqTypes       = []string{"get", "set", "get", "set", "result", "error", "", "bogus"}
)

// texts are contents of attributes and elements, already escaped.
var texts = []string{
	"", "a", "1", "-1", "0", "2147483648", "99999999999999999999", "true", "owner", "none", "member", "outcast", "moderator", "visitor", "participant",
	"' OR 1=1 --", "%00%s%n", "../../etc/passwd", "&lt;body&gt;", "&#x202e;gnp.exe", "\u00e9\u0301\u200b", "&#xFFFD;", "\U0001F469\u200d\U0001F467",
	"a@b@c", "@", "/", "  ", "2001-01-01T00:00:00Z", "muc#roomconfig_roomname", "room", "Nick",
}

func (g *Grammar) text() string {
	switch g.Rand.IntN(12) {
	case 0:
		return g.pick(g.Addresses)
	case 1:
		return strings.Repeat(g.pick([]string{"x", "\u00e4", "&amp;"}), g.Rand.IntN(3000))
	}
	return g.pick(texts)
}

// payloads are children of stanzas; %A is an address, %T a text, %C another payload.
var payloads = []string{
	"<body>%T</body>", "<body>%T</body>", "<subject>%T</subject>", "<thread>%T</thread>", "<show>%T</show>", "<status>%T</status>", "<priority>%T</priority>",
	"<x xmlns='http://jabber.org/protocol/muc'/>", "<x xmlns='http://jabber.org/protocol/muc'/>",
	"<x xmlns='http://jabber.org/protocol/muc'><password>%T</password><history maxstanzas='%T' since='%T' seconds='%T'/></x>",
	"<x xmlns='http://jabber.org/protocol/muc#user'><invite to='%A'><reason>%T</reason></invite></x>",
	"<x xmlns='http://jabber.org/protocol/muc#user'><decline to='%A'/></x>",
	"<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator' jid='%A'/><status code='110'/></x>",
	"<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='%T' jid='%A' nick='%T'/></query>",
	"<query xmlns='http://jabber.org/protocol/muc#admin'><item role='%T' nick='%T'/><item role='none' nick='Nick'/></query>",
	"<query xmlns='http://jabber.org/protocol/muc#owner'/>",
	"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>",
	"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomname'><value>%T</value></field><field var='muc#roomconfig_roomowners'><value>%A</value></field><field var='muc#roomconfig_membersonly'><value>%T</value></field></x></query>",
	"<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='%A'><reason>%T</reason></destroy></query>",
	"<query xmlns='jabber:iq:roster'/>", "<query xmlns='jabber:iq:roster' ver='%T'/>",
	"<query xmlns='jabber:iq:roster'><item jid='%A' name='%T' subscription='%T'><group>%T</group></item></query>",
	"<query xmlns='jabber:iq:roster'><item jid='%A' subscription='remove'/></query>",
	"<query xmlns='http://jabber.org/protocol/disco#info' node='%T'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
	"<query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'><max>%T</max><after>%T</after></set></query>",
	"<vCard xmlns='vcard-temp'/>", "<vCard xmlns='vcard-temp'><FN>%T</FN><PHOTO><TYPE>%T</TYPE><BINVAL>%T</BINVAL></PHOTO></vCard>",
	"<query xmlns='jabber:iq:version'/>", "<time xmlns='urn:xmpp:time'/>", "<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:last'/>",
	"<query xmlns='jabber:iq:register'/>", "<query xmlns='jabber:iq:register'><username>%T</username><password>%T</password></query>",
	"<query xmlns='jabber:iq:search'><nick>%T</nick></query>", "<command xmlns='http://jabber.org/protocol/commands' node='%T' action='%T'/>",
	"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%T'><item id='%T'>%C</item></publish></pubsub>",
	"<stanza-id xmlns='urn:xmpp:sid:0' by='%A' id='%T'/>", "<origin-id xmlns='urn:xmpp:sid:0' id='%T'/>", "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='%T'/>",
	"<delay xmlns='urn:xmpp:delay' from='%A' stamp='%T'/>", "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>%C</forwarded></received>",
	"<result xmlns='urn:xmpp:mam:2' id='%T'><forwarded xmlns='urn:xmpp:forward:0'>%C</forwarded></result>", "<query xmlns='urn:xmpp:mam:2' queryid='%T'/>",
	"<enable xmlns='urn:xmpp:carbons:2'/>", "<private xmlns='urn:xmpp:carbons:2'/>", "<store xmlns='urn:xmpp:hints'/>", "<no-store xmlns='urn:xmpp:hints'/>",
	"<composing xmlns='http://jabber.org/protocol/chatstates'/>", "<active xmlns='http://jabber.org/protocol/chatstates'/>",
	"<request xmlns='urn:xmpp:receipts'/>", "<received xmlns='urn:xmpp:receipts' id='%T'/>", "<displayed xmlns='urn:xmpp:chat-markers:0' id='%T'/>",
	"<replace xmlns='urn:xmpp:message-correct:0' id='%T'/>", "<retract xmlns='urn:xmpp:message-retract:1' id='%T'><moderated xmlns='urn:xmpp:message-moderate:1' by='%A'/></retract>",
	"<moderate xmlns='urn:xmpp:message-moderate:1' id='%T'><retract xmlns='urn:xmpp:message-retract:1'/><reason>%T</reason></moderate>",
	"<reactions xmlns='urn:xmpp:reactions:0' id='%T'><reaction>%T</reaction><reaction>\U0001F44B</reaction></reactions>",
	"<reply xmlns='urn:xmpp:reply:0' to='%A' id='%T'/>", "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='%T' end='%T'/></fallback>",
	"<reference xmlns='urn:xmpp:reference:0' type='mention' begin='%T' end='%T' uri='xmpp:%A'/>", "<x xmlns='jabber:x:oob'><url>%T</url></x>",
	"<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p style='%T'><a href='javascript:%T'>%T</a></p></body></html>",
	"<unstyled xmlns='urn:xmpp:styling:0'/>", "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='%T' ver='%T'/>",
	"<x xmlns='vcard-temp:x:update'><photo>%T</photo></x>", "<x xmlns='jabber:x:conference' jid='%A' password='%T'/>",
	"<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "<error type='%T'/>",
	"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%T</resource></bind>",
	"<nothing/>", "<a:b xmlns:a='urn:example:b' a:c='%T'/>", "<unknown xmlns='urn:example'>%T%C</unknown>", "%T",
}

func (g *Grammar) payload(depth int) string {
	p := g.pick(payloads)
	for {
		i := strings.IndexByte(p, '%')
		for i >= 0 && (i+1 == len(p) || !strings.ContainsRune("ATC", rune(p[i+1]))) {
			next := strings.IndexByte(p[i+1:], '%')
			if next < 0 {
				return p
			}
			i += 1 + next
		}
		if i < 0 {
			return p
		}
		with := ""
		switch {
		case p[i+1] == 'A':
			with = g.pick(g.Addresses)
		case p[i+1] == 'T':
			with = strings.ReplaceAll(strings.ReplaceAll(g.text(), "%", ""), "'", "&apos;")
		case depth < 3:
			with = g.payload(depth + 1)
		}
		p = p[:i] + with + p[i+2:]
	}
}

// Stanza is a stanza that is well-formed, most of the time one that means something.
func (g *Grammar) Stanza() string {
	kind, types := "message", messageTypes
	switch g.Rand.IntN(3) {
	case 0:
		kind, types = "presence", presenceTypes
	case 1:
		kind, types = "iq", iqTypes
	}
	var b strings.Builder
	b.WriteString("<" + kind)
	if g.Rand.IntN(10) > 0 {
		fmt.Fprintf(&b, " id='g%d'", g.Rand.IntN(1<<20))
	}
	if t := g.pick(types); t != "" {
		b.WriteString(" type='" + t + "'")
	}
	if g.Rand.IntN(10) > 0 {
		b.WriteString(" to='" + g.pick(g.Addresses) + "'")
	}
	b.WriteString(">")
	n := 1
	if kind != "iq" || g.Rand.IntN(20) == 0 {
		n = g.Rand.IntN(4)
	}
	for range n {
		b.WriteString(g.payload(0))
	}
	return b.String() + "</" + kind + ">"
}

// ends are what ends a stream, or should.
var ends = []string{
	"</stream:stream>", "<", "</message>", "<message><body></message>", "<!-- -->", "<!DOCTYPE a>", "<?xml version='1.0'?>", "&lol;", "<message id='1' id='2'/>",
	"<x:y/>", "<message from='admin@v.test'/>", "<message xmlns='jabber:server'/>", "<stream:features/>", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
	"\x00", "\xff\xfe", "text", "<a xmlns='urn:xmpp:sm:3' h='99'/>", "<message>" + strings.Repeat("<a>", 70), "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
}

// Other is what is no stanza: mostly harmless, sometimes the end of the stream.
func (g *Grammar) Other() string {
	switch n := g.Rand.IntN(40); {
	case n == 0:
		return g.pick(ends)
	case n == 1:
		return "<enable xmlns='urn:xmpp:sm:3' resume='" + g.pick([]string{"true", "false"}) + "'/>"
	case n < 10:
		return fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", g.Rand.IntN(3))
	case n < 20:
		return " \n\t"
	}
	return "<r xmlns='urn:xmpp:sm:3'/>"
}
