package muc

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/hash"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// avatarFeature: the vCard of a room and the picture in it (XEP-0486).
func avatarFeature(d *dispatch) {
	d.onIQ(stanza.TypeGet, ns.VCard, "vCard", immediate, (*actor).readVCard)
	d.onIQ(stanza.TypeSet, ns.VCard, "vCard", exclusive, (*actor).writeVCard)
	d.info = append(d.info, func(a *actor, _ jid.JID, f *form.Form) []string {
		if hashes := strings.Fields(a.room.Config.AvatarHash); f != nil && len(hashes) > 0 { // XEP-0486 §3.3
			f.Add(form.Field{Var: "muc#roominfo_avatarhash", Type: form.TextMulti, Label: "Hash of the picture", Values: hashes})
		}
		return nil
	})
}

// maxVCard bounds the vCard of a room in bytes.
const maxVCard = 256 << 10

func (a *actor) readVCard(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	if !a.maySee(in) {
		a.refuse(in, stanza.NewError(stanza.Forbidden, "only those who may enter this room may see this"))
		return
	}
	b, err := a.m.d.Store.Table(tableVCard).Get(a.ctx, a.jid.String(), keyVCard)
	if errors.Is(err, storage.ErrNotFound) {
		a.reply(in, in.st.Result(xmlstream.NewNode(ns.VCard, "vCard")))
		return
	}
	var f xmlstream.Fragment
	if err == nil {
		f, err = xmlstream.ParseFragment(b)
	}
	if err != nil || f.NumChildren() != 1 {
		a.refuse(in, stanza.AsError(err))
		return
	}
	out := in.st.Result()
	out.Payload = f
	a.reply(in, out)
}

// maySee tells whether somebody may learn more of a room than its name: a members-only room that is not listed shows itself to those who belong.
func (a *actor) maySee(in *inbound) bool {
	c := a.room.Config
	return !c.MembersOnly || c.Public || a.room.Affiliation(in.st.From) >= room.Member || a.room.BySession(in.st.From) != nil
}

func (a *actor) writeVCard(in *inbound) {
	if !a.owner(in) {
		return
	}
	q, _ := in.st.Query()
	if len(q.Raw()) > maxVCard {
		a.refuse(in, stanza.NewError(stanza.PolicyViolation, "this vCard is too large"))
		return
	}
	hashes, err := photoHashes(q.Node())
	if err != nil {
		a.refuse(in, err)
		return
	}
	c := a.room.Config.Clone()
	c.AvatarHash = strings.Join(hashes, " ")
	a.saveVCard(in.u, in.st.Payload)
	a.setAvatar(in, c)
}

func (a *actor) saveVCard(u *journal.Unit, vcard xmlstream.Fragment) {
	u.Add(storage.PutRow{Table: tableVCard, Owner: a.jid.String(), Key: keyVCard, Value: append([]byte(nil), vcard.Bytes()...)})
}

// setAvatar stores a configuration with another picture and tells everybody: the room's own presence shows the hash (XEP-0486 §2), and
// status 104 says that the room has changed.
func (a *actor) setAvatar(in *inbound, c room.Config) {
	changed := c.AvatarHash != a.room.Config.AvatarHash
	a.saveConfig(in.u, c)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		a.room.Config = c
		a.room.Version++
		a.answer(in, nil)
		if changed {
			a.fan(a.roomPresence(), a.audience().all)
			a.statusMessage([]int{104})
		}
	})
}

// roomPresence is the presence of the room itself with the hash of its picture.
func (a *actor) roomPresence() *stanza.Stanza {
	x := xmlstream.NewNode(ns.VCardUpdate, "x")
	first, _, _ := strings.Cut(a.room.Config.AvatarHash, " ")
	x.AddNew("photo").SetText(first)
	st := stanza.NewPresence("", x)
	st.From = a.jid
	return st
}

// maxPhotos bounds the forms of one picture in a vCard.
const maxPhotos = 8

// photoHashes returns the hashes of the pictures in a vCard: one picture in several types has several (XEP-0486 §6.1).
func photoHashes(vcard *xmlstream.Node) ([]string, error) {
	var out []string
	for photo := range vcard.Children(ns.VCard, "PHOTO") {
		bin := photo.Child(ns.VCard, "BINVAL")
		if bin == nil {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(bin.TextContent()), ""))
		if err != nil {
			return nil, stanza.NewError(stanza.BadRequest, "the picture is not valid base64")
		}
		if len(b) == 0 {
			continue
		}
		if len(out) == maxPhotos {
			return nil, stanza.NewError(stanza.PolicyViolation, "there are too many pictures in this vCard")
		}
		out = append(out, hash.Avatar(b))
	}
	return out, nil
}

// vcardOf makes the vCard of a picture.
func vcardOf(name string, picture []byte) xmlstream.Fragment {
	v := xmlstream.NewNode(ns.VCard, "vCard")
	if name != "" {
		v.AddNew("FN").SetText(name)
	}
	photo := v.AddNew("PHOTO")
	photo.AddNew("TYPE").SetText(http.DetectContentType(picture))
	photo.AddNew("BINVAL").SetText(base64.StdEncoding.EncodeToString(picture))
	return xmlstream.NewFragment(v)
}
