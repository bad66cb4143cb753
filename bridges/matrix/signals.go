package matrix

import (
	"context"
	"errors"
	"net/http"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Typing implements sdk.Typist.
func (c *Connector) Typing(ctx context.Context, s *sdk.Typing) error {
	user, r, err := c.present(s.Sender, s.Portal)
	if err != nil || user == "" {
		return err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	expires := s.Expires
	if expires <= 0 {
		expires = 30 * time.Second
	}
	_, err = c.hs.as(user).UserTyping(ctx, r.id, s.Active, min(expires, 2*time.Minute))
	return explain("typing", err)
}

// MarkRead implements sdk.Reader.
func (c *Connector) MarkRead(ctx context.Context, s *sdk.ReadState) error {
	user, r, err := c.present(s.Sender, s.Portal)
	upTo := firstID(s.UpTo)
	if err != nil || user == "" || upTo == "" {
		return err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	return explain("receipt", c.hs.as(user).SendReceipt(ctx, r.id, id.EventID(upTo), event.ReceiptTypeRead, struct{}{}))
}

// present is the sender's ghost if she is in the room; signals make nobody join.
func (c *Connector) present(s *sdk.Sender, key sdk.PortalKey) (id.UserID, *room, error) {
	if s == nil {
		return "", nil, nil
	}
	names, err := c.nameOf(*s)
	if err != nil {
		return "", nil, err
	}
	r := c.rooms.get(id.RoomID(key.Room))
	if in, _ := r.isJoined(id.UserID(names.UserID)); !in {
		return "", r, nil
	}
	return id.UserID(names.UserID), r, nil
}

// Presence implements sdk.Presencer. Many homeservers take none: then it stops.
func (c *Connector) Presence(ctx context.Context, s *sdk.Presence) error {
	if s.Sender == nil || !c.conf.Presence || c.noShow.Load() {
		return nil
	}
	names, err := c.nameOf(*s.Sender)
	if err != nil {
		return err
	}
	g := c.ghosts.get(names)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := c.load(ctx, g); err != nil || !g.registered {
		return err // nobody who never was on Matrix is shown there
	}
	show := shown{presence: presenceOf(s.Show), status: short(s.Status, 250)}
	if show == g.show {
		return nil
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	err = c.hs.as(g.id()).SetPresence(ctx, mautrix.ReqPresence{Presence: show.presence, StatusMsg: show.status})
	var h mautrix.HTTPError
	if errors.As(err, &h) && (h.IsStatus(http.StatusForbidden) || h.IsStatus(http.StatusNotFound) || h.IsStatus(http.StatusMethodNotAllowed)) {
		if !c.noShow.Swap(true) {
			c.log.Info("the homeserver takes no presence; none is sent from now on", "error", err)
		}
		return nil
	}
	if err == nil {
		g.show = show
	}
	return explain("presence", err)
}
