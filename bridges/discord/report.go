package discord

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Flags of an application ("Application Resource"): an intent is granted, or
// switched on for a bot in few servers.
const (
	flagPresence = 1<<12 | 1<<13
	flagMembers  = 1<<14 | 1<<15
	flagContent  = 1<<18 | 1<<19
)

// Test implements sdk.Bridge: each missing intent and permission, with what is lost.
func (c *Connector) Test(ctx context.Context) (sdk.Report, error) {
	c.mu.Lock()
	a, host, conf := c.api, c.host, c.conf
	c.mu.Unlock()
	if a == nil {
		return sdk.Report{Checks: []sdk.Check{{Name: "configuration", Status: sdk.CheckFailed, Found: "none", Fix: "configure the bridge"}}}, nil
	}
	var r sdk.Report
	add := func(name string, status sdk.CheckStatus, found, fix string) {
		r.Checks = append(r.Checks, sdk.Check{Name: name, Status: status, Found: found, Fix: fix})
	}
	me, err := a.user(ctx, "@me")
	if err != nil {
		fix := "look whether this machine reaches discord.com, and at discordstatus.com; then try again"
		if sdk.AsError(explain("", err)).Code == sdk.CodeBadCredentials {
			fix = "make a new token on the page Bot of https://discord.com/developers/applications and put it into the configuration"
		}
		add("token", sdk.CheckFailed, explain("Discord", err).Error(), fix)
		return r, nil
	}
	add("token", sdk.CheckOK, "the bot is "+me.Username, "")
	if err := c.testIntents(ctx, a, add); err != nil {
		add("intents", sdk.CheckWarning, err.Error(), "try again later")
	}
	public := conf.PublicURL
	if host != nil {
		public = host.PublicURL()
		c.testGateway(add)
		c.testGuilds(add)
	}
	if strings.HasPrefix(public, "https://") {
		add("public_url", sdk.CheckOK, public, "")
	} else {
		add("public_url", sdk.CheckWarning, "no public https address: XMPP people have no faces on Discord", "set public_url to an https address that Discord reaches")
	}
	if n := a.limits.invalidRequests(); n > 100 {
		add("invalid requests", sdk.CheckWarning, fmt.Sprintf("%d in ten minutes; at 10,000 Discord shuts this address out", n), "give the bot the permissions that are missing below")
	}
	return r, nil
}

func (c *Connector) testIntents(ctx context.Context, a *api, add func(string, sdk.CheckStatus, string, string)) error {
	app, err := get[application](ctx, a, "/applications/@me", "")
	if err != nil {
		return err
	}
	page := "https://discord.com/developers/applications/" + app.ID + "/bot"
	for _, i := range []struct {
		bits int
		name string
		lost string
		need bool
	}{
		{flagContent, "Message Content Intent", "every message of Discord's people is empty, and Discord refuses the connection (4014)", true},
		{flagMembers, "Server Members Intent", "there are no lists of members, joins and names, and Discord refuses the connection (4014)", true},
		{flagPresence, "Presence Intent", "there is no presence, and Discord refuses the connection (4014) unless presence: false is set", c.cfg.Presence},
	} {
		switch {
		case app.Flags&i.bits != 0:
			add(i.name, sdk.CheckOK, "switched on", "")
		case i.need:
			add(i.name, sdk.CheckFailed, "switched off: "+i.lost, "switch it on at "+page)
		default:
			add(i.name, sdk.CheckWarning, "switched off: there is no presence", "switch it on at "+page+" and set presence: true")
		}
	}
	return nil
}

func (c *Connector) testGateway(add func(string, sdk.CheckStatus, string, string)) {
	c.status.mu.Lock()
	last := c.status.last
	c.status.mu.Unlock()
	if c.gw.connected.Load() {
		add("gateway", sdk.CheckOK, "connected", "")
		return
	}
	text := last.Text
	if text == "" {
		text = "not connected yet"
	}
	add("gateway", sdk.CheckWarning, text, "wait a moment; the log says what is wrong")
}

// testGuilds looks at the permissions, in the rooms there are or else in the server.
func (c *Connector) testGuilds(add func(string, sdk.CheckStatus, string, string)) {
	ids := c.world.guildIDs()
	if len(ids) == 0 {
		_, app := c.world.self()
		add("servers", sdk.CheckWarning, "the bot is in no server that is bridged", "invite it: "+inviteURL(app))
		return
	}
	me, _ := c.world.self()
	for _, id := range ids {
		guild, _, _ := c.world.guildOf(id)
		missing := map[string][]string{}
		rooms := 0
		for _, ch := range c.world.all(id) {
			if !c.rooms.knows(ch.ID) && len(c.rooms.knownRooms()) > 0 {
				continue
			}
			rooms++
			rights := c.world.rightsIn(me, ch.ID)
			for _, want := range wantedRights() {
				if rights&want.bit == 0 {
					missing[want.name] = append(missing[want.name], "#"+ch.Name)
				}
			}
		}
		add("server "+guild, sdk.CheckOK, fmt.Sprintf("%d channels looked at", rooms), "")
		for _, want := range wantedRights() {
			where := missing[want.name]
			if len(where) == 0 {
				continue
			}
			slices.Sort(where)
			found := "missing in " + strings.Join(where[:min(len(where), 5)], ", ") + ": " + want.lost
			status := sdk.CheckWarning
			if want.need && c.rooms.anyKnown() {
				status = sdk.CheckFailed
			}
			add("permission "+want.name, status, found, "give the bot's role the permission "+want.name+" in "+guild+", or there")
		}
	}
}

// all are the channels of a guild that could be rooms, whether the bot sees them or not.
func (w *world) all(guildID string) []discordgo.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []discordgo.Channel
	for _, c := range w.channels {
		if c.GuildID == guildID && isRoom(c) {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b discordgo.Channel) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (b *roomBook) knows(room string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[room]
}

func (b *roomBook) knownRooms() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for r := range b.known {
		out = append(out, r)
	}
	return out
}

func (b *roomBook) anyKnown() bool { return len(b.knownRooms()) > 0 }
