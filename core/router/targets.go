package router

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// absence says what happens to a message that no session gets.
type absence uint8

const (
	ignore absence = iota // nothing, and nobody is told
	reject                // the sender gets service-unavailable
	keep                  // it is kept for later; if nobody keeps it, as reject
)

// messageRule is one row of RFC 6121 §8.5.4, Table 1.
type messageRule struct {
	bare    bool    // is delivered to the bare JID's resources
	absent  absence // bare JID without a resource that gets it
	noMatch absence // full JID without a connected resource; keep: as if it had been sent to the bare JID
}

var messageRules = map[string]messageRule{
	stanza.TypeNormal: {bare: true, absent: keep, noMatch: reject}, // §8.5.2.1.1, §8.5.2.2.1, §8.5.3.2.1
	stanza.TypeChat:   {bare: true, absent: keep, noMatch: keep},
	// §8.5.2.1.1: never to the bare JID. §8.5.3.2.1 allows to ignore or to answer; the answer tells a room that its occupant is gone.
	stanza.TypeGroupchat: {absent: reject, noMatch: reject},
	stanza.TypeHeadline:  {bare: true, absent: ignore, noMatch: ignore},
	stanza.TypeError:     {absent: ignore, noMatch: ignore},
}

// messageType returns the type that counts: RFC 6121 §5.2.2, unknown ones are normal.
func messageType(st *stanza.Stanza) string {
	if _, known := messageRules[st.Type]; known {
		return st.Type
	}
	return stanza.TypeNormal
}

// messageTargets decides who gets a message to a local account that has these sessions, and what becomes of it if that is nobody.
func messageTargets(typ string, to jid.JID, sessions []event.SessionInfo) ([]event.SessionInfo, absence) {
	rule := messageRules[typ]
	if to.IsFull() {
		for i := range sessions {
			if sessions[i].JID == to {
				return sessions[i : i+1], ignore // §8.5.3.1: whatever its priority
			}
		}
		if rule.noMatch != keep {
			return nil, rule.noMatch
		}
	}
	if !rule.bare {
		return nil, rule.absent
	}
	return pick(sessions, func(s *event.SessionInfo) bool { return s.Available && s.Priority >= 0 }), rule.absent
}

// availableSessions are those that get presence for the bare JID (RFC 6121 §8.5.2.1.2).
func availableSessions(sessions []event.SessionInfo) []event.SessionInfo {
	return pick(sessions, func(s *event.SessionInfo) bool { return s.Available })
}

// pick filters without a copy where all remain.
func pick(sessions []event.SessionInfo, ok func(*event.SessionInfo) bool) []event.SessionInfo {
	n := 0
	for i := range sessions {
		if ok(&sessions[i]) {
			n++
		}
	}
	if n == len(sessions) || n == 0 {
		return sessions[:n:n]
	}
	out := make([]event.SessionInfo, 0, n)
	for i := range sessions {
		if ok(&sessions[i]) {
			out = append(out, sessions[i])
		}
	}
	return out
}
