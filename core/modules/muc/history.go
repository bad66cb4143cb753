package muc

import (
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// history is the newest messages of a room as those who enter get them (XEP-0045 §7.2.13), in ascending order. It is read from the store when
// somebody enters for the first time and kept up from then on; its bytes are bounded (Options.HistoryBytes): the oldest go first.
type history struct {
	loaded bool
	list   []*past
	bytes  int
}

// unaskedHistory is how much of a gateway's room somebody gets who asks for no amount: such rooms keep more, so that a client that lost its
// stream can ask for all since then.
const unaskedHistory = 50

type past struct {
	id storage.MessageID
	packet
	size int
}

// remember adds a message that was just said; st is what was shown, with the stanza-id.
func (a *actor) remember(id storage.MessageID, st *stanza.Stanza) {
	if !a.hist.loaded {
		return
	}
	a.hist.add(a.pastOf(id, st))
	a.hist.trim(a.room.Config.MaxHistory, a.m.o.HistoryBytes)
}

func (a *actor) pastOf(id storage.MessageID, st *stanza.Stanza) *past {
	p := &past{id: id}
	p.st = st.WithPayload(st.Payload.With(delay.Node(a.jid, id.Time(), "")))
	p.size = p.serialised().Len()
	return p
}

// add keeps the order of the ids: a backfilled message stands in its own time.
func (h *history) add(p *past) {
	i := len(h.list)
	for i > 0 && h.list[i-1].id > p.id {
		i--
	}
	h.list = append(h.list, nil)
	copy(h.list[i+1:], h.list[i:])
	h.list[i] = p
	h.bytes += p.size
}

func (h *history) trim(messages, bytes int) {
	n := 0
	for n < len(h.list) && (len(h.list)-n > messages || h.bytes > bytes) {
		h.bytes -= h.list[n].size
		h.list[n] = nil
		n++
	}
	h.list = h.list[n:]
}

// forgetPast drops a message that was replaced in the store; the list is read again when it is needed.
func (a *actor) forgetPast() { a.hist = history{} }

// appendHistory adds what of the history the joiner wants.
func (a *actor) appendHistory(out []*packet, limits room.HistoryLimits) []*packet {
	if a.room.Config.MaxHistory == 0 || limits.MaxChars == 0 || limits.MaxStanzas == 0 {
		return out
	}
	if err := a.loadHistory(); err != nil {
		a.m.d.Log.Error("the history of a room could not be read", "room", a.jid.String(), "err", err)
		return out
	}
	list := a.hist.list
	if a.room.Config.Origin != "" && limits == room.NoLimits() {
		limits.MaxStanzas = unaskedHistory
	}
	from := limits.Select(len(list), func(i int) room.Past { return room.Past{At: list[i].id.Time(), Size: list[i].size} })
	for _, p := range list[from:] {
		out = append(out, &p.packet)
	}
	return out
}

func (a *actor) loadHistory() error {
	if a.hist.loaded {
		return nil
	}
	page, _, err := a.m.d.Store.Messages().List(a.ctx, storage.Room, a.jid.String(),
		storage.Range{Limit: a.room.Config.MaxHistory, Backward: true})
	if err != nil {
		return fmt.Errorf("muc: load history: %w", err)
	}
	a.hist = history{loaded: true}
	for _, s := range page {
		st, err := stanza.Unmarshal(s.Body)
		if err != nil {
			return fmt.Errorf("muc: load history: %w", err)
		}
		if isSubject(st) { // XEP-0045 §7.2.15: there is one, and it comes behind the history
			continue
		}
		a.hist.add(a.pastOf(s.ID, st.WithPayload(st.Payload.With(a.stanzaIDNode(int64(s.ID))))))
	}
	a.hist.trim(a.room.Config.MaxHistory, a.m.o.HistoryBytes)
	return nil
}

// delayNode stamps something with the room's name (XEP-0203).
func delayNode(from jid.JID, at time.Time) *xmlstream.Node { return delay.Node(from, at, "") }
