package slack

import (
	"context"
	"slices"
	"strconv"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Resolve implements sdk.Bridge.
func (c *Connector) Resolve(ctx context.Context, r sdk.ResolveRequest) (sdk.Target, error) {
	self, err := c.me()
	if err != nil {
		return sdk.Target{}, err
	}
	nothing := sdk.Refuse(sdk.CodeNotFound, "Slack has nobody and nothing called %q", cut(r.Text, 80))
	t, ok := slackid.ParseTarget(r.Text)
	if !ok {
		return sdk.Target{}, nothing
	}
	if t.Channel == "" && t.Alias != "" && t.Domain != "" && t.Domain != self.Domain && !strings.EqualFold(t.Domain, self.Team) {
		return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "this bridge reaches the workspace %s, not %s", self.Domain, t.Domain)
	}
	wants := func(k sdk.TargetKind) bool { return r.Want == sdk.TargetUnknown || r.Want == k }
	var found sdk.Target
	err = nothing
	if wants(sdk.TargetRoom) && (t.Channel != "" || t.Alias != "") {
		found, err = c.findChannel(ctx, self, t)
	}
	if isNotFound(err) && wants(sdk.TargetUser) && (t.User != "" || t.Name != "" || t.Email != "") {
		found, err = c.findUser(ctx, self, t)
	}
	if isNotFound(err) {
		return sdk.Target{}, nothing
	}
	return found, err
}

func isNotFound(err error) bool { return err != nil && sdk.AsError(err).Code == sdk.CodeNotFound }

func (c *Connector) findChannel(ctx context.Context, self *identity, t slackid.Target) (sdk.Target, error) {
	if t.Channel != "" {
		ch, err := c.channelInfo(ctx, t.Channel)
		if err != nil {
			return sdk.Target{}, err
		}
		return c.roomTarget(self, ch), nil
	}
	var found *slackgo.Channel
	err := c.eachChannel(ctx, func(ch slackgo.Channel) bool {
		if strings.EqualFold(ch.Name, t.Alias) {
			found = &ch
		}
		return found == nil
	})
	if err != nil {
		return sdk.Target{}, err
	}
	if found == nil {
		return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "no channel has this name")
	}
	return c.roomTarget(self, *found), nil
}

// eachChannel goes through public channels and the private ones that the bot is in.
func (c *Connector) eachChannel(ctx context.Context, visit func(slackgo.Channel) bool) error {
	q := slackgo.GetConversationsParameters{Types: []string{"public_channel", "private_channel"}, Limit: 500, ExcludeArchived: true}
	for range 200 {
		var page channelPage
		_, err := c.api.call(ctx, "conversations.list", &page, func(ctx context.Context, client *slackgo.Client) (err error) {
			page.Channels, page.Meta.Cursor, err = client.GetConversationsContext(ctx, &q)
			return err
		})
		if codeOf(err) == "missing_scope" && len(q.Types) > 1 {
			q.Types = q.Types[:1]
			continue
		}
		if err != nil {
			return explain("cannot list the channels", err)
		}
		for _, ch := range page.Channels {
			if !visit(ch) {
				return nil
			}
		}
		if q.Cursor = page.Meta.Cursor; q.Cursor == "" {
			return nil
		}
	}
	return nil
}

func (c *Connector) roomTarget(self *identity, ch slackgo.Channel) sdk.Target {
	out := sdk.Target{Kind: sdk.TargetRoom, Portal: self.portal(ch.ID), Name: ch.Name, Topic: plainText(ch.Topic.Value), Count: ch.NumMembers, Joined: ch.IsMember}
	if ch.Name != "" && self.Domain != "" {
		out.Alias = slackid.Alias(ch.Name, self.Domain)
	}
	if ch.NumMembers == 0 {
		out.Count = -1
	}
	return out
}

func (c *Connector) findUser(ctx context.Context, self *identity, t slackid.Target) (sdk.Target, error) {
	switch {
	case t.User != "":
		u, err := c.people.get(ctx, t.User)
		if err != nil {
			return sdk.Target{}, err
		}
		return sdk.Target{Kind: sdk.TargetUser, User: c.info(u, self)}, nil
	case t.Email != "":
		u, err := c.api.user(ctx, "users.lookupByEmail", func(ctx context.Context, client *slackgo.Client) (*slackgo.User, error) {
			return client.GetUserByEmailContext(ctx, t.Email)
		})
		if err != nil {
			return sdk.Target{}, explain("cannot look the address up", err)
		}
		return sdk.Target{Kind: sdk.TargetUser, User: c.info(u, self)}, nil
	}
	all, err := c.people.all(ctx)
	if err != nil {
		return sdk.Target{}, err
	}
	for _, same := range []func(user) string{func(u user) string { return u.Name }, func(u user) string { return u.Profile.DisplayName }, user.name} {
		for _, u := range all {
			if !u.Deleted && strings.EqualFold(same(u), t.Name) {
				return sdk.Target{Kind: sdk.TargetUser, User: c.info(u, self)}, nil
			}
		}
	}
	return sdk.Target{}, sdk.Refuse(sdk.CodeNotFound, "nobody is called that")
}

// Search implements sdk.Searcher: people first, then channels. The cursor is the number
// of those before.
func (c *Connector) Search(ctx context.Context, r sdk.SearchRequest) (sdk.SearchResult, error) {
	self, err := c.me()
	if err != nil {
		return sdk.SearchResult{}, err
	}
	from := 0
	if r.After != "" {
		if from, err = strconv.Atoi(string(r.After)); err != nil || from < 0 {
			return sdk.SearchResult{}, sdk.Refuse(sdk.CodeInvalid, "the search cannot be continued there")
		}
	}
	limit := r.Limit
	if limit <= 0 || limit > 200 {
		limit = 50
	}
	words := strings.ToLower(strings.TrimSpace(r.Text))
	fits := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(n), words) })
	}
	var all []sdk.Target
	if r.Want != sdk.TargetRoom {
		people, err := c.people.all(ctx)
		if err != nil {
			return sdk.SearchResult{}, err
		}
		for _, u := range people {
			if !u.Deleted && fits(u.Name, u.RealName, u.Profile.DisplayName, u.Profile.Email) {
				all = append(all, sdk.Target{Kind: sdk.TargetUser, User: c.info(u, self)})
			}
		}
	}
	if r.Want != sdk.TargetUser {
		err := c.eachChannel(ctx, func(ch slackgo.Channel) bool {
			if fits(ch.Name, ch.Topic.Value) {
				all = append(all, c.roomTarget(self, ch))
			}
			return len(all) < from+limit+1
		})
		if err != nil {
			return sdk.SearchResult{}, err
		}
	}
	out := sdk.SearchResult{Found: all[min(from, len(all)):min(from+limit, len(all))]}
	if from+limit < len(all) {
		out.Next = sdk.Cursor(strconv.Itoa(from + limit))
	}
	return out, nil
}
