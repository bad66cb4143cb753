package slack

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Direct messages. A bot has one direct chat with each person on Slack, but many people
// here may write to her: each conversation is a thread of that chat. Its root, written by
// the bot, says who is writing; D…:T…:<ts of the root> is the portal. A person on Slack
// begins one by writing "romeo@example.org: hello" to the bot.
//
// State: "dm/<person>/<user id>" holds the portal, "dmroot/<channel>/<ts>" the person.

// dmRoot is what is known of a conversation.
type dmRoot struct {
	Person  sdk.PersonID `json:"person"`
	Address string       `json:"address,omitempty"`
}

func dmKey(person sdk.PersonID, user string) string { return "dm/" + string(person) + "/" + user }

func dmRootKey(channel string, ts slackid.TS) string {
	return "dmroot/" + channel + "/" + string(ts)
}

// CreateDM implements sdk.DirectMessenger.
func (c *Connector) CreateDM(ctx context.Context, r sdk.CreateDMRequest) (sdk.ChatInfo, error) {
	if len(r.Users) != 1 {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeUnsupported, "a direct chat on Slack is with one person")
	}
	if r.For.Person == "" || r.Login != "" {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeInvalid, "nobody is named who writes")
	}
	id, ok := slackid.ParseUser(string(r.Users[0]))
	if !ok || !slackid.IsUser(id.ID) {
		return sdk.ChatInfo{}, sdk.Refuse(sdk.CodeNotFound, "%q is nobody's id on Slack", string(r.Users[0]))
	}
	self, err := c.me()
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	key := dmKey(r.For.Person, id.ID)
	entry, err := c.host.State().Get(ctx, key)
	if err == nil {
		return sdk.ChatInfo{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(entry.Value)}, Kind: sdk.ChatDirect, Own: sdk.RoleMember}, nil
	}
	if !errors.Is(err, sdk.ErrNotFound) {
		return sdk.ChatInfo{}, err
	}
	ch, err := c.api.channel(ctx, "conversations.open", func(ctx context.Context, client *slackgo.Client) (*slackgo.Channel, error) {
		ch, _, _, err := client.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{id.ID}})
		return ch, err
	})
	if err != nil {
		return sdk.ChatInfo{}, explain("cannot write to this person", err)
	}
	root, err := c.openThread(ctx, ch.ID, r.For)
	if err != nil {
		return sdk.ChatInfo{}, err
	}
	portal, err := c.keepThread(ctx, self, ch.ID, id.ID, root, dmRoot{r.For.Person, r.For.Address})
	return sdk.ChatInfo{Portal: portal, Kind: sdk.ChatDirect, Own: sdk.RoleMember}, err
}

// keepThread remembers whose conversation a thread is.
func (c *Connector) keepThread(ctx context.Context, self *identity, channel, user string, root slackid.TS, who dmRoot) (sdk.PortalKey, error) {
	portal := sdk.PortalKey{Room: sdk.RemoteRoomID(slackid.Channel{ID: channel, Team: self.Team, Thread: root}.String())}
	raw, err := json.Marshal(who)
	if err != nil {
		return portal, err
	}
	if _, err := c.host.State().Put(ctx, dmRootKey(channel, root), raw, sdk.AnyRevision); err != nil {
		return portal, err
	}
	_, err = c.host.State().Put(ctx, dmKey(who.Person, user), []byte(portal.Room), sdk.AnyRevision)
	return portal, err
}

// openThread writes the root of a conversation, unless an earlier attempt did.
func (c *Connector) openThread(ctx context.Context, channel string, who sdk.Sender) (slackid.TS, error) {
	op := sdk.OpID("dm-" + string(who.Person))
	known, err := c.lookFor(ctx, slackgo.GetConversationRepliesParameters{ChannelID: channel}, op, 5)
	if err != nil {
		return "", err
	}
	if ts, ok := known[""]; ok {
		return ts, nil
	}
	name := who.Name
	if who.Address != "" {
		name = strings.TrimSpace(name + " (" + who.Address + ")")
	}
	doc := richtext.Doc(richtext.Para(richtext.Bold(richtext.Text(firstText(name, "Somebody"))), richtext.Text(" writes to you from XMPP. Answer in this thread.")))
	ts, err := c.postNow(ctx, c.post(channel, doc, slackfmt.WriteOptions{}, nil, op, ""))
	return ts, explain("cannot write to this person", err)
}

// directMessage is what a person on Slack writes to the bot: into somebody's thread, or
// the beginning of one.
func (c *Connector) directMessage(ctx context.Context, self *identity, channel string, m *message, out *sdk.Message) ([]sdk.Event, error) {
	if m.ThreadTS != "" && m.ThreadTS != m.TS {
		return []sdk.Event{out}, nil
	}
	address, rest := addressee(out.Content.Body.Plain())
	if address == "" {
		return nil, c.help(ctx, channel, m.TS, "Write `name@example.org: your words` to begin a conversation with somebody on XMPP, or answer in a thread.")
	}
	who, err := c.host.LookupPerson(ctx, sdk.PersonQuery{Address: address, By: out.Actor})
	if err != nil {
		if sdk.AsError(err).Temporary {
			return nil, err
		}
		return nil, c.help(ctx, channel, m.TS, "Nobody can be reached at `"+strings.ReplaceAll(address, "`", "")+"`.")
	}
	if _, err := c.keepThread(ctx, self, channel, m.User, m.TS, dmRoot{who.Person, who.Address}); err != nil {
		return nil, err
	}
	head := out.EventHeader
	head.ID = sdk.EventID("opened:" + string(m.TS))
	opened := &sdk.PortalOpened{EventHeader: head, Info: sdk.ChatInfo{Portal: head.Portal, Kind: sdk.ChatDirect, Own: sdk.RoleMember},
		With: []sdk.Party{{User: out.Actor.User}, {Person: who.Person}}}
	out.Content.Body = richtext.FromPlain(rest)
	if rest == "" && len(out.Content.Attachments) == 0 {
		return []sdk.Event{opened}, nil
	}
	return []sdk.Event{opened, out}, nil
}

// addressee takes the address off the beginning of a text.
func addressee(text string) (address, rest string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if line, more, ok := strings.Cut(word, "\n"); ok {
		word, rest = line, more+" "+rest
	}
	word = strings.TrimPrefix(strings.TrimRight(word, ":,"), "@")
	local, domain, ok := strings.Cut(word, "@")
	if !ok || local == "" || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@/<>()") || strings.ContainsFunc(word, unicode.IsControl) {
		return "", text
	}
	return strings.ToLower(word), strings.TrimSpace(rest)
}

// help answers the person on Slack in a thread below her words. It is worth nothing if
// it fails.
func (c *Connector) help(ctx context.Context, channel string, ts slackid.TS, text string) error {
	if c.ago(ts) > lateAfter {
		return nil
	}
	if _, err := c.api.post(ctx, channel, slackgo.MsgOptionText(text, false), slackgo.MsgOptionTS(string(ts))); err != nil {
		c.log.Debug("no help was given", "error", err)
	}
	return nil
}
