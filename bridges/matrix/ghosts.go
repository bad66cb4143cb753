package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ghostBook remembers the ghosts that were used since the start. It holds at most
// maxGhosts; when it is full an arbitrary half is forgotten and read again from
// the host's state when needed.
type ghostBook struct {
	mu     sync.Mutex
	ghosts map[id.UserID]*ghost
}

const maxGhosts = 20000

// ghost is the Matrix user of one XMPP person.
type ghost struct {
	matrixid.Ghost

	mu         sync.Mutex // held while the homeserver is asked
	registered bool
	loaded     bool
	saved      ghostRecord
	show       shown
}

// ghostRecord is what the host keeps of a ghost, under "ghost/" and its localpart.
type ghostRecord struct {
	Person  string `json:"person,omitempty"`
	Address string `json:"address,omitempty"` // of a hashed one
	Name    string `json:"name,omitempty"`
	Avatar  string `json:"avatar,omitempty"` // key of the face that was uploaded
}

func newGhostBook() *ghostBook { return &ghostBook{ghosts: map[id.UserID]*ghost{}} }

func (b *ghostBook) get(g matrixid.Ghost) *ghost {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.ghosts[id.UserID(g.UserID)]
	if !ok {
		if len(b.ghosts) >= maxGhosts {
			n := 0
			for key := range b.ghosts {
				if n++; n > maxGhosts/2 {
					break
				}
				delete(b.ghosts, key)
			}
		}
		known = &ghost{Ghost: g}
		b.ghosts[id.UserID(g.UserID)] = known
	}
	return known
}

func (g *ghost) id() id.UserID { return id.UserID(g.UserID) }

func (g *ghost) key() string { return "ghost/" + g.Localpart }

// nameOf gives the ghost's names, without any traffic.
func (c *Connector) nameOf(s sdk.Sender) (matrixid.Ghost, error) {
	self, err := c.me()
	if err != nil {
		return matrixid.Ghost{}, err
	}
	switch {
	case s.Address != "":
		return self.ns.Person(s.Address), nil
	case s.Occupant != "":
		return self.ns.Occupant(s.Occupant), nil
	}
	return matrixid.Ghost{}, sdk.Refuse(sdk.CodeInvalid, "the sender has neither an address nor an occupant id")
}

// ghostOf makes sure that the sender has a user on the homeserver, with her name
// and face.
func (c *Connector) ghostOf(ctx context.Context, s sdk.Sender) (*ghost, error) {
	names, err := c.nameOf(s)
	if err != nil {
		return nil, err
	}
	g := c.ghosts.get(names)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := c.load(ctx, g); err != nil {
		return nil, err
	}
	if !g.registered {
		if err := c.register(ctx, g.Localpart); err != nil {
			return nil, err
		}
		g.registered = true
	}
	want := g.saved
	want.Person = string(s.Person)
	if g.Hashed {
		want.Address = s.Address
	}
	if want != g.saved {
		c.save(ctx, g, want)
	}
	if s.Name != "" && s.Name != g.saved.Name {
		c.rename(ctx, g, s.Name)
	}
	if s.Avatar != nil && faceKey(s.Avatar) != g.saved.Avatar {
		c.paint(ctx, g, s.Avatar)
	}
	return g, nil
}

// load reads what the host keeps of a ghost; g.mu is held.
func (c *Connector) load(ctx context.Context, g *ghost) error {
	if g.loaded {
		return nil
	}
	entry, err := c.host.State().Get(ctx, g.key())
	switch {
	case errors.Is(err, sdk.ErrNotFound):
	case err != nil:
		return err
	default:
		// What cannot be read is written anew.
		_ = json.Unmarshal(entry.Value, &g.saved)
		g.registered = true
	}
	g.loaded = true
	return nil
}

func (c *Connector) save(ctx context.Context, g *ghost, r ghostRecord) {
	raw, err := json.Marshal(r)
	if err == nil {
		_, err = c.host.State().Put(ctx, g.key(), raw, sdk.AnyRevision)
	}
	if err != nil {
		c.log.Warn("ghost not saved", "ghost", g.UserID, "error", err)
		return
	}
	g.saved = r
}

// register makes the user; one that exists is as good.
func (c *Connector) register(ctx context.Context, localpart string) error {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	api := c.hs.as("")
	api.SetAppServiceUserID = false
	_, _, err := api.Register(ctx, &mautrix.ReqRegister[any]{Username: localpart, Type: mautrix.AuthTypeAppservice, InhibitLogin: true})
	if err == nil || errcode(err) == "M_USER_IN_USE" {
		return nil
	}
	return explain("the homeserver does not make a user for you", err)
}

// rename sets the display name. A failure costs the name, not the message.
func (c *Connector) rename(ctx context.Context, g *ghost, name string) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	if err := c.hs.as(g.id()).SetDisplayName(ctx, short(name, 250)); err != nil {
		c.log.Warn("name not set", "ghost", g.UserID, "error", err)
		return
	}
	r := g.saved
	r.Name = name
	c.save(ctx, g, r)
}

// paint sets the face, or removes it.
func (c *Connector) paint(ctx context.Context, g *ghost, face *sdk.Media) {
	uri := id.ContentURI{}
	if face.ID != "" {
		var err error
		if uri, err = c.upload(ctx, g.id(), sdk.MediaRequest{ID: face.ID}, *face); err != nil {
			c.log.Warn("face not uploaded", "ghost", g.UserID, "error", err)
			return
		}
	}
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	if err := c.setFace(ctx, g.id(), uri); err != nil {
		c.log.Warn("face not set", "ghost", g.UserID, "error", err)
		return
	}
	r := g.saved
	r.Avatar = faceKey(face)
	c.save(ctx, g, r)
}

func (c *Connector) setFace(ctx context.Context, user id.UserID, uri id.ContentURI) error {
	api := c.hs.as(user)
	value := ""
	if !uri.IsEmpty() {
		value = uri.String()
	}
	_, err := api.MakeRequest(ctx, http.MethodPut, api.BuildClientURL("v3", "profile", user, "avatar_url"), map[string]string{"avatar_url": value}, nil)
	return err
}

func faceKey(m *sdk.Media) string {
	if m.Key != "" {
		return m.Key
	}
	return string(m.ID)
}

// dressBot registers the bot and gives it a name.
func (c *Connector) dressBot(ctx context.Context) error {
	hs, bot, err := c.bot()
	if err != nil {
		return err
	}
	if err := c.register(ctx, c.reg.SenderLocalpart); err != nil {
		return err
	}
	ctx, cancel := hs.limited(ctx)
	defer cancel()
	api := hs.as(bot)
	if got, err := api.GetDisplayName(ctx, bot); err == nil && got.DisplayName == c.conf.BotName {
		return nil
	}
	if err := api.SetDisplayName(ctx, c.conf.BotName); err != nil {
		c.log.Warn("bot not named", "error", err)
	}
	return nil
}

// party says who a Matrix user is: an XMPP person, or somebody of Matrix.
func (c *Connector) party(ctx context.Context, user id.UserID) (p sdk.Party, own bool) {
	self := c.self.Load()
	if self == nil || user == "" {
		return sdk.Party{User: sdk.RemoteUserID(user)}, false
	}
	if user == self.bot {
		return sdk.Party{User: sdk.RemoteUserID(user)}, true
	}
	names, ok := self.ns.Read(string(user))
	if !ok {
		return sdk.Party{User: sdk.RemoteUserID(user)}, false
	}
	// Of a hashed name or an occupant only the host's record tells whom.
	g := c.ghosts.get(names)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := c.load(ctx, g); err != nil {
		c.log.Warn("ghost not found", "ghost", g.UserID, "error", err)
	}
	p = sdk.Party{Person: sdk.PersonID(g.saved.Person), Address: firstOf(names.Address, g.saved.Address)}
	if p.IsZero() {
		p.User = sdk.RemoteUserID(user)
	}
	return p, true
}

// ours reports whether a user is the bot or one of our ghosts.
func (c *Connector) ours(user id.UserID) bool {
	self := c.self.Load()
	return self != nil && (user == self.bot || self.ns.Owns(string(user)))
}

// shown is the presence a ghost was given last.
type shown struct {
	presence event.Presence
	status   string
}
