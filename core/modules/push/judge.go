package push

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/forward"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// maxJudging bounds the messages that wait to be judged. More are not told of: they are in their lists, and the next one wakes the device.
const maxJudging = 10000

// occasion is a message that somebody may have to be woken for.
type occasion struct {
	account jid.JID
	st      *stanza.Stanza
	// session is the one in whose ring it waits: its client's devices. Zero: those of clients that do not get it.
	session jid.JID
	targets []event.SessionInfo // who gets it
	nick    string              // of the session in the room
}

// arrived is told of a message of an account, once it is where it belongs.
func (m *Module) arrived(_ context.Context, am *event.AccountMessage) error {
	if !am.Offline && !am.Archived || !worth(am.Stanza) || m.none.has(am.Account) {
		return nil
	}
	m.consider(&occasion{account: am.Account.Clone(), st: am.Stanza, targets: am.Targets})
	return nil
}

// unseen is told of a message in the ring of a session whose client does not look.
func (m *Module) unseen(_ context.Context, v *event.Unseen) error {
	full := v.Session.Info().JID
	if m.none.has(full.Bare()) {
		return nil
	}
	st, err := v.Wire.Stanza(v.To)
	if err != nil || !worth(st) || late(st) {
		return nil //nolint:nilerr // what was made here can be read; and nobody is woken for what cannot
	}
	nicks, _ := v.Session.Value(nicksKey{}).(map[string]string)
	m.consider(&occasion{account: full.Bare(), st: st, session: full, nick: nicks[st.From.Bare().String()]})
	return nil
}

// consider has an occasion judged.
func (m *Module) consider(o *occasion) {
	if m.stats.waiting.Add(1) > maxJudging {
		m.stats.waiting.Add(-1)
		m.stats.dropped.Add(1)
		return
	}
	m.q.Post(func() {
		m.stats.waiting.Add(-1)
		if !m.closed {
			m.judge(o)
		}
	})
}

// judge decides for whose devices the message is worth it.
func (m *Module) judge(o *occasion) {
	var list []*device
	for _, d := range m.devices(o.account) {
		switch {
		case o.concerns(d):
			list = append(list, d)
		case d.awake(): // it has begun to look again without a word to us
			d.seen()
		}
	}
	if len(list) == 0 {
		return
	}
	c := readChat(o)
	if c == nil {
		return
	}
	mark, err := m.bookmark(o.account, c)
	if err != nil {
		m.d.Log.Error("notification settings cannot be read", "account", o.account.String(), "err", err)
	}
	if mark.nick != "" {
		c.self.nicks = append(c.self.nicks, mark.nick)
	}
	if c.group && c.self.named(c.from.Resource()) {
		return // what she has said herself
	}
	mention := c.mention || c.self.mentioned(c.st)
	t := &told{sender: c.from.String(), body: c.st.Body()}
	for _, d := range list {
		switch mark.setting(d.rec.who()) {
		case always:
			d.notify(t)
		case onMention:
			if mention {
				d.notify(t)
			}
		case never:
		case unset: // XEP-0492 §3: always in direct chats and private rooms, on mention in public ones
			if !c.group || mention {
				d.notify(t)
				continue
			}
			m.rooms.private(c.self.room, func(private bool) {
				if private && !d.gone {
					d.notify(t)
				}
			})
		}
	}
}

// concerns tells whether a device is of a client that does not see the message (docs/adr/0012).
func (o *occasion) concerns(d *device) bool {
	if !o.session.IsZero() {
		return d.rec.Client == o.session.String()
	}
	for i := range o.targets {
		if o.targets[i].JID.String() == d.rec.Client {
			return false
		}
	}
	return !d.awake()
}

// chat is what an occasion is about.
type chat struct {
	st      *stanza.Stanza // what was said
	from    jid.JID
	group   bool // in a room
	private bool // a private message of an occupant
	mention bool // the room says so
	self    self
}

// readChat reads a message; nil: nobody else has said it.
func readChat(o *occasion) *chat {
	c := &chat{st: o.st, from: o.st.From, self: self{account: o.account}}
	if o.st.From.Bare() == o.account {
		return nil
	}
	if notice, ok := o.st.Child(ns.MUCMentions, "mentions"); ok { // XEP-0452 §3.2: what was said is in it
		said, _, err := forward.Parse(notice.Node().Child(ns.Forward, "forwarded"))
		if err != nil || said.From.Bare() != o.st.From.Bare() {
			return nil
		}
		c.st, c.from, c.mention = said, said.From, true
	}
	switch {
	case c.st.Type == stanza.TypeGroupchat:
		c.group = true
		c.self.room = c.from.Bare()
		if o.nick != "" {
			c.self.nicks = []string{o.nick}
		}
		if !c.from.IsFull() && !c.mention { // a room says something itself
			return nil
		}
	case c.st.Payload.Has(ns.MUCUser, "x") && c.from.IsFull():
		c.private = true
	}
	return c
}

// bookmark reads the settings of a chat. A private message is a direct chat that no bookmark names.
func (m *Module) bookmark(account jid.JID, c *chat) (bookmark, error) {
	if c.private {
		return bookmark{}, nil
	}
	item, err := m.marks.PEPItem(context.Background(), account, ns.Bookmarks, c.from.Bare().String())
	if err != nil {
		return bookmark{}, err
	}
	return readBookmark(item), nil
}
