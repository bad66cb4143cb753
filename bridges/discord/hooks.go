package discord

import (
	"context"
	"hash/fnv"
	"net/http"
	"slices"
	"sync"

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
	list []wireWebhook
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

// all are the webhooks of a channel, looked up or made.
func (h *hooks) all(ctx context.Context, channel string) ([]wireWebhook, error) {
	s := h.set(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) > 0 {
		return s.list, nil
	}
	found, err := get[[]wireWebhook](ctx, h.api, "/channels/"+channel+"/webhooks", "")
	if err != nil {
		return nil, explain("the bridge's webhook cannot be used", err)
	}
	_, app := h.world.self()
	var list []wireWebhook
	for _, w := range found {
		if w.App != "" && w.App == app && w.Token != "" {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b wireWebhook) int { return discordid.Compare(a.ID, b.ID) })
	for len(list) < h.count {
		var made wireWebhook
		err := h.api.do(ctx, call{Method: http.MethodPost, Path: "/channels/" + channel + "/webhooks", Body: map[string]any{"name": hookName}}, &made)
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
func (h *hooks) pick(ctx context.Context, channel, person string) (wireWebhook, error) {
	list, err := h.all(ctx, channel)
	if err != nil {
		return wireWebhook{}, err
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(person))
	return list[sum.Sum32()%uint32(len(list))], nil
}

// byID is one of a channel's webhooks; ok is false if it is no longer there.
func (h *hooks) byID(ctx context.Context, channel, id string) (wireWebhook, bool, error) {
	list, err := h.all(ctx, channel)
	if err != nil {
		return wireWebhook{}, false, err
	}
	i := slices.IndexFunc(list, func(w wireWebhook) bool { return w.ID == id })
	if i < 0 {
		return wireWebhook{}, false, nil
	}
	return list[i], true, nil
}

// forget deletes our webhooks of a channel that is left for good.
func (h *hooks) forget(ctx context.Context, channel string) error {
	found, err := get[[]wireWebhook](ctx, h.api, "/channels/"+channel+"/webhooks", "")
	if err != nil {
		return explain("the webhooks are not known", err)
	}
	_, app := h.world.self()
	for _, w := range found {
		if w.App == "" || w.App != app {
			continue
		}
		err := h.api.do(ctx, call{Method: http.MethodDelete, Path: "/webhooks/" + w.ID, Route: "/webhooks"}, nil)
		if err != nil && !hasCode(err, codeUnknownWebhook) {
			return explain("a webhook is not deleted", err)
		}
	}
	h.changed(channel)
	return nil
}
