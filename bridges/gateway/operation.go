package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maker makes the operation of one sort of note; nil without an error: there is nothing to do.
type maker func(ctx context.Context, p *portal, n *note, h sdk.OpHeader, st *stanza.Stanza) (sdk.Op, error)

// makerOf is the table of sorts.
func makerOf(op string) maker {
	switch op {
	case opSay:
		return makeSay
	case opCorrect:
		return makeCorrect
	case opRetract:
		return makeRetract
	case opReact:
		return makeReact
	case opTopic:
		return makeTopic
	case opModerate:
		return makeModerate
	case opProfile:
		return makeProfile
	case opInvite:
		return makeInvite
	}
	return nil
}

// operation builds what the plugin is given.
func (p *portal) operation(ctx context.Context, f *flight, head storage.Stored) (sdk.Op, error) {
	st, err := stanza.Unmarshal(head.Body)
	if err != nil {
		return nil, sdk.Refuse(sdk.CodeInvalid, "the message cannot be read")
	}
	make := makerOf(f.note.Op)
	if make == nil {
		return nil, sdk.Unsupported("this operation")
	}
	n := &f.note
	h := sdk.OpHeader{ID: f.id, Time: head.Msg.Time(), Attempt: n.Attempt + 1, Doubt: n.Sent, Prior: n.Prior, Sender: p.sender(ctx, n), Login: p.b.loginOf(n.bare())}
	return make(ctx, p, n, h, st)
}

func (p *portal) sender(ctx context.Context, n *note) sdk.Sender {
	s := p.b.sender(ctx, n.bare(), n.ID, n.Nick, n.Full)
	s.Role = n.Role
	p.address(ctx, &s)
	return s
}

// content reads a message of ours for the network.
func (p *portal) content(ctx context.Context, n *note, st *stanza.Stanza) sdk.Content {
	in := mappings.ReadMessage(st.Payload, p.readOptions(ctx))
	c := in.Content
	if c.ReplyTo != nil && n.Reply != 0 {
		c.ReplyTo.Target = p.ref(ctx, n.archive(p), n.Reply)
		if from, text, ok := p.said(ctx, n.archive(p), n.Reply); ok {
			c.ReplyTo.Author = from
			if c.ReplyTo.Excerpt == "" {
				c.ReplyTo.Excerpt = mappings.Cut(text, mappings.MaxExcerpt, 4*mappings.MaxExcerpt)
			}
		}
	}
	c.Thread = p.thread(ctx, n, in.Thread)
	p.carry(ctx, &c)
	return c
}

// readOptions resolve who is called in a message.
func (p *portal) readOptions(ctx context.Context) mappings.ReadOptions {
	return mappings.ReadOptions{
		Mention: func(address string) (richtext.Mention, bool) {
			j, err := jid.Parse(address)
			if err != nil {
				return richtext.Mention{}, false
			}
			if j.Bare() == p.room() && j.IsFull() {
				return p.mentionNick(j.Resource())
			}
			return p.mentionJID(ctx, j.Bare())
		},
		Nick: p.mentionNick,
	}
}

func (p *portal) mentionNick(nick string) (richtext.Mention, bool) {
	var who jid.JID
	for _, q := range p.siblings() {
		q.mu.Lock()
		for j, n := range q.present {
			if n == nick {
				who = j
			}
		}
		for j, n := range q.guests {
			if n == nick {
				who = j
			}
		}
		q.mu.Unlock()
	}
	if who.IsZero() {
		return richtext.Mention{}, false
	}
	return p.mentionJID(p.b.m.base, who)
}

func (p *portal) mentionJID(ctx context.Context, j jid.JID) (richtext.Mention, bool) {
	if j.Domain() != p.b.spec.users() {
		s := sdk.Sender{Address: j.String()}
		p.address(ctx, &s)
		return richtext.Mention{Target: richtext.MentionUser, Person: string(p.b.m.person(j)), Address: s.Address}, j.HasLocal()
	}
	q, err := p.b.puppets.byJID(ctx, j)
	if err != nil || q == nil {
		return richtext.Mention{}, false
	}
	return richtext.Mention{Target: richtext.MentionUser, ID: string(q.remote), Address: j.String()}, true
}

// ref is everything the network knows a message of an archive by: the id map has rows of all portals of a linked room.
func (p *portal) ref(ctx context.Context, archive string, id storage.MessageID) sdk.MessageRef {
	pairs, err := p.b.m.d.Store.Gateway().ByStanza(ctx, archive, id)
	pairs = slices.DeleteFunc(pairs, func(x storage.IDPair) bool { return x.Bridge != p.b.spec.Name || x.Portal != p.key })
	if err != nil || len(pairs) == 0 {
		return sdk.MessageRef{}
	}
	r := sdk.MessageRef{ID: sdk.RemoteMessageID(pairs[0].Remote), Part: partOf(pairs[0].RemotePart), Time: pairs[0].At}
	for _, x := range pairs {
		r.Parts = append(r.Parts, sdk.Part{ID: partOf(x.RemotePart), Remote: sdk.RemoteMessageID(x.Remote), Time: x.At})
	}
	if ghost, ok := strings.CutPrefix(pairs[0].Author, ghostMark); ok {
		if j, err := jid.Parse(ghost); err == nil {
			r.Author = sdk.Party{Person: p.b.m.person(j)}
		}
		return r
	}
	if j, err := jid.Parse(pairs[0].Author); err == nil {
		r.Author = p.b.party(ctx, j)
	}
	return r
}

// ghostMark stands in the id map before the address of a remote person whose words another room of her own network got from us: there they are ours.
const ghostMark = "ghost:"

// authorOf is who wrote what we have sent, for the id map.
func (p *portal) authorOf(n *note) string {
	if n.bare().Domain() == p.b.spec.users() {
		return ghostMark + n.Bare
	}
	return n.Bare
}

// archive is what the id map calls the place where the messages of a portal are.
func (p *portal) archive() string {
	if p.room().IsZero() {
		return p.key
	}
	return p.room().String()
}

// said returns who wrote a message of the room, and what.
func (p *portal) said(ctx context.Context, archive string, id storage.MessageID) (nick, text string, ok bool) {
	if p.room().IsZero() {
		return "", "", false
	}
	kept, err := p.b.m.d.Store.Messages().Get(ctx, storage.Room, archive, id)
	if err != nil {
		return "", "", false
	}
	st, err := stanza.Unmarshal(kept.Body)
	if err != nil {
		return "", "", false
	}
	nick = st.From.Resource()
	if at, err := jid.Parse(kept.Peer); err == nil {
		nick = p.b.m.nameOf(ctx, at, nick)
	}
	return nick, mappings.ReadMessage(st.Payload, mappings.ReadOptions{}).Content.Body.Plain(), true
}

func makeSay(ctx context.Context, p *portal, n *note, h sdk.OpHeader, st *stanza.Stanza) (sdk.Op, error) {
	c := p.content(ctx, n, st)
	if c.Body.Empty() && len(c.Attachments) == 0 {
		return nil, nil
	}
	return &sdk.SendMessage{OpHeader: h, Content: c}, nil
}

// makeCorrect: what the network cannot change is said again, marked as a change.
func makeCorrect(ctx context.Context, p *portal, n *note, h sdk.OpHeader, st *stanza.Stanza) (sdk.Op, error) {
	c := p.content(ctx, n, st)
	t := p.ref(ctx, n.archive(p), n.Target)
	if p.b.can(sdk.AbilityEdit) && p.caps().Edit.Level != sdk.LevelNone && !t.IsZero() && !p.tooOld(p.caps().Edit.MaxAge, n.Target) {
		return &sdk.EditMessage{OpHeader: h, Target: t, Content: c}, nil
	}
	mark := richtext.Para(richtext.Italic(richtext.Text("edited:")))
	c.Body = richtext.Join(richtext.Doc(mark), c.Body)
	return &sdk.SendMessage{OpHeader: h, Content: c}, nil
}

func (p *portal) tooOld(most time.Duration, id storage.MessageID) bool {
	return most > 0 && p.b.m.d.Clock.Now().Sub(id.Time()) > most
}

func makeRetract(ctx context.Context, p *portal, n *note, h sdk.OpHeader, _ *stanza.Stanza) (sdk.Op, error) {
	t := p.ref(ctx, n.archive(p), n.Target)
	if t.IsZero() {
		return nil, nil // the network never had it
	}
	caps := p.caps()
	if !p.b.can(sdk.AbilityRetract) || caps.Retract.Level == sdk.LevelNone {
		return nil, sdk.Refuse(sdk.CodeUnsupported, "messages cannot be taken back on this network; those there still see it")
	}
	if p.tooOld(caps.Retract.MaxAge, n.Target) {
		return nil, sdk.Refuse(sdk.CodeTooOld, "the message is too old to be taken back on this network; those there still see it")
	}
	return &sdk.RetractMessage{OpHeader: h, Target: t, Moderated: n.Action != 0, Reason: n.Reason}, nil
}

func makeReact(ctx context.Context, p *portal, n *note, h sdk.OpHeader, st *stanza.Stanza) (sdk.Op, error) {
	t := p.ref(ctx, n.archive(p), n.Target)
	if t.IsZero() {
		return nil, nil
	}
	if !p.b.can(sdk.AbilityReact) || p.caps().Reactions.Level == sdk.LevelNone {
		if p.link() != nil {
			return nil, nil // the others have it
		}
		return nil, sdk.Refuse(sdk.CodeUnsupported, "there are no reactions on this network")
	}
	set := mappings.ReadMessage(st.Payload, mappings.ReadOptions{}).Emoji
	old, _, err := p.reactions(ctx, n.Target, n.Bare)
	if err != nil {
		return nil, sdk.RetryAfter(0, err)
	}
	op := &sdk.SetReactions{OpHeader: h, Target: t, Emoji: emoji(set)}
	op.Added, op.Removed = emoji(minus(set, old.Emoji)), emoji(minus(old.Emoji, set))
	if len(op.Added)+len(op.Removed) == 0 && !n.Sent {
		return nil, nil
	}
	return op, nil
}

func emoji(list []string) []sdk.Emoji {
	var out []sdk.Emoji
	for _, t := range list {
		out = append(out, sdk.Emoji{Text: t})
	}
	return out
}

func minus(a, b []string) []string {
	var out []string
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || x == y
		}
		if !found {
			out = append(out, x)
		}
	}
	return out
}

// makeTopic: what the portal has is not set again, so that two networks that report each other's changes come to rest.
func makeTopic(_ context.Context, p *portal, n *note, h sdk.OpHeader, st *stanza.Stanza) (sdk.Op, error) {
	c, _ := st.Child(ns.Client, "subject")
	topic, caps := c.Text(), p.caps().Topic
	if p.link() != nil {
		if !p.b.can(sdk.AbilityTopic) || caps.Level == sdk.LevelNone {
			return nil, nil
		}
		if caps.MaxLength > 0 {
			topic = mappings.Cut(topic, caps.MaxLength, 4*caps.MaxLength)
		}
	}
	p.mu.Lock()
	same := p.state.Topic == topic
	p.mu.Unlock()
	if same && !n.Sent && !n.Force {
		return nil, nil
	}
	return &sdk.SetTopic{OpHeader: h, Topic: topic}, nil
}

func makeModerate(_ context.Context, p *portal, n *note, h sdk.OpHeader, _ *stanza.Stanza) (sdk.Op, error) {
	if !p.b.can(sdk.AbilityModerate) {
		return nil, sdk.Unsupported("moderating")
	}
	return &sdk.Moderate{OpHeader: h, User: n.User, Action: sdk.ModerateAction(n.Action), Role: n.NewRole, Reason: n.Reason}, nil
}

func makeProfile(_ context.Context, p *portal, n *note, h sdk.OpHeader, _ *stanza.Stanza) (sdk.Op, error) {
	if !p.b.can(sdk.AbilityProfile) {
		return nil, nil
	}
	name := n.Nick
	return &sdk.ChangeProfile{OpHeader: h, Name: &name}, nil
}

func makeInvite(_ context.Context, p *portal, n *note, h sdk.OpHeader, _ *stanza.Stanza) (sdk.Op, error) {
	if !p.b.can(sdk.AbilityInvite) {
		return nil, sdk.Unsupported("inviting")
	}
	return &sdk.InviteUser{OpHeader: h, User: n.User, Reason: n.Reason}, nil
}

// party names somebody by her address here.
func (b *Bridge) party(ctx context.Context, j jid.JID) sdk.Party {
	if j.Domain() == b.spec.users() {
		q, err := b.puppets.byJID(ctx, j)
		if err != nil || q == nil {
			return sdk.Party{}
		}
		return sdk.Party{User: q.remote}
	}
	return sdk.Party{Person: b.m.person(j)}
}

// nameOf is what somebody is called: a remote person as on her own network, whatever nick a room had to give her.
func (m *Module) nameOf(ctx context.Context, at jid.JID, nick string) string {
	b := m.byHost[at.Domain()]
	if b == nil {
		return nick
	}
	if !at.HasLocal() {
		return b.title()
	}
	if q, err := b.puppets.byJID(ctx, at); err == nil && q != nil {
		return q.name()
	}
	return nick
}

// sender describes an XMPP person to the network, or somebody of another network who is in the same linked room.
func (b *Bridge) sender(ctx context.Context, bare jid.JID, occupant, name, _ string) sdk.Sender {
	if b.m.byHost[bare.Domain()] != nil {
		s := sdk.Sender{Person: b.m.person(bare), Address: bare.String(), Name: b.m.nameOf(ctx, bare, firstOf(name, bare.Local())), Avatar: b.faceOf(ctx, bare)}
		if !bare.HasLocal() { // the bridge itself
			s.Address, s.Occupant = "", bare.Domain()
		}
		return s
	}
	s := sdk.Sender{Person: b.m.person(bare), Address: bare.String(), Occupant: occupant, Name: firstOf(name, bare.Local()),
		Foreign: !b.m.d.Hosts.IsAccountDomain(bare.Domain())}
	s.Avatar = b.faceOf(ctx, bare)
	return s
}

// remember stores whom a person id stands for.
func (b *Bridge) remember(ctx context.Context, bare jid.JID) error {
	t := b.m.d.Store.Table(tablePersons)
	id := string(b.m.person(bare))
	if _, err := t.Get(ctx, "", id); err == nil || !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	u := newLinkUnit(b.spec.Name)
	u.Add(personRow(b.m.person(bare), bare))
	if err := b.m.commit(ctx, u); err != nil {
		return fmt.Errorf("gateway: store person: %w", err)
	}
	return nil
}

func personRow(id sdk.PersonID, bare jid.JID) storage.PutRow {
	return storage.PutRow{Table: tablePersons, Owner: "", Key: string(id), Value: []byte(bare.String())}
}
