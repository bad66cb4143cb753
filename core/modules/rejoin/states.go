package rejoin

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// state is how a seat is.
type state uint8

// The states; docs/adr/0011-rejoin.md says what leads from one to another.
const (
	entering  state = iota // the client has asked to enter
	joined                 // all is well
	asking                 // lost: the room is asked what it is
	waiting                // a pause before the next attempt
	rejoining              // the server has entered in the client's name
	filling                // what was missed is fetched
	states
)

// what is a kind of stanza from the room.
type what uint8

const (
	selfIn    what = iota // presence of the session's own occupant
	selfOut               // it is not in the room any more
	otherIn               // presence of somebody else
	otherOut              // who is gone
	failed                // a presence of the session is refused
	said                  // a groupchat message
	bounced               // a message of the session is refused
	archived              // a result of an archive
	reflected             // the session's own ping, which the room passes on
	whats
)

// handler takes a stanza. true: it goes on to the client by itself.
type handler func(s *seat, in *incoming) bool

// table says what is done in each state with each kind; nil: it passes.
var table = [states][whats]handler{
	entering: {
		selfIn: (*seat).entered, otherIn: (*seat).seen, otherOut: (*seat).left, failed: (*seat).notLetIn, said: (*seat).heard, archived: (*seat).stray,
		reflected: (*seat).pong,
	},
	joined: {
		selfIn: (*seat).changed, selfOut: (*seat).departed, otherIn: (*seat).seen, otherOut: (*seat).left, failed: (*seat).foreign,
		said: (*seat).heard, bounced: (*seat).doubtful, archived: (*seat).stray, reflected: (*seat).pong,
	},
	asking: {
		selfIn: (*seat).back, selfOut: (*seat).sentAway, otherIn: (*seat).compared, otherOut: (*seat).missing, failed: (*seat).foreign,
		said: (*seat).hold, archived: (*seat).stray, reflected: (*seat).pong,
	},
	waiting: {
		selfIn: (*seat).back, selfOut: (*seat).sentAway, otherIn: (*seat).compared, otherOut: (*seat).missing, failed: (*seat).foreign,
		said: (*seat).hold, archived: (*seat).stray, reflected: (*seat).pong,
	},
	rejoining: {
		selfIn: (*seat).back, selfOut: (*seat).sentAway, otherIn: (*seat).compared, otherOut: (*seat).missing, failed: (*seat).refused,
		said: (*seat).hold, archived: (*seat).stray, reflected: (*seat).pong,
	},
	filling: {
		selfIn: (*seat).changedBehind, selfOut: (*seat).sentAway, otherIn: (*seat).seenBehind, otherOut: (*seat).leftBehind, failed: (*seat).foreign,
		said: (*seat).hold, archived: (*seat).result, reflected: (*seat).pong,
	},
}

// entered: the client is in the room (XEP-0045 §7.2.2), under the nick that the room gives it.
func (s *seat) entered(in *incoming) bool {
	s.changed(in)
	s.state = joined
	s.since = s.p.a.m.d.Clock.Now()
	if s.p.timer == nil {
		s.p.arm(s.p.a.m.jittered(s.p.a.m.o.Silent))
	}
	return true
}

// changed: the occupant of this session, as it is shown to itself.
func (s *seat) changed(in *incoming) bool {
	s.setNick(in.nick)
	return s.seen(in)
}

// notLetIn: the client could not enter.
func (s *seat) notLetIn(in *incoming) bool {
	if !s.foreign(in) {
		return false
	}
	s.remove()
	return true
}

// foreign keeps from the client what answers the server's own entering, when that does not matter any more.
func (s *seat) foreign(in *incoming) bool { return !strings.HasPrefix(in.st.ID, s.token) }

// outcome is what follows from being put out of a room.
type outcome uint8

const (
	final    outcome = iota // the client knows why, and does not come back by itself
	comeBack                // the room had to
	renamed                 // she is in the room under another nick
)

// outcomes are the codes of XEP-0045 §15.6.2 that decide; the first that is there.
var outcomes = []struct {
	code string
	then outcome
}{
	{"303", renamed},
	{"301", final}, {"321", final}, {"322", final}, // banned; the affiliation changed; members only now
	{"332", comeBack}, // the service stops
	{"333", comeBack}, // a fault; together with 307 when the service has put her out for it (§11.1)
	{"307", final},
}

func outcomeOf(in *incoming) outcome {
	if in.ended {
		return final
	}
	for _, o := range outcomes {
		if in.codes[o.code] {
			return o.then
		}
	}
	return final
}

// departed: the room says that the session is not in it any more.
func (s *seat) departed(in *incoming) bool {
	switch outcomeOf(in) {
	case renamed:
		s.left(in)
		s.setNick(in.newNick)
		return true
	case comeBack:
		s.lose(in.st)
		return false
	}
	s.remove()
	return true
}

// sentAway is departed while the server is trying already: what waits comes first.
func (s *seat) sentAway(in *incoming) bool {
	switch outcomeOf(in) {
	case renamed:
		s.left(in)
		s.setNick(in.newNick)
		return s.show(in.st)
	case comeBack:
		s.r.goodbye = in.st
		if s.state == rejoining || s.state == filling {
			s.pause()
		}
		return false
	}
	s.r.goodbye = in.st
	s.giveUp("sent away")
	return false
}

// seenBehind, leftBehind and changedBehind are seen, left and changed while others wait to be delivered.
func (s *seat) seenBehind(in *incoming) bool    { s.seen(in); return s.show(in.st) }
func (s *seat) leftBehind(in *incoming) bool    { s.left(in); return s.show(in.st) }
func (s *seat) changedBehind(in *incoming) bool { s.changed(in); return s.show(in.st) }

// pong answers a ping of our own that the room has passed on to a client of hers (XEP-0410 §3.2).
func (s *seat) pong(in *incoming) bool {
	a, answer := s.p.a, in.st.Result()
	a.post(func() { a.m.send(answer) })
	return false
}

// undecided tells the errors of XEP-0410 §3.2 on which no decision can be based, and those that say the same for a while.
func undecided(e *stanza.Error) bool {
	switch e.Condition {
	case stanza.RemoteServerNotFound, stanza.RemoteServerTimeout, stanza.ResourceConstraint, stanza.InternalServerError:
		return true
	}
	return e.Type == "wait"
}
