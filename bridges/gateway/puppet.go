package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// profile is what is stored of a puppet.
type profile struct {
	Name      string           `json:"name,omitempty"`
	Username  string           `json:"username,omitempty"`
	Title     string           `json:"title,omitempty"`
	Link      string           `json:"link,omitempty"`
	Bot       bool             `json:"bot,omitempty"`
	Deleted   bool             `json:"deleted,omitempty"`
	NoAddress bool             `json:"noaddress,omitempty"`
	Face      *sdk.Media       `json:"face,omitempty"` // as the network names it
	FaceKey   string           `json:"facekey,omitempty"`
	FaceHash  string           `json:"facehash,omitempty"` // SHA-1 of the picture, once we have it (XEP-0153)
	Via       sdk.RemoteUserID `json:"via,omitempty"`      // of a persona: whose it is
}

// puppet is a remote person with her address here.
type puppet struct {
	remote sdk.RemoteUserID
	jid    jid.JID

	mu      sync.Mutex
	profile profile
}

func (q *puppet) get() profile {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.profile
}

// puppetTable is the puppets in use. Beyond maxPuppets those that are not being used are forgotten; they are in the store.
type puppetTable struct {
	b      *Bridge
	mu     sync.Mutex
	remote map[sdk.RemoteUserID]*puppet
}

const maxPuppets = 50000

func (t *puppetTable) init(b *Bridge) {
	t.b, t.remote = b, map[sdk.RemoteUserID]*puppet{}
}

// known returns a puppet that has been seen before, or nil.
func (t *puppetTable) known(ctx context.Context, id sdk.RemoteUserID) (*puppet, error) {
	t.mu.Lock()
	q := t.remote[id]
	t.mu.Unlock()
	if q != nil {
		return q, nil
	}
	row, err := t.b.m.d.Store.Gateway().Puppet(ctx, t.b.spec.Name, string(id))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: read puppet: %w", err)
	}
	return t.adopt(row)
}

// byJID returns the puppet that has an address, or nil.
func (t *puppetTable) byJID(ctx context.Context, at jid.JID) (*puppet, error) {
	row, err := t.b.m.d.Store.Gateway().PuppetByJID(ctx, at.Bare().String())
	if errors.Is(err, storage.ErrNotFound) || err == nil && row.Bridge != t.b.spec.Name {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: read puppet: %w", err)
	}
	return t.adopt(row)
}

func (t *puppetTable) adopt(row storage.Puppet) (*puppet, error) {
	q := &puppet{remote: sdk.RemoteUserID(row.Remote)}
	var err error
	if q.jid, err = jid.Parse(row.JID); err == nil {
		err = json.Unmarshal(row.State, &q.profile)
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: read puppet: %w", err)
	}
	return t.keep(q), nil
}

// keep puts a puppet into memory, or returns the one that is there.
func (t *puppetTable) keep(q *puppet) *puppet {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.remote[q.remote]; old != nil {
		return old
	}
	if len(t.remote) >= maxPuppets {
		clear(t.remote)
	}
	t.remote[q.remote] = q
	return q
}

// ensure returns the puppet of a remote person. fresh is what is known of her now, if anything; somebody who was never seen is asked for.
func (t *puppetTable) ensure(ctx context.Context, id sdk.RemoteUserID, in sdk.PortalKey, fresh *sdk.UserInfo) (*puppet, error) {
	q, err := t.known(ctx, id)
	if err != nil {
		return nil, err
	}
	if q == nil && fresh == nil {
		fresh = t.ask(ctx, id, in)
	}
	switch {
	case q == nil:
		return t.make(ctx, id, fresh)
	case fresh != nil:
		_, err := t.update(ctx, q, *fresh)
		return q, err
	}
	return q, nil
}

// ensureAll returns the puppets of the members of a page: those who are new are stored in one unit.
func (t *puppetTable) ensureAll(ctx context.Context, members []sdk.Member) (map[sdk.RemoteUserID]*puppet, error) {
	out := map[sdk.RemoteUserID]*puppet{}
	codec := t.b.codecNow()
	u := newLinkUnit(t.b.spec.Name)
	var fresh []*puppet
	for _, m := range members {
		id := m.User.ID
		if id == "" || !validID(string(id)) || out[id] != nil || codec == nil {
			continue
		}
		q, err := t.known(ctx, id)
		if err != nil {
			return nil, err
		}
		if q != nil {
			if _, err := t.update(ctx, q, m.User); err != nil {
				return nil, err
			}
			out[id] = q
			continue
		}
		a, err := codec.User(id)
		if err != nil {
			continue
		}
		q = &puppet{remote: id, jid: a.JID, profile: profileOf(profile{}, &m.User)}
		row, err := t.row(q, q.profile)
		if err != nil {
			return nil, err
		}
		u.Add(row)
		fresh = append(fresh, q)
		out[id] = q
	}
	if len(fresh) == 0 {
		return out, nil
	}
	if err := t.b.m.commit(ctx, u); err != nil {
		return nil, fmt.Errorf("gateway: store puppets: %w", err)
	}
	for _, q := range fresh {
		kept := t.keep(q)
		out[q.remote] = kept
		t.b.faces.want(kept)
	}
	return out, nil
}

// askTimeout bounds a question about somebody: a message does not wait longer for its author's name.
const askTimeout = 5 * time.Second

func (t *puppetTable) ask(ctx context.Context, id sdk.RemoteUserID, in sdk.PortalKey) *sdk.UserInfo {
	i := t.b.current()
	if i == nil {
		return &sdk.UserInfo{ID: id}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	info, err := i.remote.UserInfo(ctx, sdk.UserInfoRequest{User: id, Portal: in})
	if err != nil || info.ID != id {
		return &sdk.UserInfo{ID: id}
	}
	return &info
}

// make stores a puppet.
func (t *puppetTable) make(ctx context.Context, id sdk.RemoteUserID, u *sdk.UserInfo) (*puppet, error) {
	codec := t.b.codecNow()
	if codec == nil {
		return nil, sdk.ErrSessionLost
	}
	a, err := codec.User(id)
	if err != nil {
		return nil, fmt.Errorf("gateway: puppet: %w", err)
	}
	q := &puppet{remote: id, jid: a.JID, profile: profileOf(profile{}, u)}
	if err := t.store(ctx, q, q.profile); err != nil {
		return nil, err
	}
	q = t.keep(q)
	t.b.faces.want(q)
	return q, nil
}

func (t *puppetTable) row(q *puppet, p profile) (storage.PutPuppet, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return storage.PutPuppet{}, fmt.Errorf("gateway: encode puppet: %w", err)
	}
	return storage.PutPuppet{Puppet: storage.Puppet{Bridge: t.b.spec.Name, Remote: string(q.remote), JID: q.jid.String(), State: b}}, nil
}

func (t *puppetTable) store(ctx context.Context, q *puppet, p profile) error {
	row, err := t.row(q, p)
	if err != nil {
		return err
	}
	u := journal.NewUnit(journal.LinkLane(t.b.spec.Name))
	u.Add(row)
	if err := t.b.m.commit(ctx, u); err != nil {
		return fmt.Errorf("gateway: store puppet: %w", err)
	}
	return nil
}

// profileOf is a profile with what is new.
func profileOf(p profile, u *sdk.UserInfo) profile {
	if u == nil {
		return p
	}
	p.Name, p.Bot, p.Deleted, p.NoAddress = mappings.Cut(u.Name, 200, 1000), u.Bot, u.Deleted, u.NoAddress
	p.Username, p.Title, p.Link = mappings.Cut(u.Username, 200, 1000), mappings.Cut(u.Title, 200, 1000), mappings.Cut(u.Link, 500, 1000)
	if u.Deleted {
		p.Name = "Deleted user"
	}
	if u.Avatar != nil {
		key := faceKey(*u.Avatar)
		if key == "" {
			p.Face, p.FaceKey, p.FaceHash = nil, "", ""
		} else if key != p.FaceKey {
			face := *u.Avatar
			p.Face, p.FaceKey, p.FaceHash = &face, key, ""
		}
	}
	return p
}

func faceKey(m sdk.Media) string { return firstOf(m.Key, string(m.ID)) }

// update changes a profile, and shows the change wherever the puppet is.
func (t *puppetTable) update(ctx context.Context, q *puppet, u sdk.UserInfo) (changed bool, err error) {
	old := q.get()
	next := profileOf(old, &u)
	if sameProfile(old, next) {
		return false, nil
	}
	if err := t.store(ctx, q, next); err != nil {
		return false, err
	}
	q.mu.Lock()
	q.profile = next
	q.mu.Unlock()
	t.b.faces.want(q)
	t.b.reshow(ctx, q)
	return true, nil
}

func sameProfile(a, b profile) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// name is what a puppet is called.
func (q *puppet) name() string {
	p := q.get()
	return firstOf(p.Name, p.Username, string(q.remote))
}

// from says where a person is from, for nicks that are taken: the last part of her id, if it has several.
func (b *Bridge) from(id sdk.RemoteUserID) string {
	s := string(id)
	if i := strings.LastIndexAny(s, ":@"); i > 0 {
		return s[i+1:]
	}
	return b.title()
}

// change is the puppet as an occupant of a portal. member is what is known of her standing there; nil leaves what is.
func (b *Bridge) change(ctx context.Context, p *portal, q *puppet, nick string, member *sdk.Role) event.OccupantChange {
	name := firstOf(nick, q.name())
	nicks := mappings.Nicks(name, q.remote, b.from(q.remote))
	if b.imitates(p, nicks[0]) {
		nicks = nicks[1:]
	}
	c := event.OccupantChange{ID: string(q.remote), Puppet: q.jid, Nick: nicks[0], Fallbacks: nicks[1:], Presence: b.presenceOf(q)}
	if member != nil {
		s := mappings.StandingOf(*member)
		c.Affiliation, c.Role = s.Affiliation, s.Role
	}
	if p.link() != nil { // rights in a linked room are those of the room: its puppets have voice, or none
		if c.Affiliation = ""; c.Role != "visitor" {
			c.Role = "participant"
		}
	}
	return c
}

// imitates tells whether a nick would be taken for that of a person who is in the room or of an account here.
func (b *Bridge) imitates(p *portal, nick string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for j := range p.people {
		names = append(names, j.Local())
	}
	return mappings.LooksLike(nick, names) || mappings.LooksLike(nick, p.nicks())
}

// presenceOf is what a puppet shows: how available she is, and the hash of her face (XEP-0153).
func (b *Bridge) presenceOf(q *puppet) []*xmlstream.Node {
	s := b.shown.of(q.remote)
	var out []*xmlstream.Node
	if s.show.Show != "" {
		out = append(out, xmlstream.NewNode(ns.Client, "show").SetText(s.show.Show))
	}
	if s.show.Unavailable { // an occupant is present; that nobody sits there is "away"
		out = append(out, xmlstream.NewNode(ns.Client, "show").SetText("xa"))
	}
	if s.status != "" {
		out = append(out, xmlstream.NewNode(ns.Client, "status").SetText(s.status))
	}
	x := xmlstream.NewNode(ns.VCardUpdate, "x")
	if p := q.get(); p.FaceHash != "" || p.FaceKey == "" {
		x.AddNew("photo").SetText(p.FaceHash)
	}
	return append(out, x)
}

// reshow shows a changed puppet in all rooms in which it is.
func (b *Bridge) reshow(ctx context.Context, q *puppet) {
	for _, p := range b.portals.all() {
		p.mu.Lock()
		_, here := p.present[q.jid]
		p.mu.Unlock()
		if !here {
			continue
		}
		b.m.run(func(base context.Context) {
			if err := p.set(base, []event.OccupantChange{b.change(base, p, q, "", nil)}); err != nil {
				b.log.Warn("a changed person could not be shown", "room", p.room().String(), "error", err)
			}
		})
	}
}
