package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Faces: pictures of remote people and rooms are fetched once, by a few workers, and kept in the store (tableFaces), so that clients are answered from
// here. Bound: maxFaces wait; what is over that is wanted again with the next change.

const maxFaces = 10000

// faceJob is one picture to fetch, for a puppet or a room.
type faceJob struct {
	q     *puppet
	p     *portal
	media sdk.Media
}

type faceQueue struct {
	b       *Bridge
	mu      sync.Mutex
	jobs    []faceJob
	workers int
}

func (f *faceQueue) init(b *Bridge) { f.b = b }

// want fetches a puppet's picture if we do not have it.
func (f *faceQueue) want(q *puppet) {
	if p := q.get(); p.Face != nil && p.FaceHash == "" {
		f.add(faceJob{q: q, media: *p.Face})
	}
}

// wantRoom fetches a room's picture if it is another one.
func (f *faceQueue) wantRoom(p *portal, m sdk.Media) {
	p.mu.Lock()
	same := p.state.Avatar == faceKey(m)
	p.mu.Unlock()
	if !same && faceKey(m) != "" {
		f.add(faceJob{p: p, media: m})
	}
}

func (f *faceQueue) add(j faceJob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.jobs) >= maxFaces {
		return
	}
	f.jobs = append(f.jobs, j)
	if f.workers < f.b.m.o.Tune.AvatarWorkers && f.b.m.run(f.work) {
		f.workers++
	}
}

func (f *faceQueue) work(ctx context.Context) {
	for {
		f.mu.Lock()
		if len(f.jobs) == 0 || ctx.Err() != nil {
			f.workers--
			f.mu.Unlock()
			return
		}
		j := f.jobs[0]
		f.jobs = f.jobs[1:]
		f.mu.Unlock()
		if err := f.do(ctx, j); err != nil && ctx.Err() == nil {
			f.b.log.Debug("a picture could not be had", "error", err)
		}
	}
}

func (f *faceQueue) do(ctx context.Context, j faceJob) error {
	data, err := f.fetch(ctx, j.media)
	if err != nil {
		return err
	}
	if j.p != nil && j.p.link() != nil {
		return nil // a linked room has its own
	}
	if j.p != nil {
		if err := f.b.m.rooms.EnsureRoom(ctx, event.RoomSpec{Room: j.p.room(), Avatar: data}); err != nil {
			return fmt.Errorf("gateway: room picture: %w", err)
		}
		return j.p.save(ctx, func(s *portalState) { s.Avatar = faceKey(j.media) })
	}
	p := j.q.get()
	if p.FaceKey != faceKey(j.media) {
		return nil // changed meanwhile
	}
	p.FaceHash = hash.Avatar(data)
	if err := f.b.puppets.store(ctx, j.q, p); err != nil {
		return err
	}
	j.q.mu.Lock()
	j.q.profile.FaceHash = p.FaceHash
	j.q.mu.Unlock()
	f.b.reshow(ctx, j.q)
	f.b.tellWatchers(ctx, j.q)
	return nil
}

var errNoPicture = errors.New("gateway: this is no picture that clients show")

// fetch returns a picture, from the store or from the plugin. Only what is a picture by its first bytes is taken (attacks: 40: nothing is decoded).
func (f *faceQueue) fetch(ctx context.Context, m sdk.Media) ([]byte, error) {
	key := shortHash(faceKey(m)) + shortHash("2"+faceKey(m))
	t := f.b.m.d.Store.Table(tableFaces)
	if b, err := t.Get(ctx, f.b.spec.Name, key); err == nil {
		return b, nil
	}
	i := f.b.current()
	if i == nil {
		return nil, sdk.ErrSessionLost
	}
	ctx, cancel := context.WithTimeout(ctx, f.b.m.o.Tune.OpTimeout)
	defer cancel()
	var c sdk.MediaContent
	var err error
	if m.Lazy {
		c, err = i.remote.FetchMedia(ctx, sdk.MediaRequest{ID: m.ID, Thumbnail: 192})
	} else if f.b.m.o.Media != nil {
		c, err = f.b.m.o.Media.Open(ctx, f.b.spec.Name, sdk.MediaRequest{ID: m.ID})
	} else {
		return nil, errNoPicture
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: picture: %w", err)
	}
	limit := f.b.m.o.Tune.AvatarBytes
	b, err := io.ReadAll(io.LimitReader(c.Body, int64(limit)+1))
	_ = c.Body.Close() // read to its end, or given up
	if err != nil {
		return nil, fmt.Errorf("gateway: picture: %w", err)
	}
	if len(b) == 0 || len(b) > limit || pictureType(b) == "" {
		return nil, errNoPicture
	}
	u := newLinkUnit(f.b.spec.Name)
	u.Add(storage.PutRow{Table: tableFaces, Owner: f.b.spec.Name, Key: key, Value: b})
	return b, f.b.m.commit(ctx, u)
}

// pictureType is the media type of what clients show as a face; "" for anything else.
func pictureType(b []byte) string {
	switch t := http.DetectContentType(b); t {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return t
	}
	return ""
}

// ownFace marks the pictures of XMPP people among media ids; behind it stands the person's id, which says nothing of an address that a room hides.
const ownFace = "face:"

// faceOf is the picture of an account here, from its vCard; nil if it has none.
func (b *Bridge) faceOf(ctx context.Context, bare jid.JID) *sdk.Media {
	data := b.accountFace(ctx, bare)
	if data == nil {
		return nil
	}
	sum := hash.Avatar(data)
	m := &sdk.Media{ID: sdk.MediaID(ownFace + string(b.m.person(bare))), Key: sum, Type: pictureType(data), Size: int64(len(data)), Name: "face"}
	if b.m.o.Media != nil {
		m.URL = b.m.o.Media.URL(b.spec.Name, "", sdk.PortalKey{}, *m)
	}
	return m
}

// accountFace is the picture of somebody whom the network sees: of an account, or of a person of another network.
func (b *Bridge) accountFace(ctx context.Context, bare jid.JID) []byte {
	if other := b.m.byHost[bare.Domain()]; other != nil && bare.HasLocal() {
		return other.puppetFace(ctx, bare)
	}
	if b.m.vcards == nil || !b.m.d.Hosts.IsAccountDomain(bare.Domain()) {
		return nil
	}
	card, err := b.m.vcards.VCard(ctx, bare)
	if err != nil || card == nil {
		return nil
	}
	photo := card.Child(ns.VCard, "PHOTO")
	if photo == nil || photo.Child(ns.VCard, "BINVAL") == nil {
		return nil
	}
	text := strings.Join(strings.Fields(photo.Child(ns.VCard, "BINVAL").TextContent()), "")
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) > b.m.o.Tune.AvatarBytes || pictureType(data) == "" {
		return nil
	}
	return data
}

// puppetFace is the picture of a remote person, if it has been fetched.
func (b *Bridge) puppetFace(ctx context.Context, at jid.JID) []byte {
	q, err := b.puppets.byJID(ctx, at)
	if err != nil || q == nil {
		return nil
	}
	p := q.get()
	if p.Face == nil || p.FaceHash == "" {
		return nil
	}
	data, err := b.faces.fetch(ctx, *p.Face)
	if err != nil {
		return nil
	}
	return data
}

// openFace reads the picture of an XMPP person for a plugin.
func (b *Bridge) openFace(ctx context.Context, r sdk.MediaRequest) (c sdk.MediaContent, ok bool, err error) {
	person, ok := strings.CutPrefix(string(r.ID), ownFace)
	if !ok {
		return c, false, nil
	}
	if at, err := jid.Parse(person); err == nil && at.HasLocal() { // links that were made before had the address, sealed
		person = string(b.m.person(at.Bare()))
	}
	bare, known := b.m.personOf(ctx, sdk.PersonID(person))
	if !known { // a plugin sees the faces of those who use it
		return c, true, sdk.Refuse(sdk.CodeNotFound, "there is no such picture")
	}
	data := b.accountFace(ctx, bare)
	if data == nil {
		return c, true, sdk.Refuse(sdk.CodeNotFound, "there is no such picture")
	}
	return sdk.MediaContent{Body: io.NopCloser(bytes.NewReader(data)), Type: pictureType(data), Size: int64(len(data)), Name: "face"}, true, nil
}

// vcard is the vCard of a puppet (XEP-0054).
func (b *Bridge) vcard(ctx context.Context, q *puppet) *xmlstream.Node {
	p := q.get()
	v := xmlstream.NewNode(ns.VCard, "vCard")
	v.AddNew("FN").SetText(q.name())
	for _, row := range []struct{ name, value string }{{"NICKNAME", p.Username}, {"TITLE", p.Title}, {"URL", p.Link}, {"DESC", b.title() + ": " + string(q.remote)}} {
		if row.value != "" {
			v.AddNew(row.name).SetText(row.value)
		}
	}
	if p.Face != nil && p.FaceHash != "" {
		if data, err := b.faces.fetch(ctx, *p.Face); err == nil {
			photo := v.AddNew("PHOTO")
			photo.AddNew("TYPE").SetText(pictureType(data))
			photo.AddNew("BINVAL").SetText(base64.StdEncoding.EncodeToString(data))
		}
	}
	return v
}
