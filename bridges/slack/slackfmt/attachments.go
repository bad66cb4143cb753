package slackfmt

import (
	"encoding/json"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// attachment is a secondary attachment, as apps write them and forwarded messages
// come. What Slack itself unfurled below a link is left out.
type attachment struct {
	Fallback   string          `json:"fallback"`
	Pretext    string          `json:"pretext"`
	AuthorName string          `json:"author_name"`
	AuthorLink string          `json:"author_link"`
	Title      string          `json:"title"`
	TitleLink  string          `json:"title_link"`
	Text       string          `json:"text"`
	Fields     []field         `json:"fields"`
	Footer     string          `json:"footer"`
	ImageURL   string          `json:"image_url"`
	FromURL    string          `json:"from_url"`
	Original   string          `json:"original_url"`
	IsShare    bool            `json:"is_share"`
	AppUnfurl  bool            `json:"is_app_unfurl"`
	Blocks     json.RawMessage `json:"blocks"`
	Message    []struct {
		Message struct {
			Blocks json.RawMessage `json:"blocks"`
		} `json:"message"`
	} `json:"message_blocks"`
}

type field struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

// maxAttachments is how many Slack shows.
const maxAttachments = 100

func (r reader) attachments(raw json.RawMessage) []richtext.Node {
	var list []json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []richtext.Node
	for _, one := range list[:min(len(list), maxAttachments)] {
		var a attachment
		if json.Unmarshal(one, &a) != nil || !a.IsShare && (a.AppUnfurl || a.FromURL != "" || a.Original != "") {
			continue
		}
		out = append(out, r.attachment(a)...)
	}
	return out
}

func (r reader) attachment(a attachment) []richtext.Node {
	var out []richtext.Node
	if a.Pretext != "" {
		out = r.mrkdwn(a.Pretext).Blocks
	}
	body := r.attachmentHead(a)
	inner := r.blocks(decodeBlocks(a.Blocks))
	for _, m := range a.Message {
		inner = append(inner, r.blocks(decodeBlocks(m.Message.Blocks))...)
	}
	if len(inner) == 0 && a.Text != "" {
		inner = r.mrkdwn(a.Text).Blocks
	}
	body = append(body, inner...)
	for _, f := range a.Fields {
		if f.Title != "" {
			body = append(body, richtext.Para(richtext.Bold(richtext.Text(Unescape(f.Title)))))
		}
		body = append(body, r.mrkdwn(f.Value).Blocks...)
	}
	if a.ImageURL != "" {
		body = append(body, richtext.Para(richtext.Link(Unescape(a.ImageURL))))
	}
	if a.Footer != "" {
		body = append(body, richtext.Para(richtext.Style(richtext.KindSubtext, flat(r.mrkdwn(a.Footer).Blocks)...)))
	}
	if len(body) == 0 && len(out) == 0 && a.Fallback != "" {
		body = r.mrkdwn(a.Fallback).Blocks
	}
	if len(body) > 0 {
		out = append(out, richtext.Quote(body...))
	}
	return out
}

// attachmentHead is the line of the author and that of the title.
func (r reader) attachmentHead(a attachment) []richtext.Node {
	var out []richtext.Node
	line := func(text, link string) {
		if text == "" {
			return
		}
		n := richtext.Text(Unescape(text))
		if link != "" {
			n = richtext.Link(Unescape(link), n)
		}
		out = append(out, richtext.Para(richtext.Bold(n)))
	}
	line(a.AuthorName, a.AuthorLink)
	line(a.Title, a.TitleLink)
	return out
}
