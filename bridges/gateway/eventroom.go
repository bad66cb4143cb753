package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// leaving is how somebody left: XEP-0045 §7.14, §8.2, §9.1.
func leaving(c sdk.MembershipChange) (leaves bool, status []int, affiliation string) {
	switch c {
	case sdk.MembershipLeave:
		return true, nil, ""
	case sdk.MembershipKick:
		return true, []int{307}, ""
	case sdk.MembershipBan:
		return true, []int{301}, "outcast"
	}
	return false, nil, ""
}

func onMembership(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Membership)
	if a.p.room().IsZero() {
		a.ok()
		return
	}
	if !e.Member.IsRemote() {
		a.finish(a.ghostChanged(ctx, e))
		return
	}
	if !validID(string(e.Member.User)) {
		a.done(rejected("the member's id is malformed"))
		return
	}
	if e.Profile != nil {
		e.Profile.ID = e.Member.User
	}
	q, err := a.b.puppets.ensure(ctx, e.Member.User, a.head.Portal, e.Profile)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	if leaves, status, affiliation := leaving(e.Change); leaves {
		a.p.settle(ctx) // what she said before comes before
		c := event.OccupantChange{ID: string(q.remote), Puppet: q.jid, Leave: true, Status: status, Reason: mappings.Cut(e.Reason, 500, 2000), Actor: a.actorNick(ctx)}
		a.finish(a.p.set(ctx, []event.OccupantChange{c}))
		a.affiliate(ctx, q, affiliation)
		return
	}
	switch e.Change {
	case sdk.MembershipUnban:
		a.affiliate(ctx, q, "none")
	case sdk.MembershipJoin:
		if !a.p.full() {
			a.finish(a.p.set(ctx, []event.OccupantChange{a.b.change(ctx, a.p, q, "", nil)}))
			return
		}
	}
	a.ok()
}

// full tells whether no more puppets are shown: those who come are shown when they speak.
func (p *portal) full() bool {
	return p.crowd() >= p.b.m.o.Tune.MaxOccupants
}

// affiliate puts a puppet on one of the room's lists; "" leaves it.
func (a *arrival) affiliate(ctx context.Context, q *puppet, affiliation string) {
	if affiliation == "" || a.p.link() != nil {
		return // a linked room's lists are its own
	}
	spec := event.RoomSpec{Room: a.p.room(), Affiliations: map[string]string{q.jid.String(): affiliation}}
	if err := a.b.m.rooms.EnsureRoom(ctx, spec); err != nil {
		a.b.log.Warn("a room's list could not be changed", "room", a.p.room().String(), "error", err)
	}
}

// actorNick is the nick of who did something, "" if nobody in the room.
func (a *arrival) actorNick(ctx context.Context) string {
	if a.head.Actor.User == "" {
		return ""
	}
	q, err := a.b.puppets.known(ctx, a.head.Actor.User)
	if err != nil || q == nil {
		return ""
	}
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.p.present[q.jid]
}

// whyInvited says who on the other side invites, as far as she is known, and why.
func (a *arrival) whyInvited(ctx context.Context, reason string) string {
	by := a.actorNick(ctx)
	switch {
	case by == "":
		return reason
	case reason == "":
		return by + " invites you."
	}
	return by + ": " + reason
}

// ghostChanged: something was done to a person of this side. A ban closes the room to her, a kick puts her out; an invitation is passed on.
func (a *arrival) ghostChanged(ctx context.Context, e *sdk.Membership) error {
	who, ok := a.b.m.personOf(ctx, e.Member.Person)
	if !ok {
		return nil
	}
	if a.p.link() != nil { // what a network does to people of this side is a matter of that network
		if e.Change == sdk.MembershipKick || e.Change == sdk.MembershipBan {
			a.b.ghosts.gone(a.p, e.Member.Person)
		}
		if e.Change != sdk.MembershipInvite {
			return nil
		}
	}
	switch e.Change {
	case sdk.MembershipBan:
		return a.b.m.rooms.EnsureRoom(ctx, event.RoomSpec{Room: a.p.room(), Affiliations: map[string]string{who.String(): "outcast"}})
	case sdk.MembershipUnban:
		return a.b.m.rooms.EnsureRoom(ctx, event.RoomSpec{Room: a.p.room(), Affiliations: map[string]string{who.String(): "none"}})
	case sdk.MembershipInvite:
		if a.b.mayUse(who) {
			a.b.invite(ctx, who, a.p.room(), a.whyInvited(ctx, mappings.Cut(e.Reason, 500, 2000)))
		}
	case sdk.MembershipKick:
		a.b.ghosts.gone(a.p, e.Member.Person)
		return a.b.m.rooms.Expel(ctx, event.RoomExpulsion{Room: a.p.room(), Person: who, Reason: mappings.Cut(e.Reason, 500, 2000), Actor: a.actorNick(ctx)})
	}
	return nil
}

func onRights(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Rights)
	if a.p.room().IsZero() || !e.Member.IsRemote() || !validID(string(e.Member.User)) {
		a.ok()
		return
	}
	q, err := a.b.puppets.ensure(ctx, e.Member.User, a.head.Portal, nil)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	role := e.Role
	if !a.p.isPresent(q.jid) {
		a.affiliate(ctx, q, mappings.StandingOf(role).Affiliation)
		a.ok()
		return
	}
	a.finish(a.p.set(ctx, []event.OccupantChange{a.b.change(ctx, a.p, q, "", &role)}))
}

func onRoomChanged(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.RoomChanged)
	if a.p.room().IsZero() || a.head.Origin != "" {
		a.ok()
		return
	}
	public := false
	err := a.p.save(ctx, func(s *portalState) {
		if e.Name != nil {
			s.Name = mappings.Cut(*e.Name, 200, 800)
		}
		if e.Rules != nil {
			s.Caps = e.Rules
		}
		public = e.Public != nil && *e.Public
	})
	if err == nil && (e.Name != nil || e.Public != nil) && a.p.link() == nil {
		err = a.b.m.rooms.EnsureRoom(ctx, a.p.spec(public))
	}
	if err == nil && e.Topic != nil {
		var by *puppet
		if by, err = a.author(ctx, nil); err == nil {
			err = a.p.setTopic(ctx, *e.Topic, by, a.head.Time)
		}
	}
	if err == nil && e.Avatar != nil && a.p.link() == nil {
		a.b.faces.wantRoom(a.p, *e.Avatar)
	}
	a.finish(err)
}

// onRoomMoved: the network calls the room by another id. The room here stays, and so does everything that is kept of it (bridging: edge cases).
func onRoomMoved(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.RoomMoved)
	if e.To == "" || !validID(string(e.To)) {
		a.done(rejected("the room moved nowhere"))
		return
	}
	to := sdk.PortalKey{Login: a.head.Portal.Login, Room: e.To}
	if p, err := a.b.portals.get(ctx, to); err != nil || p != nil {
		if err != nil {
			a.done(outcome{err: err})
		} else {
			a.ok() // that room has a portal of its own already
		}
		return
	}
	if err := a.p.bind(ctx, to); err != nil {
		a.done(outcome{err: err})
		return
	}
	a.finish(a.p.save(ctx, func(s *portalState) {
		if len(e.Via) > 0 {
			s.Via = e.Via
		}
	}))
}

// bind stores that a portal is what the network calls to.
func (p *portal) bind(ctx context.Context, to sdk.PortalKey) error {
	p.mu.Lock()
	s := p.state
	p.mu.Unlock()
	s.Remote = to
	row, err := p.row(s)
	if err != nil {
		return err
	}
	u := newLinkUnit(p.key)
	u.Add(row, storage.PutRow{Table: tableMoved, Owner: p.b.spec.Name, Key: portalKeyText(p.b.spec.Name, to), Value: []byte(p.key)})
	if err := p.b.m.commit(ctx, u); err != nil {
		return fmt.Errorf("gateway: store portal: %w", err)
	}
	p.mu.Lock()
	p.state.Remote = to
	p.mu.Unlock()
	return nil
}

// onPortalOpened: the bridge is in a room it was not in. Rooms get a portal; in a direct chat the person it is for gets the messages themselves.
func onPortalOpened(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.PortalOpened)
	if a.head.Portal.Room == "" {
		a.done(rejected("the room has no id"))
		return
	}
	e.Info.Portal = a.head.Portal
	if e.Info.Kind == sdk.ChatDirect {
		a.finish(a.openDirect(ctx, e))
		return
	}
	if e.XMPPRoom != "" {
		a.done(rejected("the room %s is not the bridge's to open", e.XMPPRoom))
		return
	}
	if a.p == nil { // somebody may be about to link it
		var err error
		if a.p, err = a.b.awaitJoin(ctx, a.head.Portal); err != nil {
			a.done(outcome{err: err})
			return
		}
	}
	a.b.mu.Lock()
	full := a.p == nil && a.b.opened >= a.b.m.o.Tune.MaxPortals
	a.b.mu.Unlock()
	if full {
		a.done(rejected("there are %d rooms already", a.b.m.o.Tune.MaxPortals))
		return
	}
	_, err := a.b.makePortal(ctx, a.bt.i, e.Info, e.Info.Via)
	var se *stanza.Error
	if errors.As(err, &se) || errors.Is(err, mappings.ErrAddress) {
		a.done(rejected("%v", err))
		return
	}
	a.finish(err)
}

func onPortalGone(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.PortalGone)
	err := a.p.save(ctx, func(s *portalState) { s.Gone = true })
	if err == nil && !a.p.room().IsZero() {
		text := a.b.title() + ": this room is no longer bridged"
		if e.Reason != "" {
			text += " (" + mappings.Cut(e.Reason, 300, 1200) + ")"
		}
		a.p.say(ctx, text+".")
	}
	a.p.out.wake() // what waits is refused to its senders
	a.finish(err)
}

func onUserChanged(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.UserChanged)
	if e.User.ID == "" || !validID(string(e.User.ID)) {
		a.done(rejected("the user has no id, or a malformed one"))
		return
	}
	q, err := a.b.puppets.known(ctx, e.User.ID)
	if err != nil || q == nil {
		a.finish(err) // nobody here has seen her: she is asked for when she is
		return
	}
	if a.p != nil && a.p.isPresent(q.jid) && e.User.Name != "" {
		a.finish(a.p.set(ctx, []event.OccupantChange{a.b.change(ctx, a.p, q, e.User.Name, nil)}))
		return
	}
	_, err = a.b.puppets.update(ctx, q, e.User)
	a.finish(err)
}

// maxGapPages bounds what is fetched to fill one gap.
const maxGapPages = 20

// onGap fetches what was missed, oldest first, or says in the room that something is missing.
func onGap(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Gap)
	i := a.bt.i
	if !e.Fillable || !i.remote.Can(sdk.AbilityHistory) {
		a.p.say(ctx, fmt.Sprintf("%s: messages between %s and %s may be missing here.", a.b.title(), e.From.UTC().Format("2006-01-02 15:04"), e.To.UTC().Format("2006-01-02 15:04 UTC")))
		a.ok()
		return
	}
	after := sdk.Cursor("")
	for range maxGapPages {
		page, err := i.remote.FetchHistory(ctx, sdk.HistoryRequest{Portal: a.head.Portal, Login: a.head.Login, After: after, Since: e.From, Until: e.To, Limit: 100})
		if err != nil {
			a.b.log.Warn("a gap could not be filled", "portal", a.p.key, "error", err)
			break
		}
		for _, ev := range page.Events {
			if o := a.past(ctx, ev); o.err != nil {
				a.done(o)
				return
			}
		}
		if page.Newer == "" || page.Newer == after {
			break
		}
		after = page.Newer
	}
	a.ok()
}

// past works on one event of a page of history.
func (a *arrival) past(ctx context.Context, ev sdk.Event) outcome {
	h, room := handlerOf(ev)
	if h == nil || !room {
		return outcome{}
	}
	head := ev.Head()
	head.History = true
	if head.Portal != a.head.Portal || checkHeader(head) != nil {
		return outcome{}
	}
	result := make(chan outcome, 1)
	one := &arrival{b: a.b, bt: a.bt, p: a.p, head: head, event: ev, done: func(o outcome) { result <- o }}
	h(ctx, one)
	select {
	case o := <-result:
		return o
	case <-ctx.Done():
		return outcome{err: ctx.Err()}
	}
}
