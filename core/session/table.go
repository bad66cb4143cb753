package session

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// shardCount is a power of two, and enough that two cores seldom meet.
const shardCount = 64

// table holds the bound sessions by bare JID, in the order in which they were bound.
type table struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu     sync.RWMutex
	byBare map[jid.JID][]*Session // the slices are replaced, never changed
	going  map[jid.JID]*Session   // by full JID: not bound any more, but not everybody was told yet
}

func (t *table) shard(bare jid.JID) *shard {
	return &t.shards[maphash.String(t.seed, bare.String())%shardCount]
}

// of returns the sessions of a bare JID; the slice must not be changed.
func (t *table) of(bare jid.JID) []*Session {
	sh := t.shard(bare)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byBare[bare]
}

// get returns the session of a full JID, nil if there is none.
func (t *table) get(full jid.JID) *Session {
	for _, s := range t.of(full.Bare()) {
		if s.jid == full {
			return s
		}
	}
	return nil
}

// add adds s unless its full JID is taken or was until just now, or there are limit sessions of the account; it returns who is in the way.
func (t *table) add(s *Session, limit int) (taken *Session, full bool) {
	bare := s.jid.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.byBare[bare]
	for _, o := range list {
		if o.jid == s.jid {
			return o, false
		}
	}
	if o := sh.going[s.jid]; o != nil {
		return o, false
	}
	if len(list) >= limit {
		return nil, true
	}
	if sh.byBare == nil {
		sh.byBare = map[jid.JID][]*Session{}
	}
	sh.byBare[bare] = append(slices.Clip(list), s)
	return nil, false
}

// remove removes s if it is there. Nobody else gets its full JID before gone was called: what tells others of the end of s would come behind
// what tells of the beginning of the next, and they would take it for the end of that.
func (t *table) remove(s *Session) bool {
	bare := s.jid.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.byBare[bare]
	i := slices.Index(list, s)
	if i < 0 {
		return false
	}
	if sh.going == nil {
		sh.going = map[jid.JID]*Session{}
	}
	sh.going[s.jid] = s
	if len(list) == 1 {
		delete(sh.byBare, bare)
		return true
	}
	next := make([]*Session, 0, len(list)-1)
	sh.byBare[bare] = append(append(next, list[:i]...), list[i+1:]...)
	return true
}

// gone says that everybody knows that s has ended.
func (t *table) gone(s *Session) {
	sh := t.shard(s.jid.Bare())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.going[s.jid] == s {
		delete(sh.going, s.jid)
	}
	if len(sh.going) == 0 {
		sh.going = nil
	}
}

// all returns every session.
func (t *table) all() []*Session {
	var out []*Session
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, list := range sh.byBare {
			out = append(out, list...)
		}
		sh.mu.RUnlock()
	}
	return out
}
