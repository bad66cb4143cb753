package discordfmt

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Embed is what stands below a message: the preview of a link, or a card that a
// bot made.
type Embed struct {
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	URL         string       `json:"url"`
	Description string       `json:"description"`
	Provider    EmbedParty   `json:"provider"`
	Author      EmbedParty   `json:"author"`
	Footer      EmbedFooter  `json:"footer"`
	Image       EmbedPicture `json:"image"`
	Thumbnail   EmbedPicture `json:"thumbnail"`
	Fields      []EmbedField `json:"fields"`
}

// EmbedParty is a provider or an author.
type EmbedParty struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// EmbedFooter is the last line.
type EmbedFooter struct {
	Text string `json:"text"`
}

// EmbedPicture is a picture by address.
type EmbedPicture struct {
	URL string `json:"url"`
}

// EmbedField is a line with a name.
type EmbedField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// IsPreview reports whether Discord made the embed of a link in the text; the
// others were made by a bot, and their text is part of what it says.
func (e Embed) IsPreview() bool {
	switch e.Type {
	case "link", "article", "image", "video", "gifv":
		return true
	}
	return false
}

// Text is the embed as a quotation: author, title, text, fields, picture, footer.
func (e Embed) Text(names Names) richtext.Document {
	names.Everyone = false
	var kids []richtext.Node
	line := func(inlines ...richtext.Node) { kids = append(kids, richtext.Para(inlines...)) }
	if e.Author.Name != "" {
		line(linked(e.Author.Name, e.Author.URL))
	}
	if e.Title != "" {
		line(richtext.Bold(linked(e.Title, e.URL)))
	}
	kids = append(kids, flat(Parse(e.Description, names).Blocks)...)
	for _, f := range e.Fields {
		name, value := strings.TrimSpace(plain(f.Name)), Parse(f.Value, names)
		switch {
		case name == "":
			kids = append(kids, flat(value.Blocks)...)
		case len(value.Blocks) == 1 && value.Blocks[0].Kind == richtext.KindParagraph:
			line(append([]richtext.Node{richtext.Bold(richtext.Text(name)), richtext.Text(": ")}, value.Blocks[0].Children...)...)
		default:
			line(richtext.Bold(richtext.Text(name)))
			kids = append(kids, flat(value.Blocks)...)
		}
	}
	if e.Image.URL != "" {
		line(richtext.Link(e.Image.URL))
	}
	if e.Footer.Text != "" {
		line(richtext.Style(richtext.KindSubtext, richtext.Text(e.Footer.Text)))
	}
	if len(kids) == 0 {
		return richtext.Document{}
	}
	doc, _ := richtext.Normalize(richtext.Doc(richtext.Quote(kids...)), richtext.DefaultLimits())
	return doc
}

func linked(text, url string) richtext.Node {
	if url == "" {
		return richtext.Text(text)
	}
	return richtext.Link(url, richtext.Text(text))
}

// flat takes quotes out of what will itself be quoted.
func flat(blocks []richtext.Node) []richtext.Node {
	var out []richtext.Node
	for _, b := range blocks {
		if b.Kind == richtext.KindQuote {
			out = append(out, b.Children...)
			continue
		}
		out = append(out, b)
	}
	return out
}
