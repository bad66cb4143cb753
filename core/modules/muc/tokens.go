package muc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// tableTokens holds invitation tokens: owner room, key the token.
const tableTokens = "muc.tokens"

// Bounds of tokens (XEP-0488 §7: a service sets a reasonable maximum).
const (
	maxTokens     = 500
	maxOwnTokens  = 50
	maxTokenDelay = 366 * 24 * time.Hour
	tokenDelay    = 7 * 24 * time.Hour // if the request names none
	anyNumber     = -1
)

// tokensFeature: tokens with which somebody whose address is not known becomes a member (XEP-0488). Who may invite may make them.
func tokensFeature(d *dispatch) {
	d.tables = append(d.tables, tableTokens)
	d.onIQ(stanza.TypeSet, ns.MUCTokenInvite, "request", exclusive, (*actor).makeToken)
	d.onIQ(stanza.TypeGet, ns.MUCTokenInvite, "tokens", exclusive, (*actor).listTokens)
	d.onIQ(stanza.TypeSet, ns.MUCTokenInvite, "revoke", exclusive, (*actor).revokeToken)
	d.info = append(d.info, func(*actor, jid.JID, *form.Form) []string { return []string{ns.MUCTokenInvite} })
}

// token is one invitation token.
type token struct {
	By   string    `json:"by"`   // bare JID of who made it
	Ends time.Time `json:"ends"` // not valid from then on
	Left int       `json:"left"` // how many people it still makes members; anyNumber: as many as come
}

func (a *actor) valid(t token) bool {
	by, err := jid.Parse(t.By)
	return err == nil && t.Left != 0 && a.m.d.Clock.Now().Before(t.Ends) && a.mayIssue(by)
}

// mayIssue tells whether somebody may make people members: as by an invitation into a members-only room (XEP-0045 §9.5, XEP-0488 §7).
func (a *actor) mayIssue(who jid.JID) bool {
	af := a.room.Affiliation(who)
	return af >= room.Admin || af >= room.Member && a.room.Config.AllowInvites
}

// loadTokens reads the tokens of the room when they are first needed.
func (a *actor) loadTokens() error {
	if a.extra.tokens != nil {
		return nil
	}
	rows, err := a.m.d.Store.Table(tableTokens).Range(a.ctx, a.jid.String(), "", "", maxTokens, false)
	if err != nil {
		return fmt.Errorf("muc: read tokens: %w", err)
	}
	list := make(map[string]token, len(rows))
	for _, r := range rows {
		var t token
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return fmt.Errorf("muc: read tokens: %w", err)
		}
		list[r.Key] = t
	}
	a.extra.tokens = list
	return nil
}

func (a *actor) putToken(u *journal.Unit, text string, t token) {
	b, err := json.Marshal(t)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("muc: encode token: %v", err))
	}
	u.Add(storage.PutRow{Table: tableTokens, Owner: a.jid.String(), Key: text, Value: b})
	a.trace(u, t.By)
}

func (a *actor) dropToken(u *journal.Unit, text string) {
	u.Add(storage.DeleteRow{Table: tableTokens, Owner: a.jid.String(), Key: text})
}

// issuer checks that the asker may make tokens, and has the room's tokens read; if not, she is refused (XEP-0488 §3.2, §3.7).
func (a *actor) issuer(in *inbound) bool {
	if a.room == nil {
		a.noRoom(in)
		return false
	}
	if !a.mayIssue(in.st.From) {
		a.refuse(in, stanza.NewError(stanza.Forbidden, "you may not invite people into this room"))
		return false
	}
	if err := a.loadTokens(); err != nil {
		a.refuse(in, err)
		return false
	}
	return true
}

// makeToken: XEP-0488 §3.2, §3.3.
func (a *actor) makeToken(in *inbound) {
	if !a.issuer(in) {
		return
	}
	t, err := a.tokenOf(in)
	if err != nil {
		a.refuse(in, err)
		return
	}
	all, own := 0, 0
	var over []string
	for text, o := range a.extra.tokens {
		switch {
		case !a.valid(o):
			over = append(over, text)
			continue
		case o.By == t.By:
			own++
		}
		all++
	}
	if all >= maxTokens || own >= maxOwnTokens {
		a.refuse(in, stanza.NewError(stanza.ResourceConstraint, "there are too many tokens; revoke some first"))
		return
	}
	text := a.m.newID() + a.m.newID() // 160 random bits
	for _, o := range over {
		a.dropToken(in.u, o)
	}
	a.putToken(in.u, text, t)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		for _, o := range over {
			delete(a.extra.tokens, o)
		}
		a.extra.tokens[text] = t
		a.answer(in, a.tokenNode(text, t))
	})
}

// tokenOf reads a request for a token.
func (a *actor) tokenOf(in *inbound) (token, error) {
	t := token{By: in.st.From.Bare().String(), Left: anyNumber}
	delay := tokenDelay
	q := in.query()
	if s, ok := q.AttrOK("delay"); ok {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 0 {
			return t, stanza.NewError(stanza.BadRequest, "the delay is not a number of seconds")
		}
		delay = min(time.Duration(n)*time.Second, maxTokenDelay)
	}
	if s, ok := q.AttrOK("counter"); ok {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 0 {
			return t, stanza.NewError(stanza.BadRequest, "the counter is not a number of people")
		}
		t.Left = int(min(n, 1<<30))
	}
	t.Ends = a.m.d.Clock.Now().Add(delay).UTC()
	return t, nil
}

// tokenNode shows a token with what is left of it (XEP-0488 §3.3, §3.6).
func (a *actor) tokenNode(text string, t token) *xmlstream.Node {
	left := t.Ends.Sub(a.m.d.Clock.Now()).Round(time.Second)
	n := xmlstream.NewNode(ns.MUCTokenInvite, "token", "delay", strconv.FormatInt(int64(left/time.Second), 10))
	if t.Left != anyNumber {
		n.SetAttr("counter", strconv.Itoa(t.Left))
	}
	return n.SetText(text)
}

// mayRevoke: one's own tokens, and moderators everybody's (XEP-0488 §7).
func (a *actor) mayRevoke(who jid.JID, t token) bool {
	actor := a.room.ActorOf(who)
	return t.By == who.Bare().String() || actor.Affiliation >= room.Admin || actor.Role == room.Moderator
}

// listTokens: XEP-0488 §3.6.
func (a *actor) listTokens(in *inbound) {
	if !a.issuer(in) {
		return
	}
	var names []string
	for text, t := range a.extra.tokens {
		if a.valid(t) && a.mayRevoke(in.st.From, t) {
			names = append(names, text)
		}
	}
	slices.Sort(names)
	list := xmlstream.NewNode(ns.MUCTokenInvite, "tokens")
	for _, text := range names {
		t := a.extra.tokens[text]
		list.Add(a.tokenNode(text, t).SetAttr("creator", t.By))
	}
	a.reply(in, in.st.Result(list))
}

// revokeToken: XEP-0488 §3.7.
func (a *actor) revokeToken(in *inbound) {
	if !a.issuer(in) {
		return
	}
	text := in.query().TextContent()
	if t, ok := a.extra.tokens[text]; !ok || !a.mayRevoke(in.st.From, t) {
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such token"))
		return
	}
	a.dropToken(in.u, text)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		delete(a.extra.tokens, text)
		a.answer(in, nil)
	})
}

// present looks whether what somebody who enters gives as a password is a token (XEP-0488 §3.5). It counts once: whoever has an affiliation keeps
// the token in her bookmarks, and it lets her pass the password as long as it is valid, but is not used up (§4).
func (a *actor) present(j *joining) error {
	text := j.request.Password
	af := a.room.Affiliation(j.request.Who)
	if text == "" || af == room.Outcast || a.room.Config.Locked || text == a.room.Config.Password {
		return nil
	}
	if err := a.loadTokens(); err != nil {
		return err
	}
	t, ok := a.extra.tokens[text]
	switch {
	case ok && a.valid(t):
		j.request.Invited = true
		if af == room.None {
			j.token = text
		}
	case af == room.None && a.room.Config.MembersOnly && a.room.Config.Password == "":
		// §3.5, §4: it can only have been a token.
		return &stanza.Error{Condition: stanza.NotAuthorized, Text: "this invitation is not valid any more",
			App: xmlstream.NewNode(ns.MUCTokenInvite, "expired-token")}
	}
	return nil
}

// redeem adds the rows that make somebody a member by a token, and the one of what is left of it.
func (a *actor) redeem(in *inbound, j joining) error {
	if j.token == "" {
		return nil
	}
	t := a.extra.tokens[j.token]
	if err := a.room.CheckPlace(1); err != nil {
		return err
	}
	by, err := jid.Parse(t.By)
	if err != nil {
		return fmt.Errorf("muc: redeem token: %w", err)
	}
	v := &event.RoomAffiliation{Room: a.jid, Actor: event.Occupant{Room: a.jid, Real: by, Affiliation: a.room.Affiliation(by).String()},
		Target: j.request.Who.Bare(), Affiliation: room.Member.String(), PreviousAffiliation: room.None.String(), Unit: in.u}
	if err := decide(a, &a.m.ev.Affiliation, v, nil); err != nil {
		var pe *event.PendingError
		if errors.As(err, &pe) {
			return stanza.NewError(stanza.NotAcceptable, "members of this room are added by an admin, not by an invitation")
		}
		return err
	}
	a.saveAffiliations(in.u, j.membership())
	if t.Left == anyNumber {
		return nil
	}
	if t.Left--; t.Left == 0 {
		a.dropToken(in.u, j.token)
	} else {
		a.putToken(in.u, j.token, t)
	}
	return nil
}

// membership is what a token gives.
func (j joining) membership() []room.AffiliationChange {
	return []room.AffiliationChange{{Target: j.request.Who.Bare().String(), Affiliation: room.Member}}
}

// redeemed makes a committed membership the room's.
func (a *actor) redeemed(j joining) {
	if j.token == "" {
		return
	}
	if t := a.extra.tokens[j.token]; t.Left != anyNumber {
		if t.Left--; t.Left == 0 {
			delete(a.extra.tokens, j.token)
		} else {
			a.extra.tokens[j.token] = t
		}
	}
	a.applyAffiliations(j.membership(), room.Actor{Service: true})
}
