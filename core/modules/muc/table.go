package muc

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

const shards = 64

// roomTable holds the rooms that are in memory. Locks: one per shard; under it nothing is called but Queue.Post.
type roomTable struct {
	seed maphash.Seed
	part [shards]struct {
		mu     sync.Mutex
		actors shrinking[*actor]
	}
}

func (t *roomTable) init() { t.seed = maphash.MakeSeed() }

// shrinking is a map that gives its memory back when most of its entries have gone: a map keeps the size that it once had.
type shrinking[V any] struct {
	m    map[jid.JID]V
	peak int
}

// smallMap is the size up to which a map is left alone.
const smallMap = 64

func (s *shrinking[V]) put(k jid.JID, v V) {
	if s.m == nil {
		s.m = map[jid.JID]V{}
	}
	s.m[k] = v
	s.peak = max(s.peak, len(s.m))
}

func (s *shrinking[V]) remove(k jid.JID) {
	delete(s.m, k)
	if s.peak <= smallMap || len(s.m) > s.peak/8 {
		return
	}
	m := make(map[jid.JID]V, len(s.m))
	maps.Copy(m, s.m)
	s.m, s.peak = m, len(m)
}

func (t *roomTable) shard(room jid.JID) int {
	return int(maphash.String(t.seed, room.String()) % shards)
}

// post runs fn in the room's queue, with the room in memory (but not yet read from the store). The room stays in memory at least until fn
// has run.
func (m *Module) post(h *host, room jid.JID, fn func(*actor)) {
	p := &m.rooms.part[m.rooms.shard(room)]
	p.mu.Lock()
	a := p.actors.m[room]
	if a == nil {
		a = newActor(m, h, room)
		p.actors.put(room, a)
	}
	a.posted++
	a.q.Post(func() {
		defer a.settle()
		fn(a)
	})
	p.mu.Unlock()
}

// settle is called after each posted function: a room with nothing to do and nobody in it is forgotten.
func (a *actor) settle() {
	p := &a.m.rooms.part[a.m.rooms.shard(a.jid)]
	p.mu.Lock()
	defer p.mu.Unlock()
	a.posted--
	a.forget(&p.actors)
}

// forget removes the room from the table if it may be; the shard is locked.
func (a *actor) forget(actors *shrinking[*actor]) {
	a.census()
	if a.posted == 0 && a.mayForget() && actors.m[a.jid] == a {
		actors.remove(a.jid)
		a.forgotten = true
	}
}

// has tells whether a room is in memory.
func (t *roomTable) has(room jid.JID) bool { return t.find(room) != nil }

// find returns a room that is in memory, nil if it is not.
func (t *roomTable) find(room jid.JID) *actor {
	p := &t.part[t.shard(room)]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actors.m[room]
}

// each calls fn for every room in memory.
func (t *roomTable) each(fn func(*actor)) {
	for i := range t.part {
		p := &t.part[i]
		p.mu.Lock()
		list := make([]*actor, 0, len(p.actors.m))
		for _, a := range p.actors.m {
			list = append(list, a)
		}
		p.mu.Unlock()
		for _, a := range list {
			fn(a)
		}
	}
}

// sessionIndex knows in which rooms a session is, for the day it ends.
type sessionIndex struct {
	seed maphash.Seed
	part [shards]struct {
		mu    sync.Mutex
		rooms shrinking[[]jid.JID]
	}
}

func (x *sessionIndex) init() { x.seed = maphash.MakeSeed() }

func (x *sessionIndex) add(full, room jid.JID) {
	p := &x.part[maphash.String(x.seed, full.String())%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.rooms.m[full], room) {
		p.rooms.put(full, append(p.rooms.m[full], room))
	}
}

func (x *sessionIndex) remove(full, room jid.JID) {
	p := &x.part[maphash.String(x.seed, full.String())%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(p.rooms.m[full]), func(j jid.JID) bool { return j == room })
	if len(left) == 0 {
		p.rooms.remove(full)
		return
	}
	p.rooms.put(full, left)
}

// count is in how many rooms a session is.
func (x *sessionIndex) count(full jid.JID) int {
	p := &x.part[maphash.String(x.seed, full.String())%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rooms.m[full])
}

// of returns the rooms of a session.
func (x *sessionIndex) of(full jid.JID) []jid.JID {
	p := &x.part[maphash.String(x.seed, full.String())%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rooms.m[full])
}
