package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// doubtWait is how long Slack may still work on a request whose connection is gone.
const doubtWait = 2 * time.Second

// Send implements sdk.Bridge. A message is one message on Slack for each part of its
// text; files follow in one more, as the bot's.
func (c *Connector) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	ch, _, err := c.place(op.Portal)
	if err != nil {
		return sdk.Delivered{}, err
	}
	if op.Sender.Person == "" && op.Sender.Name == "" {
		return sdk.Delivered{}, sdk.Refuse(sdk.CodeInvalid, "nobody is named who speaks")
	}
	if err := checkLogin(&op.OpHeader); err != nil {
		return sdk.Delivered{}, err
	}
	if err := checkFiles(op.Content.Attachments); err != nil {
		return sdk.Delivered{}, err
	}
	s, err := c.plan(ctx, ch, op)
	if err != nil {
		return sdk.Delivered{}, err
	}
	return s.carryOut(ctx)
}

func checkLogin(h *sdk.OpHeader) error {
	if h.Login != "" {
		return sdk.Refuse(sdk.CodeInvalid, "the Slack bridge has no accounts of people")
	}
	return nil
}

// sending is a message on its way.
type sending struct {
	c         *Connector
	op        *sdk.SendMessage
	ch        slackid.Channel
	thread    slackid.TS
	broadcast bool
	docs      []richtext.Document
	files     []upload
	done      []sdk.Part
	known     map[sdk.PartID]slackid.TS // what an earlier attempt sent
}

// plan says what will be sent where.
func (c *Connector) plan(ctx context.Context, ch slackid.Channel, op *sdk.SendMessage) (*sending, error) {
	s := &sending{c: c, op: op, ch: ch, thread: ch.Thread}
	doc := c.body(op.Content)
	if s.thread == "" {
		s.thread, s.broadcast = threadOf(op.Content.Thread), op.Content.Thread != nil && op.Content.Thread.Broadcast
	}
	if r := op.Content.ReplyTo; r != nil && s.thread == "" {
		doc = s.reply(r, doc)
	}
	for _, a := range op.Content.Attachments {
		s.files = append(s.files, upload{media: a.Media})
		if !a.Caption.Empty() {
			doc = richtext.Join(doc, a.Caption)
		}
	}
	if doc.Empty() {
		if len(s.files) == 0 {
			return nil, sdk.Refuse(sdk.CodeInvalid, "there is nothing to say")
		}
		doc = richtext.Doc(richtext.Para(richtext.Italic(richtext.Text(fileLine(s.files)))))
	}
	if s.docs = slackfmt.Split(doc); len(s.docs) > maxParts {
		s.files = append([]upload{{media: sdk.Media{Name: "message.txt", Type: "text/plain"}, text: []byte(doc.Plain())}}, s.files...)
		s.docs = []richtext.Document{richtext.FromPlain(cut(s.docs[0].Plain(), 500) + " … (the whole text is in message.txt)")}
	}
	if !op.Doubt {
		return s, nil
	}
	var err error
	if err = c.afterCut(ctx); err == nil {
		s.known, err = s.lookBack(ctx)
	}
	return s, err
}

// afterCut waits until what was under way when a connection or the process before this
// one ended is surely done, or surely not: only then does looking tell.
func (c *Connector) afterCut(ctx context.Context) error {
	c.api.mu.Lock()
	wait := c.api.cut.Add(doubtWait).Sub(c.opt.Now())
	c.api.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return c.api.sleep(ctx, min(wait, doubtWait))
}

// body is what a message says in Slack's terms.
func (c *Connector) body(content sdk.Content) richtext.Document {
	doc := content.Body.WithoutReplyFallback()
	if content.Kind == sdk.KindEmote {
		for i, b := range doc.Blocks {
			if b.Kind == richtext.KindParagraph {
				doc.Blocks[i] = richtext.Para(richtext.Italic(b.Children...))
			}
		}
	}
	if content.Spoiler && len(doc.Blocks) > 0 {
		label := "(spoiler)"
		if content.SpoilerText != "" {
			label = "(spoiler: " + content.SpoilerText + ")"
		}
		doc = richtext.Join(richtext.Doc(richtext.Para(richtext.Text(label))), doc)
	}
	return doc
}

// threadOf is the ts of a thread's root; a thread that Slack does not know is none.
func threadOf(t *sdk.Thread) slackid.TS {
	if t == nil {
		return ""
	}
	for _, ts := range []slackid.TS{slackid.TS(t.Root.ID), slackid.TS(t.ID)} {
		if ts.Valid() {
			return ts
		}
	}
	return ""
}

// reply makes a message an answer: within the thread that the other one is in, else as
// the configuration says.
func (s *sending) reply(r *sdk.Reply, doc richtext.Document) richtext.Document {
	target := slackid.TS(r.Target.ID)
	if target.Valid() {
		if root, ok := s.c.memory.roots.get(place{s.ch.ID, target}); ok {
			s.thread = root
			return doc
		}
		if s.c.conf.Replies == "thread" {
			s.thread = target
			return doc
		}
	}
	return richtext.Join(s.c.quote(s.ch.ID, target, r), doc)
}

// quote is the quotation that stands in for a reply.
func (c *Connector) quote(channel string, target slackid.TS, r *sdk.Reply) richtext.Document {
	var line []richtext.Node
	label := firstText(r.Author, "a message")
	link := r.Link
	if self := c.self.Load(); self != nil && target.Valid() {
		link = slackid.Permalink(self.URL, channel, target, "")
	}
	if link != "" {
		line = append(line, richtext.Bold(richtext.Link(link, richtext.Text(label))))
	} else if r.Author != "" {
		line = append(line, richtext.Bold(richtext.Text(label)))
	}
	excerpt := strings.Join(strings.Fields(cut(r.Excerpt, 200)), " ")
	if excerpt != "" && len(line) > 0 {
		excerpt = ": " + excerpt
	}
	if excerpt != "" {
		line = append(line, richtext.Text(excerpt))
	}
	if len(line) == 0 {
		return richtext.Document{}
	}
	return richtext.Doc(richtext.Quote(richtext.Para(line...)))
}

// lookBack finds what an earlier attempt has sent, by our metadata.
func (s *sending) lookBack(ctx context.Context) (map[sdk.PartID]slackid.TS, error) {
	q := slackgo.GetConversationRepliesParameters{ChannelID: s.ch.ID, Timestamp: string(s.thread)}
	if !s.op.Time.IsZero() {
		q.Oldest = string(tsOf(s.op.Time.Add(-lateAfter)))
	}
	return s.c.lookFor(ctx, q, s.op.ID, 20)
}

// lookFor reads messages until it has gone through so many pages.
func (c *Connector) lookFor(ctx context.Context, q slackgo.GetConversationRepliesParameters, op sdk.OpID, pages int) (map[sdk.PartID]slackid.TS, error) {
	found := map[sdk.PartID]slackid.TS{}
	q.Limit = historyPage
	for range pages {
		page, err := c.api.messages(ctx, q)
		if codeOf(err) == "thread_not_found" {
			return found, nil
		}
		if err != nil {
			return nil, explain("cannot see whether it was sent", err)
		}
		for _, m := range page.Messages {
			if o := m.written(); o.op == op && op != "" && m.TS.Valid() {
				found[o.part] = m.TS
			}
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			break
		}
	}
	return found, nil
}

// partID names the parts of a text: "", "1", "2".
func partID(i int) sdk.PartID {
	if i == 0 {
		return ""
	}
	return sdk.PartID(strconv.Itoa(i))
}

func (s *sending) carryOut(ctx context.Context) (sdk.Delivered, error) {
	// The files first: a message whose file cannot be had is not said either.
	if len(s.files) > 0 && !s.hasPrior(filesPart) {
		if err := s.c.uploadAll(ctx, s); err != nil {
			return sdk.Delivered{}, err
		}
	}
	for i, doc := range s.docs {
		id := partID(i)
		if s.prior(id) {
			continue
		}
		ts, ok := s.known[id]
		if !ok {
			if err := s.progress(ctx); err != nil {
				return sdk.Delivered{}, err
			}
			var err error
			if ts, err = s.say(ctx, doc, id); err != nil {
				return sdk.Delivered{}, err
			}
		}
		s.took(id, ts)
	}
	if len(s.files) > 0 && !s.prior(filesPart) {
		if err := s.progress(ctx); err != nil {
			return sdk.Delivered{}, err
		}
		part, err := s.c.share(ctx, s)
		if err != nil {
			return sdk.Delivered{}, err
		}
		s.done = append(s.done, part)
	}
	return sdk.Delivered{Parts: s.done}, nil
}

func (s *sending) took(id sdk.PartID, ts slackid.TS) {
	s.c.memory.sent.put(place{s.ch.ID, ts}, origin{s.op.ID, id})
	s.done = append(s.done, sdk.Part{ID: id, Remote: sdk.RemoteMessageID(ts), Time: timeOf(ts)})
}

func (s *sending) hasPrior(id sdk.PartID) bool {
	return slices.ContainsFunc(s.op.Prior, func(p sdk.Part) bool { return p.ID == id && p.Remote != "" })
}

// prior takes a part over that an earlier attempt reported.
func (s *sending) prior(id sdk.PartID) bool {
	for _, p := range s.op.Prior {
		if p.ID == id && p.Remote != "" {
			s.done = append(s.done, p)
			return true
		}
	}
	return false
}

// progress tells the host what is done, before each part but the first. It does not
// wait: in front of it may be the echo of that part, which the host holds until this very
// operation is resolved. What is lost of it, the metadata tell.
func (s *sending) progress(ctx context.Context) error {
	if len(s.done) == 0 || len(s.done) == len(s.op.Prior) {
		return nil
	}
	ev := &sdk.Progress{EventHeader: sdk.EventHeader{Portal: s.op.Portal, ID: sdk.EventID("progress:" + string(s.op.ID)), Version: strconv.Itoa(len(s.done))},
		Op: s.op.ID, Parts: slices.Clone(s.done)}
	ctx, cancel := context.WithTimeout(ctx, doubtWait)
	defer cancel()
	if _, err := s.c.host.DeliverAsync(ctx, sdk.Batch{Events: []sdk.Event{ev}}); errors.Is(err, sdk.ErrSessionLost) {
		return err
	}
	return nil
}

func (s *sending) say(ctx context.Context, doc richtext.Document, id sdk.PartID) (slackid.TS, error) {
	p := s.c.post(s.ch.ID, doc, s.c.writing(&s.op.OpHeader), &s.op.Sender, s.op.ID, id)
	p.thread, p.broadcast = s.thread, s.thread != "" && s.broadcast
	ts, err := s.c.postNow(ctx, p)
	if code := codeOf(err); code == "thread_not_found" || code == "cannot_reply_to_message" {
		p.thread, p.broadcast = "", false
		ts, err = s.c.postNow(ctx, p)
	}
	if err == nil && s.thread != "" {
		s.c.memory.roots.put(place{s.ch.ID, ts}, s.thread)
	}
	return ts, explain("cannot post the message", err)
}

// writing says who may be called by a message.
func (c *Connector) writing(h *sdk.OpHeader) slackfmt.WriteOptions {
	return slackfmt.WriteOptions{
		User: func(m richtext.Mention) string {
			if u, ok := slackid.ParseUser(m.ID); ok && slackid.IsUser(u.ID) {
				return u.ID
			}
			return ""
		},
		Channel: func(m richtext.Mention) string {
			if ch, ok := slackid.ParseChannel(m.ID); ok && !slackid.IsDirect(ch.ID) {
				return ch.ID
			}
			return ""
		},
		Broadcast: h.Sender.Role >= sdk.RoleModerator,
	}
}

// posting is a message as it is posted.
type posting struct {
	channel   string
	text      string
	blocks    []slackgo.Block // nil: none are spoken of
	name      string
	face      string
	thread    slackid.TS
	broadcast bool
	metadata  slackgo.SlackMetadata
}

// post makes a message; without a sender it is the bot's own.
func (c *Connector) post(channel string, doc richtext.Document, o slackfmt.WriteOptions, sender *sdk.Sender, op sdk.OpID, part sdk.PartID) *posting {
	p := &posting{channel: channel, metadata: metadata(op, part)}
	if sender != nil {
		p.sign(c, *sender, &doc)
	}
	p.write(doc, o)
	return p
}

// options are the posting for the library. Nothing in a text becomes a mention.
func (p *posting) options() []slackgo.MsgOption {
	out := []slackgo.MsgOption{slackgo.MsgOptionText(p.text, false), slackgo.MsgOptionLinkNames(false), slackgo.MsgOptionParse(false)}
	if p.blocks != nil {
		out = append(out, slackgo.MsgOptionBlocks(p.blocks...))
	}
	if p.name != "" {
		out = append(out, slackgo.MsgOptionUsername(p.name))
	}
	if p.face != "" {
		out = append(out, slackgo.MsgOptionIconURL(p.face))
	}
	if p.thread != "" {
		out = append(out, slackgo.MsgOptionTS(string(p.thread)))
	}
	if p.broadcast {
		out = append(out, slackgo.MsgOptionBroadcast())
	}
	if p.metadata.EventType != "" {
		out = append(out, slackgo.MsgOptionMetadata(p.metadata))
	}
	return out
}

// write sets the text and the blocks.
func (p *posting) write(doc richtext.Document, o slackfmt.WriteOptions) {
	p.text, p.blocks = slackfmt.Mrkdwn(doc, o), nil
	raw, err := json.Marshal(slackfmt.Blocks(doc, o))
	var blocks slackgo.Blocks
	if err == nil && json.Unmarshal(raw, &blocks) == nil && len(blocks.BlockSet) > 0 {
		p.blocks = blocks.BlockSet
	}
}

// sign sets name and face, or puts the name into the text if the app may not.
func (p *posting) sign(c *Connector, s sdk.Sender, doc *richtext.Document) {
	name := shownName(s)
	if c.plain.Load() {
		*doc = richtext.Join(richtext.Doc(richtext.Para(richtext.Bold(richtext.Text(name+":")))), *doc)
		return
	}
	p.name = name
	if s.Avatar != nil && strings.HasPrefix(s.Avatar.URL, "https://") {
		p.face = s.Avatar.URL
	}
}

// shownName is a sender's name as Slack takes it: something that can be seen, not too
// long.
func shownName(s sdk.Sender) string {
	for _, name := range []string{s.Name, s.Address, s.Occupant, string(s.Person)} {
		name = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				return -1
			}
			return r
		}, name)
		name = cut(strings.Join(strings.Fields(name), " "), maxName)
		if strings.ContainsFunc(name, unicode.IsGraphic) && strings.Trim(name, "\u200b\u200c\u200d\u2060\ufeff\u00ad ") != "" {
			return name
		}
	}
	return "somebody"
}

// postNow posts. Blocks that Slack does not take are left out; the text says the same.
func (c *Connector) postNow(ctx context.Context, p *posting) (slackid.TS, error) {
	ts, err := c.api.post(ctx, p.channel, p.options()...)
	switch codeOf(err) {
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long":
		p.blocks = nil
		ts, err = c.api.post(ctx, p.channel, p.options()...)
	case "missing_scope":
		if p.name == "" {
			break
		}
		c.plain.Store(true)
		c.log.Warn("the app lacks chat:write.customize: names stand in the text")
		p.text = "*" + slackfmt.Escape(p.name) + ":* " + p.text
		p.name, p.face, p.blocks = "", "", nil
		ts, err = c.api.post(ctx, p.channel, p.options()...)
	}
	return ts, err
}

// post posts a message; that is limited by channel.
func (a *webAPI) post(ctx context.Context, channel string, options ...slackgo.MsgOption) (slackid.TS, error) {
	const method = "chat.postMessage"
	var out struct {
		TS slackid.TS `json:"ts"`
	}
	_, err := a.callLimited(ctx, method, method+" "+channel, &out, func(ctx context.Context, client *slackgo.Client) error {
		_, ts, err := client.PostMessageContext(ctx, channel, options...)
		out.TS = slackid.TS(ts)
		return err
	})
	if err == nil && !out.TS.Valid() {
		err = fmt.Errorf("%s: %w", method, statusError(http.StatusBadGateway))
	}
	return out.TS, err
}
