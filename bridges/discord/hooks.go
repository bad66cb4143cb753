package discord

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/bwmarrin/discordgo"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
)

// hookName is what the bridge's webhooks are called in Discord's settings.
const hookName = "Viaduct"

// hooks is the pool of the bridge's webhooks: those of a channel that belong to our
// application, or new ones. One that was deleted is looked for once more and made
// anew; nobody insists on one that is not there.
type hooks struct {
	api   *api
	world *world
	count int

	mu       sync.Mutex
	channels map[string]*hookSet
	own      map[string]string // webhook -> channel
}

// hookSet are the webhooks of a channel; its lock is held while they are looked up,
// so that two operations make one webhook.
type hookSet struct {
	mu   sync.Mutex
	list []*discordgo.Webhook
}

func newHooks(a *api, w *world, count int) *hooks {
	return &hooks{api: a, world: w, count: count, channels: map[string]*hookSet{}, own: map[string]string{}}
}

// mine reports whether a webhook is one of ours.
func (h *hooks) mine(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.own[id] != ""
}

func (h *hooks) set(channel string) *hookSet {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.channels[channel]
	if s == nil {
		s = &hookSet{}
		h.channels[channel] = s
	}
	return s
}

// changed forgets what is known of a channel: somebody changed its webhooks.
func (h *hooks) changed(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.channels, channel)
}

// of are all webhooks of a channel.
func (h *hooks) of(ctx context.Context, channel string) ([]*discordgo.Webhook, error) {
	return ask(ctx, h.api, "GET /channels/"+channel+"/webhooks", func(s *discordgo.Session, o discordgo.RequestOption) ([]*discordgo.Webhook, error) {
		return s.ChannelWebhooks(channel, o)
	})
}

// all are the webhooks of a channel, looked up or made.
func (h *hooks) all(ctx context.Context, channel string) ([]*discordgo.Webhook, error) {
	s := h.set(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) > 0 {
		return s.list, nil
	}
	found, err := h.of(ctx, channel)
	if err != nil {
		return nil, explain("the bridge's webhook cannot be used", err)
	}
	_, app := h.world.self()
	var list []*discordgo.Webhook
	for _, w := range found {
		if w.ApplicationID != "" && w.ApplicationID == app && w.Token != "" {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b *discordgo.Webhook) int { return discordid.Compare(a.ID, b.ID) })
	for len(list) < h.count {
		made, err := ask(ctx, h.api, "POST /channels/"+channel+"/webhooks", func(s *discordgo.Session, o discordgo.RequestOption) (*discordgo.Webhook, error) {
			return s.WebhookCreate(channel, hookName, "", o)
		})
		if err != nil && len(list) > 0 {
			break // fewer will do
		}
		if err != nil {
			return nil, explain("a webhook cannot be made", err)
		}
		list = append(list, made)
	}
	s.list = list
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range list {
		h.own[w.ID] = channel
	}
	return list, nil
}

// pick is the webhook that somebody speaks through in a channel, always the same:
// Discord then shows what she says one after the other as one.
func (h *hooks) pick(ctx context.Context, channel, person string) (*discordgo.Webhook, error) {
	list, err := h.all(ctx, channel)
	if err != nil {
		return nil, err
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(person))
	return list[sum.Sum32()%uint32(len(list))], nil
}

// byID is one of a channel's webhooks; ok is false if it is no longer there.
func (h *hooks) byID(ctx context.Context, channel, id string) (*discordgo.Webhook, bool, error) {
	list, err := h.all(ctx, channel)
	if err != nil {
		return nil, false, err
	}
	i := slices.IndexFunc(list, func(w *discordgo.Webhook) bool { return w.ID == id })
	if i < 0 {
		return nil, false, nil
	}
	return list[i], true, nil
}

// forget deletes our webhooks of a channel that is left for good.
func (h *hooks) forget(ctx context.Context, channel string) error {
	found, err := h.of(ctx, channel)
	if err != nil {
		return explain("the webhooks are not known", err)
	}
	_, app := h.world.self()
	for _, w := range found {
		if w.ApplicationID == "" || w.ApplicationID != app {
			continue
		}
		err := h.api.through(ctx, "DELETE /webhooks", false, func(s *discordgo.Session, o discordgo.RequestOption) error { return s.WebhookDelete(w.ID, o) })
		if err != nil && !hasCode(err, codeUnknownWebhook) {
			return explain("a webhook is not deleted", err)
		}
	}
	h.changed(channel)
	return nil
}
