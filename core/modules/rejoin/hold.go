package rejoin

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// heard: the room says something to everybody.
func (s *seat) heard(in *incoming) bool {
	if s.catching && !s.fresh(in.st) {
		return false
	}
	s.note(in.st)
	return true
}

// note remembers what the session has been shown last.
func (s *seat) note(st *stanza.Stanza) {
	s.since = s.p.a.m.d.Clock.Now()
	if id := stanzaid.Of(st.Payload, s.p.room); id != "" && len(id) <= maxID {
		s.last = strings.Clone(id)
	}
	if isSubject(st) {
		s.subject = subjectHash(st)
		return
	}
	s.recent[s.recentAt] = messageHash(st)
	s.recentAt = (s.recentAt + 1) % recents
}

// fresh tells whether the client has not had a message yet. What the room shows to everybody who enters ends with the subject (XEP-0045 §7.2.15).
func (s *seat) fresh(st *stanza.Stanza) bool {
	if s.r != nil && s.r.given[stanzaid.Of(st.Payload, s.p.room)] {
		return false
	}
	if !s.catching {
		return true
	}
	if isSubject(st) {
		s.catching = false
		return subjectHash(st) != s.subject
	}
	if _, late := delay.Of(st.Payload, jid.JID{}); late {
		return !slices.Contains(s.recent[:], messageHash(st))
	}
	return true
}

// isSubject: XEP-0045 §7.2.15, a message with a subject and neither body nor thread.
func isSubject(st *stanza.Stanza) bool {
	return st.Payload.Has(ns.Client, "subject") && !st.Payload.Has(ns.Client, "body") && !st.Payload.Has(ns.Client, "thread")
}

func subjectHash(st *stanza.Stanza) uint64 {
	c, _ := st.Child(ns.Client, "subject")
	return textHash("subject", c.Text())
}

// messageHash recognises a message without a room's id: who, which id, what.
func messageHash(st *stanza.Stanza) uint64 {
	return textHash(st.From.Resource(), st.ID, st.Body())
}

func textHash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0}) // no text has it
	}
	return max(h.Sum64(), 1) // 0 is none
}

// overhead is what a message that waits takes beside its content.
const overhead = 256

// hold lets a message wait until what came before it is there.
func (s *seat) hold(in *incoming) bool {
	m, r := s.p.a.m, s.r
	size := in.st.Payload.Len() + overhead
	if len(r.held) >= m.o.Held || r.heldBytes+size > m.o.HeldBytes || m.held.Load()+int64(size) > int64(m.o.AllHeldBytes) {
		return s.overflow(in)
	}
	r.held = append(r.held, in.st)
	r.heldBytes += size
	m.held.Add(int64(size))
	return false
}

// overflow: the archive has what waits, so it is read once more. Without one the messages go to the client now.
func (s *seat) overflow(in *incoming) bool {
	if s.state == filling && s.r.archive && !s.r.settling {
		s.r.missed = true
		s.unhold()
		return false
	}
	s.flush()
	if s.fresh(in.st) {
		s.note(in.st)
		s.show(in.st)
	}
	if s.r.settling { // behind these
		s.settle()
	}
	return false
}

// unhold returns what waits and forgets it.
func (s *seat) unhold() []*stanza.Stanza {
	list := s.r.held
	s.p.a.m.held.Add(-int64(s.r.heldBytes))
	s.r.held, s.r.heldBytes = nil, 0
	return list
}

// flush delivers what waits as it is.
func (s *seat) flush() {
	if s.r == nil {
		return
	}
	for _, st := range s.unhold() {
		if s.fresh(st) {
			s.note(st)
			s.show(st)
		}
	}
}

// settle delivers what waits; when nothing does any more, all is as it was.
func (s *seat) settle() {
	a, r := s.p.a, s.r
	s.state, r.settling = filling, true
	r.step++
	step := r.step
	s.stopTimer()
	a.post(func() {
		for {
			a.mu.Lock()
			if s.r != r || r.step != step {
				a.mu.Unlock()
				return
			}
			var list []*stanza.Stanza
			for _, st := range s.unhold() {
				if s.fresh(st) {
					s.note(st)
					list = append(list, st)
				}
			}
			if len(list) == 0 {
				s.state = joined
				s.endRecovery()
				a.mu.Unlock()
				return
			}
			a.mu.Unlock()
			for _, st := range list {
				a.m.deliver(st)
			}
		}
	})
}
