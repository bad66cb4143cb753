package slack

import (
	"sync"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// recent is a map that forgets its oldest entries. It is no truth, only a short cut:
// whatever is asked of it can also be answered, worse or slower, without.
type recent[K comparable, V any] struct {
	mu    sync.Mutex
	limit int
	items map[K]V
	order []K
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: limit, items: map[K]V{}}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.items[k]
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.items[k]; !ok {
		r.order = append(r.order, k)
	}
	r.items[k] = v
	for len(r.order) > r.limit {
		delete(r.items, r.order[0])
		r.order = r.order[1:]
	}
}

// place is a message in a channel.
type place struct {
	channel string
	ts      slackid.TS
}

// origin is what one of our messages came from.
type origin struct {
	op   sdk.OpID
	part sdk.PartID
}

// memory is what this instance did or saw lately.
type memory struct {
	sent    *recent[place, origin]     // our messages
	edits   *recent[place, sdk.OpID]   // our last change of them
	deleted *recent[place, bool]       // messages that we deleted
	roots   *recent[place, slackid.TS] // of which thread a reply is
	shared  *recent[string, origin]    // our uploads, by file id
	shown   *recent[place, slackid.TS] // the edit that a message read back already had
}

func newMemory() *memory {
	return &memory{
		sent: newRecent[place, origin](10_000), edits: newRecent[place, sdk.OpID](1000), deleted: newRecent[place, bool](10_000),
		roots: newRecent[place, slackid.TS](50_000), shared: newRecent[string, origin](1000), shown: newRecent[place, slackid.TS](10_000),
	}
}
