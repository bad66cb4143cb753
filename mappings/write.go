package mappings

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// MaxBody bounds the text of a message in bytes, in both directions.
const MaxBody = 64 << 10

// MaxExcerpt bounds the quotation of a reply, in characters.
const MaxExcerpt = 300

// WriteOptions is what writing a message needs of its surroundings. Functions may be nil.
type WriteOptions struct {
	ReplyID string // id of the message that is answered, as XMPP knows it; "" if it is not known
	ReplyTo string // its author's address in the room
	Replace string // id of the message that this one corrects
	Thread  string
	// Mention returns the address (without "xmpp:") of who is called, "" if there is none.
	Mention func(richtext.Mention) string
	// URL returns the link under which a file can be had, "" if it cannot.
	URL func(sdk.Media) string
}

// WriteMessage is the payload of a message for XMPP clients.
func WriteMessage(c sdk.Content, o WriteOptions) []*xmlstream.Node {
	b := WriteStyling(bounded(c.Body))
	w := &messageWriter{o: o}
	w.quote(c.ReplyTo)
	shift := runes(w.body.String())
	text := clip(b.Text, MaxBody)
	if c.Kind == sdk.KindEmote {
		w.body.WriteString("/me ") // XEP-0245
		shift += 4
	}
	w.body.WriteString(text)
	total := shift + runes(text)
	for _, n := range b.Nodes {
		w.nodes = append(w.nodes, shiftRanges(n, shift, total))
	}
	w.mentions(b.Mentions, shift, total)
	w.files(c.Attachments)
	w.marks(c, b.Spoiler)
	var out []*xmlstream.Node
	if w.body.Len() > 0 {
		out = append(out, xmlstream.NewNode(ns.Client, "body").SetText(w.body.String()))
	}
	return append(out, w.nodes...)
}

type messageWriter struct {
	o     WriteOptions
	body  strings.Builder
	nodes []*xmlstream.Node
}

// quote writes what a client without replies shows, and says that it is only that (XEP-0461 §3.1, XEP-0428). A reply to a message that
// nobody here knows is a quotation.
func (w *messageWriter) quote(r *sdk.Reply) {
	if r == nil {
		return
	}
	excerpt := Cut(strings.TrimSpace(r.Excerpt), MaxExcerpt, 4*MaxExcerpt)
	if excerpt != "" {
		var lines []string
		if r.Author != "" {
			lines = append(lines, r.Author+":")
		}
		lines = append(lines, strings.Split(excerpt, "\n")...)
		for _, l := range lines {
			w.body.WriteString(strings.TrimRight("> "+strings.TrimLeft(l, "> "), " ") + "\n")
		}
	}
	if w.o.ReplyID == "" {
		if excerpt == "" && r.Link != "" {
			w.body.WriteString("> " + r.Link + "\n")
		}
		return
	}
	n := xmlstream.NewNode(ns.Reply, "reply", "id", w.o.ReplyID)
	if w.o.ReplyTo != "" {
		n.SetAttr("to", w.o.ReplyTo)
	}
	w.nodes = append(w.nodes, n)
	if excerpt != "" {
		f := xmlstream.NewNode(ns.Fallback, "fallback", "for", ns.Reply)
		f.AddNew("body", "start", "0", "end", strconv.Itoa(runes(w.body.String())))
		w.nodes = append(w.nodes, f)
	}
}

func (w *messageWriter) mentions(spans []MentionSpan, shift, total int) {
	for _, m := range spans {
		if w.o.Mention == nil || m.End+shift > total {
			continue
		}
		if to := w.o.Mention(m.Mention); to != "" {
			w.nodes = append(w.nodes, xmlstream.NewNode(ns.Reference, "reference", "type", "mention", "begin", strconv.Itoa(m.Start+shift),
				"end", strconv.Itoa(m.End+shift), "uri", "xmpp:"+to))
		}
	}
}

// files writes each file as XEP-0447; the first one also as XEP-0066 when it is all there is, which is what most clients show in place.
func (w *messageWriter) files(list []sdk.Attachment) {
	for _, a := range list {
		url := ""
		if w.o.URL != nil {
			url = w.o.URL(a.Media)
		}
		caption := bounded(a.Caption).Plain()
		if url == "" {
			w.line("[" + firstOf(a.Media.Name, a.Media.Type, "file") + "] " + caption)
			continue
		}
		w.nodes = append(w.nodes, fileNode(a, url, caption))
		if w.body.Len() == 0 && len(list) == 1 && caption == "" {
			w.nodes = append(w.nodes, xmlstream.NewNode(ns.OOBMessage, "x").Add(xmlstream.NewNode(ns.OOBMessage, "url").SetText(url)),
				xmlstream.NewNode(ns.Fallback, "fallback", "for", ns.SFS).Add(xmlstream.NewNode(ns.Fallback, "body")))
			w.body.WriteString(url)
			continue
		}
		w.line(strings.TrimSpace(caption + " " + url))
	}
}

func (w *messageWriter) line(s string) {
	if w.body.Len() > 0 {
		w.body.WriteByte('\n')
	}
	w.body.WriteString(strings.TrimSpace(s))
}

func fileNode(a sdk.Attachment, url, caption string) *xmlstream.Node {
	m := a.Media
	disposition := "attachment"
	if a.Inline || a.Voice || a.Sticker {
		disposition = "inline"
	}
	n := xmlstream.NewNode(ns.SFS, "file-sharing", "disposition", disposition)
	f := xmlstream.NewNode(ns.FileMetadata, "file")
	for _, row := range []struct{ name, value string }{
		{"media-type", m.Type}, {"name", m.Name}, {"size", number(m.Size)}, {"width", number(int64(m.Width))},
		{"height", number(int64(m.Height))}, {"length", number(m.Duration.Milliseconds())}, {"desc", caption},
	} {
		if row.value != "" {
			f.AddNew(row.name).SetText(row.value)
		}
	}
	if len(m.SHA256) == 32 {
		f.Add(xmlstream.NewNode(ns.Hashes, "hash", "algo", "sha-256").SetText(base64.StdEncoding.EncodeToString(m.SHA256)))
	}
	sources := xmlstream.NewNode(ns.SFS, "sources")
	sources.Add(xmlstream.NewNode(ns.URLData, "url-data", "target", url))
	return n.Add(f, sources)
}

func number(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// marks writes what is said of the message as a whole.
func (w *messageWriter) marks(c sdk.Content, spoiler bool) {
	if w.o.Replace != "" { // XEP-0308 §3
		w.nodes = append(w.nodes, xmlstream.NewNode(ns.Correct, "replace", "id", w.o.Replace))
	}
	if c.Spoiler || spoiler {
		n := xmlstream.NewNode(ns.Spoiler, "spoiler")
		if c.SpoilerText != "" {
			n.SetText(Cut(c.SpoilerText, 200, 800))
		}
		w.nodes = append(w.nodes, n)
	}
	if w.o.Thread != "" {
		w.nodes = append(w.nodes, xmlstream.NewNode(ns.Client, "thread").SetText(w.o.Thread))
	}
}

// WriteRetraction is the payload by which the author takes a message back (XEP-0424 §3), with a text for clients that do not know how.
func WriteRetraction(id string) []*xmlstream.Node {
	return []*xmlstream.Node{
		xmlstream.NewNode(ns.Retract, "retract", "id", id),
		xmlstream.NewNode(ns.Fallback, "fallback", "for", ns.Retract),
		xmlstream.NewNode(ns.Client, "body").SetText("This person took back an earlier message, but your client does not support that."),
		xmlstream.NewNode(ns.Hints, "store"),
	}
}

// WriteReactions is the payload that makes a set of emoji somebody's reactions to a message (XEP-0444 §3).
func WriteReactions(id string, emoji []string) []*xmlstream.Node {
	n := xmlstream.NewNode(ns.Reactions, "reactions", "id", id)
	for _, e := range emoji {
		n.AddNew("reaction").SetText(e)
	}
	return []*xmlstream.Node{n, xmlstream.NewNode(ns.Hints, "store")}
}

// shiftRanges moves XEP-0394 ranges behind what was put before the text; what lies behind the end is dropped.
func shiftRanges(n *xmlstream.Node, by, total int) *xmlstream.Node {
	var keep []*xmlstream.Node
	for _, c := range n.Nodes {
		start, err1 := strconv.Atoi(c.Attr("start"))
		end, err2 := strconv.Atoi(c.Attr("end"))
		if err1 == nil && err2 == nil {
			if end+by > total {
				continue
			}
			c.SetAttr("start", strconv.Itoa(start+by))
			c.SetAttr("end", strconv.Itoa(end+by))
		}
		keep = append(keep, c)
	}
	n.Nodes = keep
	return n
}

// clip shortens text to so many bytes at a whole character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && s[len(s)-1]&0xc0 == 0x80 {
		s = s[:len(s)-1]
	}
	if len(s) > 0 && s[len(s)-1] >= 0xc0 {
		s = s[:len(s)-1]
	}
	return s
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
