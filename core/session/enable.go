package session

import (
	"encoding/base64"
	"io"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// never is the expiry of a session that has a connection.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// tokenBytes is the randomness of an SM-ID (attacks row 14: at least 128 bits).
const tokenBytes = 18

// Enable turns stream management on (XEP-0198 §3). maxTime is what the client asks for, 0: the server's. What the client sends from now on is counted;
// <enabled/> or <failed/> goes out once the session's row is stored. False: it was asked for before, which ends the stream.
func (s *Session) Enable(resume bool, maxTime time.Duration) bool {
	token, err := newToken(s.m.o.Rand)
	limit := s.m.limits.Load().ResumeTime
	if maxTime > 0 && maxTime < limit {
		limit = maxTime
	}
	s.mu.Lock()
	if s.sm != nil {
		s.mu.Unlock()
		return false
	}
	sm := &management{id: HashSMID(token), resumable: resume && limit > 0, max: limit}
	s.sm = sm
	l := s.link
	s.mu.Unlock()
	if err != nil {
		s.m.o.Log.Error("session: make stream management id", "error", err)
		s.notEnabled(sm)
		return true
	}
	u := journal.NewUnit(journal.AccountLane(s.jid.Bare().String()))
	u.Add(storage.PutSession{Session: storage.Session{ID: sm.id, JID: s.jid.String(), Node: s.m.o.Node, Expires: never}})
	u.After(s.queue, func(err error) {
		if err != nil {
			s.m.o.Log.Error("session: store session", "conn", s.Info().ID, "error", err)
			s.notEnabled(sm)
			return
		}
		s.enabled(l, sm, token)
	})
	s.m.o.Journal.Submit(u)
	return true
}

func newToken(r io.Reader) (string, error) {
	var b [tokenBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// enabled begins to count what goes out, behind <enabled/>.
func (s *Session) enabled(l Link, sm *management, token string) {
	n := xmlstream.NewNode(ns.SM, "enabled")
	if sm.resumable {
		n.SetAttr("id", token)
		n.SetAttr("resume", "true")
		n.SetAttr("max", strconv.Itoa(int(sm.max/time.Second)))
	}
	raw := xmlstream.AppendNode(nil, n, ns.Client)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.link != l {
		return
	}
	s.ring.push(entry{raw: raw, size: int32(len(raw) + overhead)})
	sm.active = true
	s.change(func(i *event.SessionInfo) { i.SMID, i.Flags = sm.id, i.Flags|event.FlagSM })
	if sm.resumable {
		s.m.index(s, sm.id)
	}
	s.wake()
}

func (s *Session) notEnabled(sm *management) {
	s.mu.Lock()
	if s.sm == sm {
		s.sm = nil
	}
	s.mu.Unlock()
	s.SendNonza(xmlstream.NewNode(ns.SM, "failed").Add(xmlstream.NewNode(ns.Stanzas, "internal-server-error")))
}
