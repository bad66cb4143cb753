package discord

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// part is one native message of an operation.
type part struct {
	text  string
	files []upload
}

// target is where a message goes.
type target struct {
	room   discordgo.Channel
	thread string // "" for the channel itself
}

func (t target) channel() string {
	if t.thread != "" {
		return t.thread
	}
	return t.room.ID
}

// allowed is the allowed_mentions of everything that is written, edits as well:
// nobody but those who were named. Discord would otherwise read the text.
func allowed(d richtext.Document) map[string]any {
	users := discordfmt.Mentions(d)
	if users == nil {
		users = []string{}
	}
	return map[string]any{"parse": []string{}, "users": users[:min(len(users), 100)]}
}

// check refuses what makes no sense.
func check(h *sdk.OpHeader) error {
	switch {
	case h.Login != "":
		return sdk.Refuse(sdk.CodeBadCredentials, "nobody has an account of her own here: Discord forbids it")
	case h.Sender.Person == "" && h.Sender.Address == "" && h.Sender.Occupant == "" && h.Sender.Name == "":
		return sdk.Refuse(sdk.CodeInvalid, "nobody acts")
	}
	return nil
}

// Send implements sdk.Bridge.
func (c *Connector) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	ch, err := c.operate(ctx, &op.OpHeader)
	if err != nil {
		return sdk.Delivered{}, err
	}
	to, err := c.whereTo(ctx, ch, &op.Content)
	if err != nil {
		return sdk.Delivered{}, err
	}
	parts, err := c.compose(ctx, to, op.Content)
	if err != nil {
		return sdk.Delivered{}, err
	}
	return c.sendParts(ctx, &op.OpHeader, to, parts, allowed(op.Content.Body))
}

// operate checks an operation and finds its room.
func (c *Connector) operate(ctx context.Context, h *sdk.OpHeader) (discordgo.Channel, error) {
	if err := check(h); err != nil {
		return discordgo.Channel{}, err
	}
	return c.room(ctx, h.Portal)
}

// whereTo finds the thread of a message; one that begins with it is made.
func (c *Connector) whereTo(ctx context.Context, ch discordgo.Channel, content *sdk.Content) (target, error) {
	to := target{room: ch}
	if content.ReplyTo != nil { // an answer to something in a thread stands there
		if m, ok := discordid.ParseMessage(string(refID(content.ReplyTo.Target))); ok {
			to.thread = m.Thread
		}
	}
	t := content.Thread
	if t == nil {
		return to, nil
	}
	root, ok := discordid.ParseMessage(string(refID(t.Root)))
	switch {
	case discordid.Valid(t.ID):
		to.thread = t.ID
		return to, nil
	case !ok:
		return to, nil
	case root.Thread != "":
		to.thread = root.Thread
		return to, nil
	}
	to.thread = root.ID
	if known, ok := c.world.channel(root.ID); ok && known.IsThread() {
		return to, nil
	}
	name := t.Name
	if name == "" {
		name = c.threadName(ctx, ch.ID, root.ID)
	}
	made, err := ask(ctx, c.api, "POST /channels/"+ch.ID+"/threads", func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.Channel, error) {
		return s.MessageThreadStartComplex(ch.ID, root.ID, &discordgo.ThreadStart{Name: clip(name, limitThreadName), AutoArchiveDuration: 1440}, o)
	})
	switch {
	case err == nil:
		c.world.setChannel(*made)
	case hasCode(err, codeThreadExists):
	case hasCode(err, codeMissingAccess, codeMissingRight):
		// Without the right it is an answer in the channel.
		to.thread = ""
		if content.ReplyTo == nil {
			content.ReplyTo = &sdk.Reply{Target: t.Root}
		}
	default:
		return to, explain("the thread was not made", unwrapUnsure(err))
	}
	return to, nil
}

// threadName is the beginning of the message that a thread starts from.
func (c *Connector) threadName(ctx context.Context, channel, id string) string {
	m, err := get[message](ctx, c.api, "/channels/"+channel+"/messages/"+id, "")
	if err == nil {
		if s := strings.Join(strings.Fields(discordfmt.Parse(m.Content, c.names(m)).Plain()), " "); s != "" {
			return s
		}
	}
	return "Thread"
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return strings.TrimSpace(string(r[:n-1])) + "…"
	}
	return s
}

// refID is the network's message that a reference means: the first of its parts.
func refID(r sdk.MessageRef) sdk.RemoteMessageID {
	if len(r.Parts) > 0 {
		return r.Parts[0].Remote
	}
	return r.ID
}

// compose makes the native messages of a content.
func (c *Connector) compose(ctx context.Context, to target, content sdk.Content) ([]part, error) {
	files, links, err := c.open(ctx, to, content)
	if err != nil {
		return nil, err
	}
	doc := content.Body.WithoutReplyFallback()
	for _, a := range content.Attachments {
		doc.Blocks = append(doc.Blocks, a.Caption.Blocks...)
	}
	doc.Blocks = append(doc.Blocks, links...)
	doc = normal(decorate(doc, content))
	if doc.Empty() && len(files) == 0 {
		return nil, sdk.Refuse(sdk.CodeInvalid, "there is nothing to say")
	}
	if content.ReplyTo != nil {
		doc = normal(richtext.Join(c.quotation(to, *content.ReplyTo), doc))
	}
	texts := discordfmt.Split(doc, limitContent)
	if len(texts) > limitTextParts {
		files = append([]upload{{Name: "message.txt", Type: "text/plain; charset=utf-8", Data: []byte(doc.Plain())}}, files...)
		texts = discordfmt.Split(doc, limitContent-100)[:1]
		texts[0] += "\n-# the whole text is in message.txt"
	}
	return together(texts, files), nil
}

// decorate makes an emote italic and hides what is to be hidden.
func decorate(d richtext.Document, content sdk.Content) richtext.Document {
	var kind richtext.Kind
	switch {
	case content.Spoiler:
		kind = richtext.KindSpoiler
	case content.Kind == sdk.KindEmote:
		kind = richtext.KindItalic
	default:
		return d
	}
	out := richtext.Document{}
	for i, b := range d.Blocks {
		if b.Kind == richtext.KindParagraph {
			reason := ""
			if i == 0 && kind == richtext.KindSpoiler {
				reason = content.SpoilerText
			}
			b = richtext.Para(richtext.Node{Kind: kind, Text: reason, Children: b.Children})
		}
		out.Blocks = append(out.Blocks, b)
	}
	return out
}

// quotation stands before an answer: webhooks cannot answer.
func (c *Connector) quotation(to target, r sdk.Reply) richtext.Document {
	link := r.Link
	if m, ok := discordid.ParseMessage(string(refID(r.Target))); ok {
		link = discordid.Link(to.room.GuildID, m.Channel(to.room.ID), m.ID)
	}
	author := r.Author
	if author == "" {
		author = "…"
	}
	head := []richtext.Node{richtext.Bold(richtext.Text(author))}
	if link != "" {
		head = append(head, richtext.Text(" "), richtext.Link(link, richtext.Text("↩")))
	}
	for _, line := range strings.Split(excerpt(r.Excerpt), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			head = append(head, richtext.LineBreak(), richtext.Text(line))
		}
	}
	return richtext.Doc(richtext.Quote(richtext.Para(head...)))
}

// together puts files with the last text, as many as a request may have.
func together(texts []string, files []upload) []part {
	var out []part
	for _, t := range texts {
		out = append(out, part{text: t})
	}
	size := 0
	for i, f := range files {
		last := len(out) - 1
		if last < 0 || len(out[last].files) >= limitFiles || i > 0 && size+len(f.Data) > limitRequest {
			out = append(out, part{})
			last++
			size = 0
		}
		out[last].files = append(out[last].files, f)
		size += len(f.Data)
	}
	return out
}

// partID names the parts of an operation: "", "1", "2" ...
func partID(n int) sdk.PartID {
	if n == 0 {
		return ""
	}
	return sdk.PartID(strconv.Itoa(n))
}

// unwrapUnsure is the cause of a failure whose outcome does not matter.
func unwrapUnsure(err error) error {
	var u *unsure
	if errors.As(err, &u) {
		return u.err
	}
	return err
}
