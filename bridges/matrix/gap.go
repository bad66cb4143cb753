package matrix

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// A push can be lost: the homeserver was killed after it took an event and before
// its queue had it, or it does not push that sort of event. So each portal's
// cursor is the last event up to which the room was read back and found
// complete, not the last one that was pushed; from there it is read again after a
// start, after trouble, and while things happen in it.

// readPage is how many events are asked for at a time; the first page of a regular
// look is small, because usually there is nothing new.
const (
	readPage  = 100
	firstPage = 20
)

// oldNews is when what is read back counts as history, which rings no bell.
const oldNews = 10 * time.Minute

// fillFirst reads a portal back if that was not done since the start; the lane is
// held.
func (c *Connector) fillFirst(ctx context.Context, r *room) error {
	if r.checked || !r.portal {
		return nil
	}
	return c.fill(ctx, r)
}

// fill reads a room back to its cursor, delivers what is missing in order, and
// moves the cursor. The lane is held. Only temporary errors are returned.
func (c *Connector) fill(ctx context.Context, r *room) error {
	api, err := c.reader(ctx, r)
	if err != nil {
		return err
	}
	r.settle()
	found, complete, err := c.readBack(ctx, api, r)
	if err != nil {
		r.stir()
		if err = explain("cannot read the room", err); sdk.AsError(err).Temporary {
			return c.unreadable(r, err)
		}
		// No longer ours to read: nothing can be missed that we might see.
		c.log.Info("room not read back", "room", string(r.id), "error", err)
		r.checked = true
		return nil
	}
	if len(found) == 0 {
		r.checked = true
		return nil
	}
	newest := found[len(found)-1].ID
	if r.verified != "" {
		if err := c.deliverFound(ctx, r, found, complete); err != nil {
			r.stir()
			return err
		}
	}
	return c.verify(ctx, r, newest)
}

// patienceWithRooms is how often a room may fail to be read before the others no
// longer wait for it.
const patienceWithRooms = 5

// unreadable gives a room up for now that the homeserver fails to read again and
// again, while it pushes events: its cursor stays, and it is tried at every look.
func (c *Connector) unreadable(r *room, err error) error {
	if r.failures++; r.failures < patienceWithRooms {
		return err
	}
	if r.failures == patienceWithRooms {
		c.log.Warn("the homeserver cannot read a room; what it does not push is missing there", "room", string(r.id), "error", err)
	}
	r.checked = true
	return nil
}

// verify moves the cursor of a room.
func (c *Connector) verify(ctx context.Context, r *room, upTo id.EventID) error {
	if r.verified != upTo {
		mark := sdk.CursorMark{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(r.id)}, Cursor: sdk.Cursor(upTo)}
		if _, err := c.host.Deliver(ctx, sdk.Batch{Cursors: []sdk.CursorMark{mark}}); err != nil {
			return err
		}
	}
	r.verified, r.checked, r.portal, r.failures = upTo, true, true, 0
	return nil
}

// readBack gets the events after the cursor, oldest first. Without a cursor it gets
// the newest one, to begin from.
func (c *Connector) readBack(ctx context.Context, api *mautrix.Client, r *room) (found []*event.Event, complete bool, err error) {
	from, limit := "", readPage
	switch {
	case r.verified == "":
		limit = 1
	case r.checked:
		limit = firstPage
	}
	for {
		page, err := c.messages(ctx, api, r.id, from, mautrix.DirectionBackward, limit)
		if err != nil {
			return nil, false, err
		}
		for _, ev := range page.Events {
			if ev.ID == r.verified {
				slices.Reverse(found)
				return found, true, nil
			}
			found = append(found, ev)
		}
		end := page.End == "" || page.End == from
		if r.verified == "" || end || len(found) >= c.conf.MaxGap {
			slices.Reverse(found)
			return found, r.verified == "" || end, nil
		}
		from, limit = page.End, readPage
	}
}

// page is a page of a room's events, newest first or oldest first as asked.
type page struct {
	Events     []*event.Event
	Start, End string
}

// messages asks for a page. Events are parsed one by one: in old room versions
// one may be such that no page with it could be read.
func (c *Connector) messages(ctx context.Context, api *mautrix.Client, room id.RoomID, from string, dir mautrix.Direction, limit int) (page, error) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	query := map[string]string{"dir": string(dir), "limit": strconv.Itoa(limit)}
	if from != "" {
		query["from"] = from
	}
	var raw struct {
		Chunk []json.RawMessage `json:"chunk"`
		Start string            `json:"start"`
		End   string            `json:"end"`
	}
	address := api.BuildURLWithQuery(mautrix.ClientURLPath{"v3", "rooms", room, "messages"}, query)
	if _, err := api.MakeRequest(ctx, http.MethodGet, address, nil, &raw); err != nil {
		return page{}, err
	}
	p := page{Events: c.parse(raw.Chunk), Start: raw.Start, End: raw.End}
	if len(raw.Chunk) == 0 {
		p.End = ""
	}
	for _, ev := range p.Events {
		ev.RoomID = room
	}
	return p, nil
}

// deliverFound delivers what was read back. An event in front of one that was
// delivered before is a hole: it is sorted in by its time.
func (c *Connector) deliverFound(ctx context.Context, r *room, found []*event.Event, complete bool) error {
	if !complete {
		first := time.UnixMilli(found[0].Timestamp)
		gap := &sdk.Gap{
			EventHeader: sdk.EventHeader{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(r.id)}, ID: sdk.EventID("gap:" + string(found[0].ID)), Time: first, History: true},
			To:          first, Fillable: true,
		}
		if _, err := c.host.Deliver(ctx, sdk.Batch{Events: []sdk.Event{gap}}); err != nil {
			return err
		}
	}
	last := -1
	for i, ev := range found {
		if r.known.has(ev.ID) {
			last = i
		}
	}
	old := c.now().Add(-oldNews)
	fresh := slices.IndexFunc(found, func(ev *event.Event) bool { return time.UnixMilli(ev.Timestamp).After(old) })
	if fresh < 0 {
		fresh = len(found)
	}
	edge := max(last+1, fresh)
	if err := c.deliver(ctx, found[:edge], true); err != nil {
		return err
	}
	return c.deliver(ctx, found[edge:], false)
}

// fillAll reads rooms back: every portal, or those where something happened. A
// room that fails does not keep the others waiting; the first failure is returned.
func (c *Connector) fillAll(ctx context.Context, all bool) error {
	var failed error
	for _, r := range c.rooms.list() {
		if err := r.take(ctx); err != nil {
			return err
		}
		err := error(nil)
		if r.portal && (all || !r.checked || r.settle()) {
			err = c.fill(ctx, r)
		}
		r.release()
		if err != nil && failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return failed
}
