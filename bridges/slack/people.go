package slack

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// peopleBook knows the people of the workspace: asked for one by one, or all at once
// where many are wanted. Events keep it true; after an hour somebody is asked for again.
type peopleBook struct {
	c *Connector

	mu     sync.Mutex
	known  map[string]person
	full   time.Time // when all were read
	asking map[string]*asking
	groups map[string]string
	emoji  map[string]string
	read   time.Time // when groups and emoji were read
}

type person struct {
	user user
	at   time.Time
}

// asking is a question under way; others wait for its answer.
type asking struct {
	done chan struct{}
	user user
	err  error
}

// maxPeople bounds the book, fresh is how long an entry is believed.
const (
	maxPeople = 50_000
	fresh     = time.Hour
)

func newPeopleBook(c *Connector) *peopleBook {
	return &peopleBook{c: c, known: map[string]person{}, asking: map[string]*asking{}}
}

// get gives a person, or the bot of an app, by the id without team.
func (p *peopleBook) get(ctx context.Context, id string) (user, error) {
	p.mu.Lock()
	if known, ok := p.known[id]; ok && p.c.opt.Now().Sub(known.at) < fresh {
		p.mu.Unlock()
		return known.user, nil
	}
	a := p.asking[id]
	if a != nil {
		p.mu.Unlock()
		select {
		case <-a.done:
			return a.user, a.err
		case <-ctx.Done():
			return user{}, ctx.Err()
		}
	}
	a = &asking{done: make(chan struct{})}
	p.asking[id] = a
	p.mu.Unlock()
	a.user, a.err = p.ask(ctx, id)
	p.mu.Lock()
	delete(p.asking, id)
	p.mu.Unlock()
	if a.err == nil {
		p.put(a.user)
	}
	close(a.done)
	return a.user, a.err
}

// look asks Slack, and gives what is remembered where Slack does not answer.
func (p *peopleBook) look(ctx context.Context, id string) (user, error) {
	u, err := p.ask(ctx, id)
	if err == nil {
		p.put(u)
		return u, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.known[id]; ok && sdk.AsError(err).Temporary {
		return known.user, nil
	}
	return user{}, err
}

func (p *peopleBook) ask(ctx context.Context, id string) (user, error) {
	if slackid.IsBot(id) {
		return p.askBot(ctx, id)
	}
	if !slackid.IsUser(id) {
		return user{}, sdk.Refuse(sdk.CodeNotFound, "%q is nobody's id on Slack", id)
	}
	u, err := p.c.api.user(ctx, "users.info", func(ctx context.Context, client *slackgo.Client) (*slackgo.User, error) {
		return client.GetUserInfoContext(ctx, id, slackgo.GetUserInfoOptionIncludeLocale(false))
	})
	if err != nil {
		return user{}, explain("cannot look the person up", err)
	}
	if u.ID != id {
		return user{}, sdk.Refuse(sdk.CodeNotFound, "Slack does not know %s", id)
	}
	return u, nil
}

// user asks for one person.
func (a *webAPI) user(ctx context.Context, method string, do func(context.Context, *slackgo.Client) (*slackgo.User, error)) (user, error) {
	var out struct {
		User user `json:"user"`
	}
	_, err := a.call(ctx, method, &out, func(ctx context.Context, client *slackgo.Client) error {
		u, err := do(ctx, client)
		if err == nil {
			out.User.User = *u
		}
		return err
	})
	return out.User, err
}

// askBot looks up the bot of another app; it is shown like a user without a status.
func (p *peopleBook) askBot(ctx context.Context, id string) (user, error) {
	var out struct {
		Bot slackgo.Bot `json:"bot"`
	}
	_, err := p.c.api.call(ctx, "bots.info", &out, func(ctx context.Context, client *slackgo.Client) error {
		b, err := client.GetBotInfoContext(ctx, slackgo.GetBotInfoParameters{Bot: id})
		if err == nil {
			out.Bot = *b
		}
		return err
	})
	if err != nil {
		return user{}, explain("cannot look the bot up", err)
	}
	return user{slackgo.User{ID: id, Name: out.Bot.Name, RealName: out.Bot.Name, Deleted: out.Bot.Deleted, IsBot: true, Profile: slackgo.UserProfile{Image72: out.Bot.Icons.Image72}}}, nil
}

func (p *peopleBook) put(u user) {
	if u.ID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxPeople {
		clear(p.known)
		p.full = time.Time{}
	}
	p.known[u.ID] = person{u, p.c.opt.Now()}
}

// missing counts those of a list that would have to be asked for.
func (p *peopleBook) missing(ids []string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, id := range ids {
		if k, ok := p.known[id]; !ok || p.c.opt.Now().Sub(k.at) >= fresh {
			n++
		}
	}
	return n
}

// all reads everybody, in pages, once in an hour.
func (p *peopleBook) all(ctx context.Context) ([]user, error) {
	p.mu.Lock()
	stale := p.c.opt.Now().Sub(p.full) >= fresh
	p.mu.Unlock()
	if stale {
		page := p.c.api.client.GetUsersPaginated(slackgo.GetUsersOptionLimit(500))
		for range 100 {
			var out struct {
				Members []user                   `json:"members"`
				Meta    slackgo.ResponseMetadata `json:"response_metadata"`
			}
			got, err := p.c.api.call(ctx, "users.list", nil, func(ctx context.Context, _ *slackgo.Client) error {
				_, err := page.Next(ctx)
				return err
			})
			if err != nil {
				return nil, explain("cannot list the people", err)
			}
			got.read(&out) // one odd person does not take the page with her
			for _, u := range out.Members {
				p.put(u)
			}
			if page.Cursor = out.Meta.Cursor; page.Cursor == "" {
				break
			}
		}
		p.mu.Lock()
		p.full = p.c.opt.Now()
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]user, 0, len(p.known))
	for _, k := range p.known {
		if slackid.IsUser(k.user.ID) {
			out = append(out, k.user)
		}
	}
	slices.SortFunc(out, func(a, b user) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out, nil
}

// key is the remote id of a user: her home team stands in it, so it is asked for. A
// user that Slack does not show us is taken for one of our own team.
func (c *Connector) key(ctx context.Context, id string) (sdk.RemoteUserID, error) {
	self, err := c.me()
	if err != nil {
		return "", err
	}
	u, err := c.people.get(ctx, id)
	switch {
	case err != nil && sdk.AsError(err).Temporary:
		return "", err
	case err != nil || !slackid.IsTeam(u.TeamID):
		u.TeamID = self.Team
	}
	return sdk.RemoteUserID(slackid.User{ID: id, Team: u.TeamID}.String()), nil
}

// name is what a user is called.
func (u user) name() string {
	for _, s := range []string{u.Profile.DisplayName, u.Profile.RealName, u.RealName, u.Name, u.ID} {
		if s != "" {
			return s
		}
	}
	return ""
}

// info describes a user for the host.
func (c *Connector) info(u user, self *identity) sdk.UserInfo {
	team := u.TeamID
	if !slackid.IsTeam(team) {
		team = self.Team
	}
	out := sdk.UserInfo{
		ID: sdk.RemoteUserID(slackid.User{ID: u.ID, Team: team}.String()), Name: u.name(), Username: u.Name, Bot: u.IsBot || u.ID == "USLACKBOT", Deleted: u.Deleted,
		Email: u.Profile.Email, Title: u.Profile.Title, TimeZone: u.TZ, Avatar: c.face(u), NoAddress: u.IsBot || u.ID == "USLACKBOT",
	}
	if u.Updated > 0 {
		out.Version = strconv.FormatInt(int64(u.Updated), 10)
	}
	if slackid.IsUser(u.ID) && self.URL != "" {
		out.Link = self.URL + "team/" + u.ID
	}
	return out
}

// UserInfo implements sdk.Bridge.
func (c *Connector) UserInfo(ctx context.Context, r sdk.UserInfoRequest) (sdk.UserInfo, error) {
	id, ok := slackid.ParseUser(string(r.User))
	if !ok {
		return sdk.UserInfo{}, sdk.Refuse(sdk.CodeNotFound, "%q is nobody's id on Slack", string(r.User))
	}
	self, err := c.me()
	if err != nil {
		return sdk.UserInfo{}, err
	}
	u, err := c.people.look(ctx, id.ID)
	if err != nil {
		return sdk.UserInfo{}, err
	}
	out := c.info(u, self)
	out.ID = r.User
	out.Presence = c.statusOf(u, out.ID)
	return out, nil
}

// groupName is the handle of a user group, "" if it is not known.
func (p *peopleBook) groupName(ctx context.Context, id string) string {
	p.lists(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groups[id]
}

// emojiURL is where the picture of a custom emoji is.
func (p *peopleBook) emojiURL(ctx context.Context, name string) string {
	p.lists(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 5 { // alias:other
		address, ok := p.emoji[name]
		alias, isAlias := strings.CutPrefix(address, "alias:")
		if !ok || !isAlias {
			return address
		}
		name = alias
	}
	return ""
}

// forgetLists lets the lists of groups and emoji be read again.
func (p *peopleBook) forgetLists() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = time.Time{}
}

// lists reads groups and emoji, once in an hour. What cannot be read is not there.
func (p *peopleBook) lists(ctx context.Context) {
	p.mu.Lock()
	stale := p.c.opt.Now().Sub(p.read) >= fresh
	if stale {
		p.read = p.c.opt.Now()
	}
	p.mu.Unlock()
	if !stale {
		return
	}
	var groups struct {
		List []slackgo.UserGroup `json:"usergroups"`
	}
	var emoji struct {
		Emoji map[string]string `json:"emoji"`
	}
	_, err1 := p.c.api.call(ctx, "usergroups.list", &groups, func(ctx context.Context, client *slackgo.Client) (err error) {
		groups.List, err = client.GetUserGroupsContext(ctx)
		return err
	})
	_, err2 := p.c.api.call(ctx, "emoji.list", &emoji, func(ctx context.Context, client *slackgo.Client) (err error) {
		emoji.Emoji, err = client.GetEmojiContext(ctx)
		return err
	})
	if err := errors.Join(err1, err2); err != nil {
		p.c.log.Debug("groups or custom emoji are not known", "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups = map[string]string{}
	for _, g := range groups.List {
		p.groups[g.ID] = g.Handle
	}
	p.emoji = emoji.Emoji
}
