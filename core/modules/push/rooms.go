package push

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

const (
	roomFor      = time.Hour        // how long it is known what a room is
	roomTimeout  = 20 * time.Second // of its answer
	roomAgain    = 5 * time.Minute  // how long no answer is one
	maxRooms     = 4096
	membersOnly  = "muc_membersonly" // XEP-0045 §15.3
	maxWaiting   = 256               // judgements that wait for one room
	maxNicks     = 1000              // rooms of one session
	partNicks    = "push.nicks"      // in what a stop keeps of a session
	nicksVersion = 1
)

// rooms is what is known of rooms: whether they are private group chats (XEP-0492 §3), which is taken to mean that only members may enter. It
// belongs to the module's queue.
type rooms struct {
	m  *Module
	of map[jid.JID]*roomFacts
}

type roomFacts struct {
	private bool
	until   time.Time
	waiting []func(private bool) // not nil: it is being asked
}

func (r *rooms) init(m *Module) { r.m, r.of = m, map[jid.JID]*roomFacts{} }

// private calls then, now or once the room has answered. Of a room that says nothing it is assumed that it is public: who hears of too little can still say
// "always", and a phone that rings for a thousand strangers is put away.
func (r *rooms) private(room jid.JID, then func(bool)) {
	now := r.m.d.Clock.Now()
	f := r.of[room]
	switch {
	case f != nil && f.waiting != nil:
		if len(f.waiting) < maxWaiting {
			f.waiting = append(f.waiting, then)
		}
		return
	case f != nil && now.Before(f.until):
		then(f.private)
		return
	}
	if len(r.of) >= maxRooms {
		for at, o := range r.of {
			if o.waiting == nil {
				delete(r.of, at)
			}
		}
	}
	if f == nil {
		f = &roomFacts{}
		room = room.Clone()
		r.of[room] = f
	}
	f.waiting = []func(bool){then}
	r.ask(room, f)
}

// ask asks the room, in the server's name (XEP-0045 §6.4).
func (r *rooms) ask(room jid.JID, f *roomFacts) {
	from, err := jid.New("", r.m.d.Hosts.Domains()[0], "")
	if err != nil {
		return // a domain of ours is a domain
	}
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.DiscoInfo, "query")).With(from, room)
	r.m.d.Router.Request(context.Background(), iq, roomTimeout, r.m.q, func(answer *stanza.Stanza) {
		f.private, f.until = false, r.m.d.Clock.Now().Add(roomAgain)
		if q, ok := answer.Query(); ok && answer.Type == stanza.TypeResult {
			f.until = r.m.d.Clock.Now().Add(roomFor)
			for c := range q.Node().Children(ns.DiscoInfo, "feature") {
				f.private = f.private || c.Attr("var") == membersOnly
			}
		}
		waiting := f.waiting
		f.waiting = nil
		if r.m.closed {
			return
		}
		for _, fn := range waiting {
			fn(f.private)
		}
	})
}

// nicksKey is of the nicks with which a session has entered rooms: a map[string]string that is replaced, never changed.
type nicksKey struct{}

// directed sees a session enter and leave rooms (XEP-0045 §7.2, §7.6, §7.14).
func directed(_ context.Context, p *event.PresenceChange) error {
	to := p.Stanza.To
	if !to.IsFull() {
		return nil
	}
	old, _ := p.Session.Value(nicksKey{}).(map[string]string)
	room := to.Bare().String()
	was, known := old[room]
	switch {
	case p.Stanza.Type == stanza.TypeUnavailable:
		if !known {
			return nil
		}
		next := maps.Clone(old)
		delete(next, room)
		p.Session.SetValue(nicksKey{}, next)
	case p.Stanza.Type == "" && (known && was != to.Resource() || !known && len(old) < maxNicks && p.Stanza.Payload.Has(ns.MUC, "x")):
		next := maps.Clone(old)
		if next == nil {
			next = map[string]string{}
		}
		next[room] = to.Clone().Resource()
		p.Session.SetValue(nicksKey{}, next)
	}
	return nil
}

type keptNicks struct {
	Version int               `json:"v"`
	Nicks   map[string]string `json:"nicks"`
}

// saveNicks keeps them with a session that is to be resumed.
func saveNicks(_ context.Context, st *event.SessionState) error {
	nicks, _ := st.Session.Value(nicksKey{}).(map[string]string)
	if len(nicks) == 0 {
		return nil
	}
	b, err := json.Marshal(keptNicks{nicksVersion, nicks})
	if err != nil {
		return fmt.Errorf("push: keep nicks: %w", err)
	}
	st.Parts[partNicks] = b
	return nil
}

func restoreNicks(_ context.Context, st *event.SessionState) error {
	b := st.Parts[partNicks]
	if b == nil {
		return nil
	}
	var k keptNicks
	if err := json.Unmarshal(b, &k); err != nil || k.Version != nicksVersion {
		return fmt.Errorf("push: restore nicks: version %d: %w", k.Version, err)
	}
	st.Session.SetValue(nicksKey{}, k.Nicks)
	return nil
}
