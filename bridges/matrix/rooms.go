package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// roomBook holds what is known of rooms in this run.
type roomBook struct {
	mu  sync.Mutex
	all map[id.RoomID]*room
}

// room is one room. lane is held by whoever delivers its events, so that what was
// pushed and what was read back never overtake each other.
type room struct {
	id   id.RoomID
	lane chan struct{}

	// Guarded by lane.
	portal   bool       // the host keeps a cursor for it
	verified id.EventID // everything up to it was delivered
	before   []string   // events in front of it that were there: see shortHash
	checked  bool       // read back since the start
	known    recent     // delivered lately
	since    []uint64   // delivered since verified, by their brief names
	failures int        // to be read, in a row

	mu       sync.Mutex
	active   bool               // something happened since it was last read back
	suspect  bool               // the homeserver was in trouble: before the next push it is read back
	joined   map[id.UserID]bool // of our users; absent: not known
	reader   id.UserID          // who reads the room: the bot if ""
	recalled bool               // reader is what the host keeps
	levels   *event.PowerLevelsEventContent
	secret   bool // end-to-end encrypted
	typing   map[id.UserID]bool
	members  *memberList
	wrote    wrote
}

func newRoomBook(r sdk.Resume) *roomBook {
	b := &roomBook{all: map[id.RoomID]*room{}}
	for _, p := range r.Portals {
		b.get(id.RoomID(p.Room)).portal = true
	}
	for _, m := range r.Cursors {
		if m.Portal.Room != "" {
			known := b.get(id.RoomID(m.Portal.Room))
			known.portal = true
			known.verified, known.before, known.since = readCursor(m.Cursor)
			for _, h := range known.since {
				known.known.add(h)
			}
		}
	}
	return b
}

func (b *roomBook) get(room id.RoomID) *room {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.all[room]
	if !ok {
		r = newRoom(room)
		b.all[room] = r
	}
	return r
}

func newRoom(name id.RoomID) *room {
	return &room{id: name, lane: make(chan struct{}, 1), joined: map[id.UserID]bool{}, typing: map[id.UserID]bool{}}
}

func (b *roomBook) list() []*room {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*room, 0, len(b.all))
	for _, r := range b.all {
		out = append(out, r)
	}
	return out
}

// take takes the lane, or gives up with ctx.
func (r *room) take(ctx context.Context) error {
	select {
	case r.lane <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *room) release() { <-r.lane }

func (r *room) stir() {
	r.mu.Lock()
	r.active = true
	r.mu.Unlock()
}

// suspectAll is called when the homeserver is in trouble: it may be killed, and
// then lacks in its queue what it had accepted.
func (b *roomBook) suspectAll() {
	for _, r := range b.list() {
		r.mu.Lock()
		r.suspect = true
		r.mu.Unlock()
	}
}

// suspected forgets a suspicion, and says whether there was one.
func (r *room) suspected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.suspect
	r.suspect = false
	return was
}

// settle forgets that something happened, and says whether it had.
func (r *room) settle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.active
	r.active = false
	return was
}

func (r *room) setJoined(user id.UserID, in bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joined[user] = in
}

func (r *room) isEncrypted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secret
}

func (r *room) isJoined(user id.UserID) (in, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in, known = r.joined[user]
	return in, known
}

// recent remembers the last events that were delivered, so that what is read back
// need not be delivered again. The host recognises the rest.
type recent struct {
	ring []uint64
	next int
	set  map[uint64]struct{}
}

const recentEvents = 512

// brief is a short stable name of an event.
func brief(ev id.EventID) uint64 {
	sum := sha256.Sum256([]byte(ev))
	return binary.BigEndian.Uint64(sum[:])
}

func (k *recent) add(h uint64) {
	if k.set == nil {
		k.set = make(map[uint64]struct{}, recentEvents)
	}
	if _, ok := k.set[h]; ok {
		return
	}
	if len(k.ring) < recentEvents {
		k.ring = append(k.ring, h)
	} else {
		delete(k.set, k.ring[k.next])
		k.ring[k.next] = h
		k.next = (k.next + 1) % recentEvents
	}
	k.set[h] = struct{}{}
}

func (k *recent) has(ev id.EventID) bool {
	_, ok := k.set[brief(ev)]
	return ok
}

// sinceEvents bounds the third part of a cursor, which must stay below sdk.MaxCursor.
const sinceEvents = 256

// cursor is the room's cursor after more events; the lane is held.
func (r *room) cursor(more []uint64) sdk.CursorMark {
	since := slices.Concat(r.since, more)
	return cursorMark(r.id, r.verified, r.before, since[max(0, len(since)-sinceEvents):])
}

// reader gives the API as somebody who is in the room and can read it: usually the
// bot, in a direct chat the ghost. The host remembers who.
func (c *Connector) reader(ctx context.Context, r *room) (*mautrix.Client, error) {
	hs, bot, err := c.bot()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	reader, recalled := r.reader, r.recalled
	r.mu.Unlock()
	if !recalled {
		rec, err := c.roomRecord(ctx, r.id)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		if !r.recalled {
			r.reader, r.recalled = rec.Reader, true
		}
		reader = r.reader
		r.mu.Unlock()
	}
	if reader == "" {
		reader = bot
	}
	return hs.as(reader), nil
}

// enter makes sure that one of our users is in the room: by joining, else after an
// invitation by the bot.
func (c *Connector) enter(ctx context.Context, r *room, user id.UserID, via []string) error {
	if in, _ := r.isJoined(user); in {
		return nil
	}
	err := c.join(ctx, r.id.String(), user, via)
	if e := sdk.AsError(err); e != nil && e.Code == sdk.CodeForbidden {
		if invited := c.inviteAs(ctx, r, user); invited == nil {
			err = c.join(ctx, r.id.String(), user, via)
		}
	}
	if err != nil {
		return err
	}
	r.setJoined(user, true)
	return nil
}

func (c *Connector) join(ctx context.Context, room string, user id.UserID, via []string) error {
	// A join over federation may take as long as the caller allows.
	_, err := c.hs.as(user).JoinRoom(ctx, room, &mautrix.ReqJoinRoom{Via: via})
	return explain("cannot join the room", err)
}

// inviteAs lets whoever reads the room invite one of our users.
func (c *Connector) inviteAs(ctx context.Context, r *room, user id.UserID) error {
	api, err := c.reader(ctx, r)
	if err != nil {
		return err
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	if api.UserID == user {
		return sdk.Refuse(sdk.CodeForbidden, "the bridge itself is not in the room")
	}
	_, err = api.InviteUser(ctx, r.id, &mautrix.ReqInviteUser{UserID: user})
	return explain("cannot be invited", err)
}

// inRoom acts as a ghost in a room: if the homeserver refuses although she was
// thought to be there, she is registered and joined anew, once.
func (c *Connector) inRoom(ctx context.Context, h *sdk.OpHeader, what string, act func(ctx context.Context, api *mautrix.Client, r *room) error) error {
	if err := checkHeader(h); err != nil {
		return err
	}
	g, err := c.ghostOf(ctx, h.Sender)
	if err != nil {
		return err
	}
	r := c.rooms.get(id.RoomID(h.Portal.Room))
	via := c.viaOf(ctx, r.id)
	_, before := r.isJoined(g.id())
	if err := c.enter(ctx, r, g.id(), via); err != nil {
		return err
	}
	attempt := func() error {
		// Several requests, and files: longer than one answer may take.
		ctx, cancel := context.WithTimeout(ctx, 5*c.hs.timeout)
		defer cancel()
		return act(ctx, c.hs.as(g.id()), r)
	}
	err = attempt()
	if before && errcode(err) == "M_FORBIDDEN" {
		r.setJoined(g.id(), false)
		if again := c.register(ctx, g.Localpart); again != nil {
			return again
		}
		if again := c.enter(ctx, r, g.id(), via); again != nil {
			return again
		}
		err = attempt()
	}
	r.stir()
	c.heard(!unanswered(err))
	return explain(what, err)
}

// checkHeader refuses what cannot be meant for this bridge: nobody has an account of
// her own with it, and rooms are Matrix rooms.
func checkHeader(h *sdk.OpHeader) error {
	if h.Login != "" || h.Portal.Login != "" {
		return sdk.Unsupported("acting with an own Matrix account")
	}
	if t, err := matrixid.Parse(string(h.Portal.Room)); err != nil || t.Kind != matrixid.KindRoom {
		return sdk.Refuse(sdk.CodeNotFound, "%s is no Matrix room", h.Portal.Room)
	}
	return nil
}

// viaKey is where the host keeps the servers through which a room is reached.
func viaKey(room id.RoomID) string { return "via/" + string(room) }

func (c *Connector) now() time.Time { return c.opt.Now() }
