package muc

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// joining is what somebody brings who enters.
type joining struct {
	id      string
	codes   []int // besides those of every entry
	request room.JoinRequest
	history room.HistoryLimits
	token   string          // the invitation that makes her a member (XEP-0488)
	mav     *xmlstream.Node // which version of the lists she has (XEP-0463)
}

func (a *actor) joinOf(in *inbound) joining {
	j := joining{id: in.st.ID, history: room.NoLimits(),
		request: room.JoinRequest{Who: in.st.From, Nick: in.st.To.Resource()}}
	c, ok := in.st.Child(ns.MUC, "x")
	if !ok {
		return j
	}
	x := c.Node()
	if p := x.Child(ns.MUC, "password"); p != nil {
		j.request.Password = p.TextContent()
	}
	j.mav = x.Child(ns.MUCAffiliations, "mav")
	if h := x.Child(ns.MUC, "history"); h != nil {
		j.history = room.ParseHistory(h.Attr, a.m.d.Clock.Now())
	}
	return j
}

// maxRooms bounds in how many rooms one session is: each has a place in memory, is made if it is not there, and is told when the session ends.
const maxRooms = 1000

// join lets somebody enter (XEP-0045 §7.2). The room exists, or is made now.
func (a *actor) join(in *inbound) {
	if a.m.joined.count(in.st.From) >= maxRooms {
		a.refuse(in, &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "you are in too many rooms; leave some first"})
		return
	}
	if a.room == nil {
		a.create(in)
		return
	}
	a.admit(in, nil)
}

// admit decides on entering; resumed is set when a guard's postponed decision has been made.
func (a *actor) admit(in *inbound, resumed *event.PendingError) {
	if a.room == nil { // destroyed while a guard was asked
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "this room does not exist any more"))
		return
	}
	if a.room.BySession(in.st.From) != nil { // entered in another way while a guard was asked
		a.presence(in)
		return
	}
	j := a.joinOf(in)
	if nick := a.room.LockedNick(j.request.Who); nick != "" && nick != j.request.Nick { // §7.10: modified, not refused
		j.request.Nick, j.codes = nick, []int{210}
	}
	adm, err := a.admission(in, &j, resumed == nil)
	if err != nil {
		a.refuse(in, err)
		return
	}
	bare := j.request.Who.Bare()
	v := &event.RoomJoin{Stanza: in.st, Unit: in.u, Occupant: event.Occupant{Room: a.jid, Nick: j.request.Nick, Real: j.request.Who,
		ID: room.OccupantID(a.room.Secret, bare.String()), Affiliation: adm.Affiliation.String(), Role: adm.Role.String()}}
	err = decide(a, &a.m.ev.Join, v, resumed)
	if a.postponed(in, err, (*actor).admit) {
		return
	}
	mark := in.u.Mark()
	if err == nil {
		err = a.redeem(in, j)
	}
	if err != nil {
		a.abandon(in, mark, err)
		return
	}
	a.commit(in.u, func(err error) {
		if err != nil {
			a.send(in.st.ErrorReply(stored(err)))
			return
		}
		a.redeemed(j)
		a.enter(in, j, adm)
	})
}

// admission tells as what somebody may enter; count: she is counted among those who enter.
func (a *actor) admission(in *inbound, j *joining, count bool) (room.Admission, error) {
	if err := a.present(j); err != nil {
		return room.Admission{}, err
	}
	adm, err := a.room.Admit(j.request)
	if err == nil && count {
		counted := adm
		if j.token != "" {
			counted.Affiliation = room.None
		}
		err = a.countJoin(in, counted)
	}
	return adm, err
}

// enter makes a person an occupant and shows her to the others and the others to her.
func (a *actor) enter(in *inbound, j joining, adm room.Admission) {
	if adm.Displaces != nil {
		a.displace(adm.Displaces)
	}
	a.audience() // of those who were here before
	o, fresh := a.room.Enter(j.request.Who, j.request.Nick, adm.Role)
	o.SetPresence(a.show(in.st.Payload))
	a.arrived(j.request.Who)
	n := a.available(o)
	if !fresh { // XEP-0045 §7.2.8: another session of hers; they see what she shows now
		for _, s := range without(o.Sessions, []jid.JID{j.request.Who}) {
			a.tellSelf(n, s)
		}
	}
	a.tellOthers(n, o.Role)
	a.hear.add(a.room, o, j.request.Who)
	a.welcome(o, j.request.Who, j)
	a.fireJoined(o, j.request.Who, in.st)
}

// arrived and departed note which sessions are in the room.
func (a *actor) arrived(full jid.JID) {
	a.m.joined.add(full, a.jid)
	a.watch(full)
}

func (a *actor) departed(full jid.JID) {
	a.m.joined.remove(full, a.jid)
	delete(a.remote, full)
	delete(a.extra.lists.watch, full)
}

// fireJoined tells that somebody has entered; what handlers store is a unit of its own.
func (a *actor) fireJoined(o *room.Occupant, full jid.JID, st *stanza.Stanza) {
	u := a.unit()
	_ = a.m.ev.Joined.Fire(a.ctx, &event.RoomJoin{Occupant: a.value(o, full), Stanza: st, Unit: u})
	if !u.Empty() {
		a.m.d.Journal.Submit(u)
	}
}

// welcome sends somebody who enters all there is, in the order of XEP-0045 §7.1 and in one go: the others, herself, the history, the subject.
func (a *actor) welcome(o *room.Occupant, to jid.JID, j joining) {
	r := a.room
	others := r.ShownTo(o)
	out := make([]*packet, 0, len(others)+len(a.hist.list)+4)
	versions, mark := a.versionsFor(to, j)
	out = append(out, versions...)
	if r.Config.AvatarHash != "" {
		out = append(out, &packet{st: a.roomPresence()}) // XEP-0486 §2
	}
	sees := r.SeesJIDs(o)
	for _, other := range others {
		if other == o {
			continue
		}
		c := a.shown(other)
		if sees {
			out = append(out, &c.full)
		} else {
			out = append(out, &c.anon)
		}
	}
	n := a.available(o)
	n.id, n.own, n.mark = j.id, append(a.entryCodes(), j.codes...), mark
	out = append(out, &packet{st: n.self(a, to)})
	out = a.appendHistory(out, j.history)
	out = append(out, &packet{st: a.subjectStanza()})
	out = a.appendVoiceRequests(out, o)
	out = a.appendRequests(out, o)
	a.burst(to, out)
}

// entryCodes are the status codes of self-presence on entering: what the room is (XEP-0045 §7.2.3, §7.2.12).
func (a *actor) entryCodes() []int {
	var codes []int
	if a.room.Config.NonAnonymous {
		codes = append(codes, 100)
	}
	if a.room.Config.Logging {
		codes = append(codes, 170)
	}
	return codes
}

// countJoin bounds how fast strangers from other servers enter, and how often one person does (attacks: join flood). Those of this server are
// bounded where they connect; after a restart all of them come at once.
func (a *actor) countJoin(in *inbound, adm room.Admission) error {
	if err := a.countComing(in); err != nil {
		return err
	}
	most := a.m.o.JoinsPerMinute
	if adm.Affiliation > room.None || a.m.d.Hosts.IsAccountDomain(in.st.From.Domain()) {
		return nil
	}
	if !a.joins.Take(room.Rate{Size: most, Every: time.Minute / time.Duration(max(most, 1))}, a.m.d.Clock.Now()) {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "too many people enter this room; try again in a minute"}
	}
	return nil
}

// countComing bounds how often one person is shown all that there is.
func (a *actor) countComing(in *inbound) error {
	if a.m.o.JoinsPerMinute >= 0 && a.coming.Take(in.st.From.Bare(), comingRate, a.m.d.Clock.Now()) > 0 {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "you enter and leave too often; try again in a minute"}
	}
	return nil
}

func isOccupantID(c xmlstream.Child) bool { return c.Is(ns.OccupantID, "occupant-id") }

// stanzaIDNode is the room's stanza-id of a message (XEP-0359).
func (a *actor) stanzaIDNode(id int64) *xmlstream.Node {
	return stanzaid.Node(a.jid, a.ids.Encode(a.jid.String(), id))
}
