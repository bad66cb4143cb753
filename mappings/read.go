package mappings

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Act is what a message of an XMPP client does.
type Act uint8

// The acts. ActNone carries nothing that a network could be told.
const (
	ActNone Act = iota
	ActSay
	ActCorrect   // Target is the stanza id (attribute) of the message
	ActRetract   // Target is the room's id of the message, or its stanza id
	ActReact     // Emoji is the sender's whole set; Target as for ActRetract
	ActEncrypted // end-to-end encrypted: it must not cross
	ActDisplayed // a read marker for Target
	ActTyping    // Typing says whether she writes
)

// Incoming is a message of an XMPP client.
type Incoming struct {
	Act     Act
	Content sdk.Content
	Target  string
	Emoji   []string
	Typing  bool
	ReplyTo string // id of the message that is answered
	Receipt bool   // she asks for a delivery receipt (XEP-0184)
	Thread  string
}

// ReadOptions is what reading needs of its surroundings; functions may be nil.
type ReadOptions struct {
	// Mention returns who an address ("room@host/nick" or a bare JID) is.
	Mention func(address string) (richtext.Mention, bool)
	// Nick returns who has a nick, for "Nick: text" at the beginning of a line.
	Nick func(nick string) (richtext.Mention, bool)
}

// maxEmoji bounds the reactions of one person to one message.
const maxEmoji = 32

// ReadMessage says what the payload of a message does.
func ReadMessage(f xmlstream.Fragment, o ReadOptions) Incoming {
	in := Incoming{Receipt: f.Has(ns.Receipts, "request")}
	if Encrypted(f) {
		in.Act = ActEncrypted
		return in
	}
	for _, r := range []struct {
		space, local string
		act          Act
	}{
		{ns.Retract, "retract", ActRetract}, {ns.Reactions, "reactions", ActReact},
		{ns.Correct, "replace", ActCorrect},
	} {
		if c, ok := f.Child(r.space, r.local); ok {
			in.Act, in.Target = r.act, c.Attr("id")
			break
		}
	}
	switch in.Act {
	case ActReact:
		in.Emoji = readReactions(f)
		return in
	case ActRetract:
		return in
	}
	in.content(f, o)
	if in.Act == ActCorrect {
		return in
	}
	if !in.Content.Body.Empty() || len(in.Content.Attachments) > 0 {
		in.Act = ActSay
		return in
	}
	in.signal(f)
	return in
}

// Encrypted tells whether a message is end-to-end encrypted (XEP-0384, XEP-0373, XEP-0027, or what XEP-0380 names): the text beside it is then
// only a notice.
func Encrypted(f xmlstream.Fragment) bool {
	for _, space := range []string{ns.OMEMO, ns.OMEMOOld} {
		if f.Has(space, "encrypted") {
			return true
		}
	}
	return f.Has(ns.EME, "encryption") || f.Has(ns.OpenPGP, "openpgp") || f.Has(ns.XEncrypted, "x")
}

func readReactions(f xmlstream.Fragment) []string {
	var out []string
	seen := map[string]bool{}
	c, _ := f.Child(ns.Reactions, "reactions")
	for r := range c.Node().Children(ns.Reactions, "reaction") {
		e := strings.TrimSpace(r.TextContent())
		if e != "" && len(e) <= 64 && !seen[e] && len(out) < maxEmoji {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}

func (in *Incoming) signal(f xmlstream.Fragment) {
	if c, ok := f.Child(ns.Markers, "displayed"); ok {
		in.Act, in.Target = ActDisplayed, c.Attr("id")
		return
	}
	for _, state := range []string{"composing", "active", "paused", "inactive", "gone"} {
		if f.Has(ns.ChatStates, state) {
			in.Act, in.Typing = ActTyping, state == "composing"
			return
		}
	}
}

func (in *Incoming) content(f xmlstream.Fragment, o ReadOptions) {
	b, ok := f.Child(ns.Client, "body")
	if !ok {
		in.files(f, "")
		return
	}
	body := clip(strings.ReplaceAll(b.Text(), "\r\n", "\n"), MaxBody)
	cuts := fallbacks(f, runes(body))
	if r, ok := f.Child(ns.Reply, "reply"); ok && r.Attr("id") != "" {
		in.ReplyTo = r.Attr("id")
		if q := cutOnly(body, cuts); q != "" {
			in.Content.ReplyTo = &sdk.Reply{Excerpt: unquote(q)}
		} else {
			in.Content.ReplyTo = &sdk.Reply{}
		}
	}
	mentions := readMentions(f, runes(body), o)
	beside := f
	cut := func(ranges []span) {
		if len(ranges) > 0 {
			mentions, beside, body = shiftSpans(mentions, ranges), shiftMarkup(beside, ranges), cutBody(body, ranges)
		}
	}
	cut(cuts)
	body = in.files(f, body)
	if strings.HasPrefix(body, "/me ") { // XEP-0245
		in.Content.Kind = sdk.KindEmote
		cut([]span{{start: 0, end: 4}})
	}
	if len(mentions) == 0 {
		mentions = addressed(body, o)
	}
	in.Content.Body = documentOf(body, beside, mentions)
	if s, ok := f.Child(ns.Spoiler, "spoiler"); ok {
		in.Content.Spoiler, in.Content.SpoilerText = true, Cut(s.Text(), 200, 800)
	}
	if t, ok := f.Child(ns.Client, "thread"); ok {
		in.Thread = clip(t.Text(), 256)
	}
}

// fallbacks are the parts of the body that stand there for clients without replies (XEP-0428 §3, XEP-0461 §3.1).
func fallbacks(f xmlstream.Fragment, total int) []span {
	var out []span
	if !f.Has(ns.Reply, "reply") {
		return nil
	}
	for c := range f.All() {
		if !c.Is(ns.Fallback, "fallback") || c.Attr("for") != ns.Reply {
			continue
		}
		for b := range c.Node().Children(ns.Fallback, "body") {
			if start, end, ok := readRange(b, total); ok && len(out) < 8 {
				out = append(out, span{start: start, end: end})
			}
		}
	}
	return out
}

func cutOnly(body string, ranges []span) string {
	var b strings.Builder
	i := 0
	for _, r := range body {
		if covering(ranges, i, i+1) != nil {
			b.WriteRune(r)
		}
		i++
	}
	return b.String()
}

// unquote takes the marks and the "Name:" line off a quotation.
func unquote(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for i, l := range lines {
		_, lines[i] = cutQuote(l, maxQuote)
	}
	if len(lines) > 1 && (strings.HasSuffix(lines[0], ":") || strings.HasSuffix(lines[0], "wrote:")) {
		lines = lines[1:]
	}
	return Cut(strings.Join(lines, "\n"), MaxExcerpt, 4*MaxExcerpt)
}

// readMentions reads references of type mention (XEP-0372 §3.2).
func readMentions(f xmlstream.Fragment, total int, o ReadOptions) []span {
	var out []span
	for c := range f.All() {
		if o.Mention == nil || !c.Is(ns.Reference, "reference") || c.Attr("type") != "mention" || len(out) >= maxSpans {
			continue
		}
		start, err1 := strconv.Atoi(c.Attr("begin"))
		end, err2 := strconv.Atoi(c.Attr("end"))
		address, ok := strings.CutPrefix(c.Attr("uri"), "xmpp:")
		if err1 != nil || err2 != nil || !ok || start < 0 || start >= end || end > total {
			continue
		}
		if un, err := url.PathUnescape(address); err == nil {
			address = un
		}
		if m, known := o.Mention(address); known {
			out = append(out, span{start: start, end: end, mention: &m})
		}
	}
	return out
}

// addressed reads "Nick: text" and "Nick, text", the way people call each other in group chats.
func addressed(body string, o ReadOptions) []span {
	if o.Nick == nil {
		return nil
	}
	i := strings.IndexAny(body, ":,\n")
	if i <= 0 || i > MaxNickBytes || body[i] == '\n' || i+1 < len(body) && body[i+1] != ' ' && body[i+1] != '\n' {
		return nil
	}
	nick := strings.TrimPrefix(body[:i], "@")
	if m, ok := o.Nick(nick); ok {
		return []span{{start: 0, end: runes(body[:i]), mention: &m}}
	}
	return nil
}

// shiftSpans moves ranges to where they are after cuts; a range that was cut into is dropped.
func shiftSpans(list, cuts []span) []span {
	var out []span
	for _, s := range list {
		gone, by := false, 0
		for _, c := range cuts {
			switch {
			case c.end <= s.start:
				by += c.end - c.start
			case c.start < s.end:
				gone = true
			}
		}
		if !gone {
			s.start, s.end = s.start-by, s.end-by
			out = append(out, s)
		}
	}
	return out
}

// files reads attachments (XEP-0447, XEP-0066) and takes their links off the body.
func (in *Incoming) files(f xmlstream.Fragment, body string) string {
	seen := map[string]bool{}
	for c := range f.All() {
		var a sdk.Attachment
		switch {
		case c.Is(ns.SFS, "file-sharing"):
			a = readFile(c.Node())
		case c.Is(ns.OOBMessage, "x"):
			if u := c.Node().Child(ns.OOBMessage, "url"); u != nil {
				a = attachment(strings.TrimSpace(u.TextContent()))
			}
		}
		if a.Media.URL == "" || seen[a.Media.URL] || len(in.Content.Attachments) >= 16 {
			continue
		}
		seen[a.Media.URL] = true
		in.Content.Attachments = append(in.Content.Attachments, a)
		if strings.TrimSpace(body) == a.Media.URL {
			body = ""
		}
	}
	return body
}

func attachment(link string) sdk.Attachment {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return sdk.Attachment{}
	}
	return sdk.Attachment{Media: sdk.Media{ID: sdk.MediaID(link), URL: link, Name: path.Base(u.Path), Size: -1}}
}

func readFile(n *xmlstream.Node) sdk.Attachment {
	var link string
	if s := n.Child(ns.SFS, "sources"); s != nil {
		if d := s.Child(ns.URLData, "url-data"); d != nil {
			link = d.Attr("target")
		}
	}
	a := attachment(link)
	a.Inline = n.Attr("disposition") == "inline"
	f := n.Child(ns.FileMetadata, "file")
	if f == nil || a.Media.URL == "" {
		return a
	}
	text := func(name string) string {
		if c := f.Child(ns.FileMetadata, name); c != nil {
			return clip(strings.TrimSpace(c.TextContent()), 1024)
		}
		return ""
	}
	a.Media.Type, a.Caption = text("media-type"), bounded(richtext.FromPlain(text("desc")))
	if name := text("name"); name != "" {
		a.Media.Name = path.Base("/" + strings.ReplaceAll(name, "\\", "/"))
	}
	if n, err := strconv.ParseInt(text("size"), 10, 64); err == nil && n >= 0 {
		a.Media.Size = n
	}
	a.Media.Width, _ = strconv.Atoi(text("width"))
	a.Media.Height, _ = strconv.Atoi(text("height"))
	return a
}
