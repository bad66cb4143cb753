package rejoin

import (
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// inquire asks the room what it is. One that is not there any more is not entered: that would make it anew, and the user its owner (XEP-0045 §10.1).
func (s *seat) inquire() {
	s.state = asking
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.DiscoInfo, "query"))
	s.request(iq, s.p.room, func(answer *stanza.Stanza) {
		e := answer.ErrorFrom()
		switch {
		case e == nil:
			s.r.asked, s.r.archive = true, s.r.after != "" && hasFeature(answer, ns.MAM)
			s.enter()
		case e.Condition == stanza.ItemNotFound, e.Condition == stanza.Gone:
			s.giveUp("the room is not there any more")
		case undecided(e):
			s.pause()
		default: // it does not tell those who are not in it
			s.r.asked, s.r.archive = true, false
			s.enter()
		}
	})
}

func hasFeature(info *stanza.Stanza, feature string) bool {
	q, ok := info.Child(ns.DiscoInfo, "query")
	if !ok {
		return false
	}
	for f := range q.Node().Children(ns.DiscoInfo, "feature") {
		if f.Attr("var") == feature {
			return true
		}
	}
	return false
}

// pause waits longer each time.
func (s *seat) pause() { s.wait(min(firstPause<<s.r.tries, longestPause)) }

// wait goes on after a time.
func (s *seat) wait(d time.Duration) {
	s.r.step++
	if s.r.tries++; s.r.tries > maxTries {
		s.giveUp("too many attempts")
		return
	}
	s.state = waiting
	s.after(s.p.a.m.jittered(d), s.proceed)
}

// proceed is the next attempt.
func (s *seat) proceed() {
	s.r.step++
	s.stopTimer()
	if s.r.asked {
		s.enter()
	} else {
		s.inquire()
	}
}

// enter enters in the client's name (XEP-0045 §7.2).
func (s *seat) enter() {
	a, r := s.p.a, s.r
	r.step++
	step := r.step
	s.joins++
	r.settling = false
	s.state, s.joinID = rejoining, s.token+"."+strconv.Itoa(s.joins)
	r.seen, r.usurper = map[string]bool{}, nil
	to, err := s.p.room.WithResource(r.nick)
	if err != nil {
		s.giveUp("no such nick")
		return
	}
	join := s.joinPresence(to)
	a.post(func() {
		a.mu.Lock()
		wanted := s.r == r && r.step == step
		a.mu.Unlock()
		if !wanted {
			return
		}
		a.m.send(join)
		a.mu.Lock()
		gone := s.gone
		a.mu.Unlock()
		if gone { // the client has left meanwhile, and the room may have heard that first
			bye := stanza.NewPresence(stanza.TypeUnavailable)
			a.m.send(bye.With(s.full, to))
		}
	})
	s.after(answerTime, s.pause)
}

func (s *seat) joinPresence(to jid.JID) *stanza.Stanza {
	shown, err := xmlstream.ParseFragment([]byte(s.shown))
	if err != nil { // it was parsed before
		shown = xmlstream.Fragment{}
	}
	x := xmlstream.NewNode(ns.MUC, "x")
	history := xmlstream.NewNode(ns.MUC, "history", "maxstanzas", "0")
	if !s.r.archive {
		history = xmlstream.NewNode(ns.MUC, "history", "since", delay.Format(s.r.begin))
	}
	x.Add(history)
	if s.password != "" {
		x.Add(xmlstream.NewNode(ns.MUC, "password").SetText(s.password))
	}
	st := stanza.NewPresence("")
	st.Payload = shown.With(x)
	st.ID = s.joinID
	return st.With(s.full, to)
}

// back: the room shows the session its own occupant: it is in again.
func (s *seat) back(in *incoming) bool {
	m, r := s.p.a.m, s.r
	r.step++
	s.stopTimer()
	r.goodbye, r.tries = nil, 0
	m.stats.healed.Add(1)
	s.healed = append(s.healed, m.d.Clock.Now())
	m.d.Log.Info("a room elsewhere had lost an occupant, who is in it again", "jid", s.full.String(), "room", s.p.room.String())
	s.showWhoLeft(in.nick)
	s.showSelf(in)
	s.catching = true
	if s.p.timer == nil {
		s.p.arm(m.jittered(m.o.Silent))
	}
	if r.archive && !in.codes["201"] {
		s.fill()
	} else {
		s.settle()
	}
	return false
}

// showSelf shows the client its own occupant if that is not as it was.
func (s *seat) showSelf(in *incoming) {
	old := s.nick
	if in.nick != old { // as if it had been renamed in the room (§7.6)
		x := xmlstream.NewNode(ns.MUCUser, "x")
		x.AddNew("item", "affiliation", "none", "role", "none", "nick", in.nick)
		x.AddNew("status", "code", "303")
		x.AddNew("status", "code", "110")
		s.show(s.fromOccupant(old, stanza.TypeUnavailable, x))
		s.known.remove(s.p.a.m, old)
		s.setNick(in.nick)
		if u := s.r.usurper; u != nil {
			s.known.note(s.p.a.m, old, presenceHash(u))
			s.show(u)
		}
	}
	if s.known.note(s.p.a.m, in.nick, presenceHash(in.st)) || in.codes["201"] {
		s.show(in.st)
	}
}

// verdict is what follows from an error that answers entering.
type verdict uint8

const (
	never     verdict = iota // the client is told
	again                    // after a pause
	otherNick                // the nick is in use
)

// verdicts are those of XEP-0045 §7.2; what is not here is never.
var verdicts = map[stanza.Condition]verdict{
	stanza.Conflict:             otherNick, // §7.2.8
	stanza.ServiceUnavailable:   again,     // §7.2.9: too many are in it
	stanza.ResourceConstraint:   again,
	stanza.InternalServerError:  again,
	stanza.RecipientUnavailable: again,
	stanza.RemoteServerNotFound: again,
	stanza.RemoteServerTimeout:  again,
}

// refused: the server could not enter in the client's name.
func (s *seat) refused(in *incoming) bool {
	if in.st.ID != s.joinID {
		return s.foreign(in)
	}
	e := in.st.ErrorFrom()
	if e == nil {
		e = &stanza.Error{Condition: stanza.UndefinedCondition}
	}
	v, listed := verdicts[e.Condition]
	if !listed && e.Type == "wait" {
		v = again
	}
	switch v {
	case again:
		s.pause()
	case otherNick:
		s.conflict()
	default:
		s.giveUp(string(e.Condition))
	}
	return false
}

// conflict: most likely the room still has the session that it does not know any more, so it is given time; then another nick is taken.
func (s *seat) conflict() {
	r := s.r
	r.conflicts++
	switch {
	case r.conflicts >= maxConflicts:
		s.giveUp("the nick is in use")
		return
	case r.conflicts > 1:
		r.nick += "_"
	}
	s.pause()
}
