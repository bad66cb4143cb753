package presence

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// probe answers who asks for an account's presence (RFC 6121 §4.3.2).
func (m *Module) probe(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	owner, asker := st.To, st.From
	allowed := asker.Bare() == owner
	if !allowed {
		var err error
		if allowed, err = m.rosters.Subscribed(ctx, owner, asker); err != nil {
			m.fail(u, st, err)
			return
		}
	}
	u.After(m.delivery.Lane(owner), func(error) {
		ctx := context.Background()
		if !allowed {
			m.d.Router.Send(ctx, bare(stanza.TypeUnsubscribed, owner, asker)) // rule 1
			return
		}
		present := false
		for _, s := range m.d.Sessions.Of(ctx, owner) {
			if s.Presence != nil {
				present = true
				m.d.Router.Send(ctx, s.Presence.With(s.JID, asker)) // rule 4
			}
		}
		if !present {
			m.d.Router.Send(ctx, stanza.NewPresence(stanza.TypeUnavailable).With(owner, asker)) // rule 3
		}
	})
	m.d.Journal.Submit(u)
}
