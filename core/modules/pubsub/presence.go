package pubsub

import (
	"context"
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// maxPresences bounds what is kept of the presence of other servers' people.
const maxPresences = 20000

// peer is somebody of another server as a host sees her.
type peer struct {
	host string
	bare jid.JID
}

// presences is what people of other servers have told the hosts of their presence. It is learnt again after a start.
type presences struct {
	mu    sync.Mutex // nothing else is locked under it
	shows map[peer]map[jid.JID]string
	asked map[peer]bool
	n     int
}

// set notes what a session has said; show "" takes it away. Of a bare JID that is gone all sessions go. It tells whether nothing is left.
func (p *presences) set(host string, from jid.JID, show string) bool {
	k := peer{host, from.Bare().Clone()}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.shows[k]
	for full := range list {
		if full == from || from.IsBare() && show == "" {
			delete(list, full)
			p.n--
		}
	}
	if show != "" && p.n < maxPresences {
		if list == nil {
			list = map[jid.JID]string{}
			if p.shows == nil {
				p.shows = map[peer]map[jid.JID]string{}
			}
			p.shows[k] = list
		}
		list[from.Clone()] = show
		p.n++
	}
	if len(list) == 0 {
		delete(p.shows, k)
	}
	return len(list) == 0
}

// of returns the shows of an address, or of one session.
func (p *presences) of(host string, who jid.JID) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for full, show := range p.shows[peer{host, who.Bare()}] {
		if who.IsBare() || who == full {
			out = append(out, show)
		}
	}
	return out
}

// ask tells whether somebody is to be asked: once, unless the table of those who were is full.
func (p *presences) ask(host string, who jid.JID) bool {
	k := peer{host, who.Bare().Clone()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[k] || len(p.asked) >= maxPresences {
		return false
	}
	if p.asked == nil {
		p.asked = map[peer]bool{}
	}
	p.asked[k] = true
	return true
}

// showOf is the word of XEP-0060 §16.4.2 for a presence.
func showOf(st *stanza.Stanza) string {
	if st != nil {
		if c, ok := st.Child(ns.Client, "show"); ok && slices.Contains(node.Shows(), c.Text()) {
			return c.Text()
		}
	}
	return node.Online
}

// shows returns how somebody is available to a service (XEP-0060 §12.6): nothing if she is not, or nobody knows.
func (m *Module) shows(ctx context.Context, svc *service, who jid.JID) []string {
	var out []string
	switch {
	case m.d.Hosts.IsLocal(who.Domain()):
		for _, s := range m.d.Sessions.Of(ctx, who.Bare()) {
			if s.Available && (who.IsBare() || s.JID == who) {
				out = append(out, showOf(s.Presence))
			}
		}
	case svc.account: // her presence is the account's, not the service's
		if m.caps == nil {
			return nil
		}
		for _, full := range m.caps.Remote(svc.jid, who.Bare()) {
			if who.IsBare() || full == who {
				out = append(out, node.Online)
			}
		}
	default:
		if out = m.presences.of(svc.name, who); len(out) == 0 {
			m.askPresence(ctx, svc, who)
		}
	}
	return out
}

// askPresence has somebody of another server show a host her presence (§12.6); once she has agreed, a probe is enough.
func (m *Module) askPresence(ctx context.Context, svc *service, who jid.JID) {
	if svc.account || m.d.Hosts.IsLocal(who.Domain()) || !m.presences.ask(svc.name, who) {
		return
	}
	for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeProbe} {
		m.d.Router.Send(ctx, stanza.NewPresence(typ).With(svc.jid, who.Bare()))
	}
}

// attends tells whether a subscriber is there as the node and her subscription want it.
func (m *Module) attends(ctx context.Context, svc *service, c *node.Config, s *node.Subscription, who jid.JID) bool {
	if !c.Present && !s.Temp && len(s.Shows) == 0 {
		return true
	}
	shows := m.shows(ctx, svc, who)
	return slices.ContainsFunc(shows, func(show string) bool { return len(s.Shows) == 0 || slices.Contains(s.Shows, show) })
}

// presence takes what people of other servers tell a host.
func (h *host) presence(ctx context.Context, st *stanza.Stanza) {
	if h.m.d.Hosts.IsLocal(st.From.Domain()) || st.To != h.svc.jid {
		return
	}
	switch st.Type {
	case "":
		if st.From.IsFull() {
			h.m.presences.set(h.svc.name, st.From, showOf(st))
		}
	case stanza.TypeUnavailable, stanza.TypeError, stanza.TypeUnsubscribed:
		if h.m.presences.set(h.svc.name, st.From, "") {
			h.m.endTemporary(ctx, st.From.Bare().Clone())
		} else if st.From.IsFull() {
			h.m.endTemporary(ctx, st.From.Clone())
		}
	}
}
