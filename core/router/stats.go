package router

import (
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

type stats struct {
	messages, presences, iqs, errors, delivered atomic.Uint64
}

func (s *stats) count(k stanza.Kind) {
	switch k {
	case stanza.Message:
		s.messages.Add(1)
	case stanza.Presence:
		s.presences.Add(1)
	case stanza.IQ:
		s.iqs.Add(1)
	}
}

// Stats are counters since the start, for the metrics page.
type Stats struct {
	Messages, Presences, IQs uint64 // routed
	Errors                   uint64 // error stanzas made here
	Delivered                uint64 // stanzas put into sessions' rings
	Requests                 int    // requests of ours that wait for an answer
}

// Stats returns the counters.
func (r *Router) Stats() Stats {
	return Stats{
		Messages: r.stats.messages.Load(), Presences: r.stats.presences.Load(), IQs: r.stats.iqs.Load(),
		Errors: r.stats.errors.Load(), Delivered: r.stats.delivered.Load(), Requests: r.requests.len(),
	}
}
