package discord

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

const (
	pageSize = 100
	// editsSeen is how many messages before the cursor are looked at for edits.
	editsSeen = 50
	// historyAfter makes what is read back history: it rings no bell.
	historyAfter = 10 * time.Minute
)

// identify sets who the bot is.
func (w *world) identify(me *discordgo.User, app string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.me = *me
	if app != "" {
		w.app = app
	}
}

// self is the bot's user and application.
func (w *world) self() (user, app string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.me.ID, w.app
}

// knowSelf asks who the bot is, if that is not known yet. Without it our own webhooks and messages look like somebody else's.
func (c *Connector) knowSelf(ctx context.Context) error {
	if me, app := c.world.self(); me != "" && app != "" {
		return nil
	}
	me, err := c.api.user(ctx, "@me")
	if err != nil {
		return explain("the bot is not known", err)
	}
	app, err := get[application](ctx, c.api, "/applications/@me", "")
	if err != nil {
		return explain("the application is not known", err)
	}
	c.world.identify(me, app.ID)
	return nil
}

// loadWorld reads by requests what the gateway tells at the beginning of a session.
func (c *Connector) loadWorld(ctx context.Context) error {
	if err := c.knowSelf(ctx); err != nil {
		return err
	}
	me, _ := c.world.self()
	// Not discordgo's UserGuilds: it has no room for all 64 bits of the permissions.
	guilds, err := get[[]struct {
		ID string `json:"id"`
	}](ctx, c.api, "/users/@me/guilds", "")
	if err != nil {
		return explain("the guilds are not known", err)
	}
	for _, g := range guilds {
		if !c.world.bridged(g.ID) {
			continue
		}
		if err := c.loadGuild(ctx, g.ID, me); err != nil {
			return explain("a guild is not known", err)
		}
	}
	return nil
}

func (c *Connector) loadGuild(ctx context.Context, id, me string) error {
	route := "GET /guilds/" + id
	g, err := ask(ctx, c.api, route, func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.Guild, error) {
		return s.GuildWithCounts(id, o)
	})
	if err != nil {
		return err
	}
	g.Channels, err = ask(ctx, c.api, route+"/channels", func(s *discordgo.Session, o discordgo.RequestOption) ([]*discordgo.Channel, error) {
		return s.GuildChannels(id, o)
	})
	if err != nil {
		return err
	}
	threads, err := ask(ctx, c.api, route+"/threads/active", func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.ThreadsList, error) {
		return s.GuildThreadsActive(id, o)
	})
	if err != nil {
		return err
	}
	g.Threads = threads.Threads
	mine, err := get[discordgo.Member](ctx, c.api, "/guilds/"+id+"/members/"+me, "")
	if err != nil {
		return err
	}
	g.Members, g.MemberCount = []*discordgo.Member{&mine}, c.cfg.Members
	c.addGuild(ctx, *g)
	return nil
}

// addGuild takes a guild; its members are asked for if it did not bring them.
func (c *Connector) addGuild(ctx context.Context, g discordgo.Guild) {
	if c.world.setGuild(g, c.cfg.Members) {
		c.work.Go(func() { c.loadMembers(ctx, g.ID) })
	}
}

// loadMembers reads the list of members, page by page.
func (c *Connector) loadMembers(ctx context.Context, id string) {
	for after := "0"; ctx.Err() == nil; {
		page, err := ask(ctx, c.api, "GET /guilds/"+id+"/members", func(s *discordgo.Session, o discordgo.RequestOption) ([]*discordgo.Member, error) {
			return s.GuildMembers(id, after, 1000, o)
		})
		if err != nil {
			e := sdk.AsError(explain("members", err))
			if !e.Temporary {
				c.log.Warn("members not read", "guild", id, "error", err)
				return
			}
			c.pause(ctx, max(e.RetryAfter, 10*time.Second))
			continue
		}
		for _, m := range page {
			c.world.setMember(id, *m)
			after = m.User.ID
		}
		if len(page) < 1000 {
			c.world.complete(id)
			return
		}
	}
}

// complete notes that all members of a guild are known.
func (w *world) complete(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g := w.guilds[id]; g != nil {
		g.whole = true
	}
}

// catchUp reads every room back from its cursor, when a session is new.
func (p *pumping) catchUp(ctx context.Context) error { return p.catchUpIn(ctx, "") }

// catchUpIn reads the rooms of one guild back, when its outage is over; "": of all.
func (p *pumping) catchUpIn(ctx context.Context, guild string) error {
	for _, room := range p.c.rooms.toRead() {
		channel, ok := p.c.world.channel(room)
		if !ok || !p.c.rooms.wanted(room) || guild != "" && channel.GuildID != guild {
			continue
		}
		if err := p.readBack(ctx, room, channel); err != nil {
			return err
		}
		for _, thread := range p.c.world.threads(room) {
			if err := p.readBack(ctx, room, thread); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBack delivers what a channel or thread has after the cursor, and the edits of
// what stands just before it. Deletions leave no trace there, and stay unseen.
func (p *pumping) readBack(ctx context.Context, room string, channel discordgo.Channel) error {
	thread := ""
	if channel.ID != room {
		thread = channel.ID
	}
	from := p.c.rooms.read(room, thread)
	if from == "" {
		p.add(ctx, nil, p.c.rooms.advance(room, thread, youngestOf(&channel)))
		return nil
	}
	if err := p.readEdits(ctx, channel.ID, from); err != nil {
		return p.skipped(channel.ID, err)
	}
	after := from
	for n := 0; discordid.Compare(channel.LastMessageID, after) > 0; {
		page, err := p.c.page(ctx, channel.ID, "after="+after)
		if err != nil {
			return p.skipped(channel.ID, err)
		}
		for _, m := range page {
			m.GuildID = channel.GuildID
			events, marks := p.c.arrived(ctx, m, p.c.opt.Now().Sub(m.Timestamp) > historyAfter)
			p.add(ctx, events, marks...)
			after = m.ID
		}
		p.flushEvents(ctx)
		n += len(page)
		if len(page) < pageSize {
			break
		}
		if n >= p.c.cfg.MaxGap {
			gap := &sdk.Gap{From: discordid.Time(after), To: p.c.opt.Now(), Fillable: true}
			gap.Portal, gap.ID, gap.Time = sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, sdk.EventID("gap-"+after), gap.To
			p.add(ctx, []sdk.Event{gap}, p.c.rooms.advance(room, thread, channel.LastMessageID))
			p.flushEvents(ctx)
			break
		}
	}
	return ctx.Err()
}

// skipped lets a channel go that can no longer be read, and passes on what is temporary.
func (p *pumping) skipped(channel string, err error) error {
	if e := sdk.AsError(explain("read back", err)); !e.Temporary {
		p.c.log.Info("channel not read back", "channel", channel, "error", err)
		return nil
	}
	return err
}

func (p *pumping) readEdits(ctx context.Context, channel, from string) error {
	upTo, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		return nil
	}
	list, err := get[[]message](ctx, p.c.api, "/channels/"+channel+"/messages", "limit="+strconv.Itoa(editsSeen)+"&before="+strconv.FormatUint(upTo+1, 10))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(list) {
		if m.EditedTimestamp != nil && m.EditedTimestamp.After(discordid.Time(from)) {
			p.add(ctx, p.c.edit(ctx, m))
		}
	}
	return nil
}

// page reads up to 100 messages, oldest first.
func (c *Connector) page(ctx context.Context, channel, where string) ([]message, error) {
	var list []message
	err := c.api.do(ctx, call{Method: http.MethodGet, Path: "/channels/" + channel + "/messages", Query: "limit=" + strconv.Itoa(pageSize) + "&" + where}, &list)
	slices.Reverse(list)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	return list, err
}
