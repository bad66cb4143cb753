package discord

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// roomBook knows which channels the server has rooms for, and how far each was read.
type roomBook struct {
	mu       sync.Mutex
	place    place
	known    map[string]bool // the server has a room
	unwanted map[string]bool // the server said that it has none
	cursors  map[string]*mark
}

// mark is how far a channel and its threads were read: the cursor of a room.
type mark struct {
	last    string
	threads map[string]string
}

// maxThreads bounds the threads of a cursor: those with the youngest messages.
const maxThreads = 60

func newRoomBook(r sdk.Resume) *roomBook {
	b := &roomBook{known: map[string]bool{}, unwanted: map[string]bool{}, cursors: map[string]*mark{}}
	for _, p := range r.Portals {
		b.known[string(p.Room)] = true
	}
	for _, c := range r.Cursors {
		if c.Portal.Room == "" {
			_ = json.Unmarshal([]byte(c.Cursor), &b.place) // what cannot be read is no place
			continue
		}
		b.cursors[string(c.Portal.Room)] = parseMark(string(c.Cursor))
	}
	return b
}

// parseMark reads "last;thread=last;thread=last".
func parseMark(s string) *mark {
	m := &mark{threads: map[string]string{}}
	for i, f := range strings.Split(s, ";") {
		thread, last, ok := strings.Cut(f, "=")
		switch {
		case i == 0 && discordid.Valid(f):
			m.last = f
		case ok && discordid.Valid(thread) && discordid.Valid(last):
			m.threads[thread] = last
		}
	}
	return m
}

func (m *mark) String() string {
	threads := slices.SortedFunc(maps.Keys(m.threads), func(a, b string) int { return discordid.Compare(m.threads[b], m.threads[a]) })
	var b strings.Builder
	b.WriteString(m.last)
	for _, t := range threads[:min(len(threads), maxThreads)] {
		b.WriteString(";" + t + "=" + m.threads[t])
	}
	return b.String()
}

// advance moves a cursor on to a message.
func (b *roomBook) advance(room, thread, message string) sdk.CursorMark {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.cursors[room]
	if m == nil {
		m = &mark{threads: map[string]string{}}
		b.cursors[room] = m
	}
	if thread == "" {
		m.last = discordid.Max(m.last, message)
	} else {
		m.threads[thread] = discordid.Max(m.threads[thread], message)
	}
	return sdk.CursorMark{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, Cursor: sdk.Cursor(m.String())}
}

// read is how far a channel or thread was read; "" if nothing is known. A thread
// that is not in the cursor is younger than what the cursor knows, or older than
// its youngest threads: the channel's own place is early enough.
func (b *roomBook) read(room, thread string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.cursors[room]
	switch {
	case m == nil:
		return ""
	case thread == "":
		return m.last
	case m.threads[thread] != "":
		return m.threads[thread]
	}
	return m.last
}

// toRead are the rooms with a cursor, and those that should have one.
func (b *roomBook) toRead() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Collect(maps.Keys(b.cursors))
	for room := range b.known {
		if b.cursors[room] == nil {
			out = append(out, room)
		}
	}
	slices.SortFunc(out, discordid.Compare)
	return out
}

func (b *roomBook) join(room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[room] = true
	delete(b.unwanted, room)
}

func (b *roomBook) leave(room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, room)
	b.unwanted[room] = true
}

// refused notes that the server has no room for a channel.
func (b *roomBook) refused(room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known[room] {
		b.unwanted[room] = true
	}
}

// wanted reports whether events of a channel are of any use.
func (b *roomBook) wanted(room string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.unwanted[room]
}

// cursor is the mark of the whole bridge.
func (p place) cursor() sdk.CursorMark {
	raw, _ := json.Marshal(p) // of strings and a number
	return sdk.CursorMark{Cursor: sdk.Cursor(raw)}
}
