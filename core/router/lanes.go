package router

import (
	"hash/maphash"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// laneCount is how many queues share the accounts. What runs in them never blocks, so that the number only spreads work over processors;
// with few of them a burst is done by few goroutines.
const laneCount = 32

// lanes are the queues in which deliveries run: all deliveries to one address in one of them, in order.
type lanes struct {
	seed   maphash.Seed
	queues [laneCount]*journal.Queue
}

func (l *lanes) init(onPanic func(any)) {
	l.seed = maphash.MakeSeed()
	for i := range l.queues {
		l.queues[i] = journal.NewQueue(onPanic)
	}
}

// of returns the queue of an account, host or remote address.
func (l *lanes) of(j jid.JID) *journal.Queue {
	return l.queues[maphash.String(l.seed, j.Bare().String())%laneCount]
}

// Lane returns the queue in which stanzas are delivered to an address: what else must keep its place among them is posted there.
func (r *Router) Lane(j jid.JID) journal.Poster { return r.lanes.of(j) }
