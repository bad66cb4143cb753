package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// readPage is how many events are asked for at a time.
const readPage = 100

// oldNews is when what is read back counts as history, which rings no bell.
const oldNews = 10 * time.Minute

// fillFirst reads a portal back if that was not done since the start; the lane is
// held.
func (c *Connector) fillFirst(ctx context.Context, r *room) error {
	if r.suspected() {
		r.checked = false
	}
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
	b, complete, err := c.readBack(ctx, api, r)
	found := b.found
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
	if r.verified != "" {
		if err := c.deliverFound(ctx, r, found, complete); err != nil {
			r.stir()
			return err
		}
	}
	return c.verify(ctx, r, b.newest)
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

// verify moves the cursor of a room to the first of the newest events.
func (c *Connector) verify(ctx context.Context, r *room, newest []id.EventID) error {
	tail := make([]string, 0, 2*overlap)
	for _, ev := range newest[1:] {
		tail = append(tail, shorten(ev))
	}
	for _, old := range append([]string{shorten(r.verified)}, r.before...) {
		if len(tail) < overlap && !slices.Contains(tail, old) {
			tail = append(tail, old)
		}
	}
	if r.verified != newest[0] || len(r.since) > 0 {
		mark := cursorMark(r.id, newest[0], tail, nil)
		if _, err := c.host.Deliver(ctx, sdk.Batch{Cursors: []sdk.CursorMark{mark}}); err != nil {
			return err
		}
	}
	r.verified, r.before, r.since = newest[0], tail, nil
	r.checked, r.portal, r.failures = true, true, 0
	return nil
}

// A cursor is an event's id; behind a space hashes of the events in front of it,
// newest first, so that those among them that are new can be told; and behind
// another space brief names of those that were pushed since, so that they are not
// delivered again after a crash.
const shortHash = 8

func shorten(ev id.EventID) string {
	sum := sha256.Sum256([]byte(ev))
	return base64.RawURLEncoding.EncodeToString(sum[:shortHash/4*3])
}

func cursorMark(room id.RoomID, upTo id.EventID, before []string, since []uint64) sdk.CursorMark {
	text := string(upTo) + " " + strings.Join(before, "")
	if len(since) > 0 {
		raw := make([]byte, 0, 8*len(since))
		for _, h := range since {
			raw = binary.BigEndian.AppendUint64(raw, h)
		}
		text += " " + base64.RawURLEncoding.EncodeToString(raw)
	}
	return sdk.CursorMark{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, Cursor: sdk.Cursor(text)}
}

func readCursor(c sdk.Cursor) (upTo id.EventID, before []string, since []uint64) {
	name, rest, _ := strings.Cut(string(c), " ")
	hashes, encoded, _ := strings.Cut(rest, " ")
	for ; len(hashes) >= shortHash; hashes = hashes[shortHash:] {
		before = append(before, hashes[:shortHash])
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		raw = nil
	}
	for ; len(raw) >= 8; raw = raw[8:] {
		since = append(since, binary.BigEndian.Uint64(raw))
	}
	return id.EventID(name), before, since
}

// readBack gets the events after the cursor, oldest first; without a cursor the
// newest ones, to begin from.
func (c *Connector) readBack(ctx context.Context, api *mautrix.Client, r *room) (b *back, complete bool, err error) {
	b = &back{cursor: r.verified, before: r.before, self: api.UserID, seen: map[id.EventID]bool{}, behind: -1}
	from, limit := "", readPage
	if r.verified == "" {
		limit = overlap
	}
	for {
		page, err := c.messages(ctx, api, r.id, from, mautrix.DirectionBackward, limit)
		if err != nil {
			return b, false, err
		}
		more := b.take(page.Events)
		passed := b.behind > overlap
		end := page.End == "" || !more
		if r.verified == "" || end || passed || len(b.found) >= c.conf.MaxGap {
			slices.Reverse(b.found)
			return b, r.verified == "" || end || b.behind >= 0, nil
		}
		from, limit = nextPage(page.End), readPage
	}
}

// overlap is how many events in front of the cursor are looked at again. The order of /messages is that of the room's graph:
// what was sent at the same time as the cursor's event may stand in front of it
// although it was accepted later. Which of them are new, the cursor tells.
const overlap = 50

// back collects events while a room is read backwards.
type back struct {
	cursor id.EventID
	before []string       // events in front of the cursor that were there: see shortHash
	self   id.UserID      // who reads: what was there before she came is not ours
	found  []*event.Event // what is new, newest first
	newest []id.EventID   // the newest events, new or not
	seen   map[id.EventID]bool
	behind int // events from the cursor on; -1: not there yet
}

// take adds a page and tells whether there is any use in the next one.
func (b *back) take(events []*event.Event) (more bool) {
	for _, ev := range events {
		if b.seen[ev.ID] {
			continue
		}
		b.seen[ev.ID], more = true, true
		if len(b.newest) < overlap {
			b.newest = append(b.newest, ev.ID)
		}
		if ev.ID == b.cursor {
			b.behind = 0
		}
		if b.behind >= 0 {
			b.behind++
			if ev.Type.Type == event.StateMember.Type && ev.GetStateKey() == string(b.self) {
				return false
			}
			if ev.ID == b.cursor || slices.Contains(b.before, shorten(ev.ID)) {
				continue
			}
		}
		b.found = append(b.found, ev)
	}
	return more
}

// dendriteToken is a place in a room's graph.
var dendriteToken = regexp.MustCompile(`^t([0-9]{1,18})_([0-9]+)$`)

// nextPage is where the next page backwards begins.
//
// COMPAT(Dendrite 0.15): its next page leaves out what is as deep in the graph as
// the last event of this one; it is asked for from one level above, and events
// that come again are passed over.
func nextPage(end string) string {
	m := dendriteToken.FindStringSubmatch(end)
	if m == nil {
		return end
	}
	depth, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return end
	}
	return "t" + strconv.FormatInt(depth+1, 10) + "_" + m[2]
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

// deliverFound delivers what was read back. What is old is sorted in by its time;
// what is not is shown, also if later events were shown before: late is better
// than never.
func (c *Connector) deliverFound(ctx context.Context, r *room, found []*event.Event, complete bool) error {
	if !complete {
		first := time.UnixMilli(found[0].Timestamp)
		gap := &sdk.Gap{
			EventHeader: sdk.EventHeader{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(r.id)}, ID: sdk.EventID("gap:" + string(found[0].ID)), Time: first, History: true},
			To:          first, Fillable: true,
		}
		if at := c.looked.Load(); at != 0 {
			gap.From = time.Unix(at, 0)
		}
		if _, err := c.host.Deliver(ctx, sdk.Batch{Events: []sdk.Event{gap}}); err != nil {
			return err
		}
	}
	old := c.now().Add(-oldNews)
	fresh := slices.IndexFunc(found, func(ev *event.Event) bool { return time.UnixMilli(ev.Timestamp).After(old) })
	if fresh < 0 {
		fresh = len(found)
	}
	if err := c.deliver(ctx, found[:fresh], true); err != nil {
		return err
	}
	return c.deliver(ctx, found[fresh:], false)
}

// lookedAround notes when all rooms were last known to be complete, in the
// bridge's own cursor: a gap that is too big to fill begins there.
func (c *Connector) lookedAround(ctx context.Context) error {
	at := c.now()
	mark := sdk.CursorMark{Cursor: sdk.Cursor(at.UTC().Format(time.RFC3339))}
	if _, err := c.host.Deliver(ctx, sdk.Batch{Cursors: []sdk.CursorMark{mark}}); err != nil {
		return err
	}
	c.looked.Store(at.Unix())
	return nil
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
		if r.suspected() {
			r.checked = false
		}
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
	if all && failed == nil {
		return c.lookedAround(ctx)
	}
	return failed
}
