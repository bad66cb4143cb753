package matrix

import (
	"context"
	"slices"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// FetchHistory implements sdk.HistorySource: what was said, not who came and went. Cursors are the homeserver's own
// pagination tokens; a portal's cursor (an event id) works as well.
func (c *Connector) FetchHistory(ctx context.Context, req sdk.HistoryRequest) (sdk.HistoryPage, error) {
	r := c.rooms.get(id.RoomID(req.Portal.Room))
	api, err := c.reader(ctx, r)
	if err != nil {
		return sdk.HistoryPage{}, err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	from, dir := string(req.Before), mautrix.DirectionBackward
	if req.After != "" {
		from, dir = string(req.After), mautrix.DirectionForward
	}
	if from == "" && firstID(req.Anchor) != "" {
		from = firstID(req.Anchor)
	}
	if len(from) > 0 && from[0] == '$' {
		if from, err = c.tokenAt(ctx, api, r.id, id.EventID(from), dir); err != nil {
			return sdk.HistoryPage{}, err
		}
	}
	limit := req.Limit
	if limit <= 0 || limit > readPage {
		limit = readPage
	}
	page, err := c.messages(ctx, api, r.id, from, dir, limit)
	if err != nil {
		return sdk.HistoryPage{}, explain("cannot read the history", err)
	}
	events := page.Events
	out := sdk.HistoryPage{Older: sdk.Cursor(page.End), Newer: sdk.Cursor(page.Start)}
	if dir == mautrix.DirectionForward {
		out.Older, out.Newer = out.Newer, out.Older
	} else {
		slices.Reverse(events)
	}
	if len(events) == 0 && page.End == "" {
		out.Older, out.Newer = "", ""
	}
	for _, ev := range events {
		at := time.UnixMilli(ev.Timestamp)
		if !req.Until.IsZero() && at.After(req.Until) {
			continue
		}
		if !req.Since.IsZero() && at.Before(req.Since) {
			if dir == mautrix.DirectionBackward {
				out.Older = ""
			}
			continue
		}
		if ev.StateKey != nil {
			continue
		}
		for _, e := range c.translate(ctx, ev) {
			e.Head().History = true
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}

// tokenAt is the pagination token beside an event.
func (c *Connector) tokenAt(ctx context.Context, api *mautrix.Client, room id.RoomID, ev id.EventID, dir mautrix.Direction) (string, error) {
	around, err := api.Context(ctx, room, ev, nil, 0)
	if err != nil {
		return "", explain("the message is not known", err)
	}
	if dir == mautrix.DirectionForward {
		return around.End, nil
	}
	return around.Start, nil
}
