package muc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Tables of this module. Rooms and their lists have repositories of their own.
const (
	tableTemporary = "muc.temporary" // owner: host, key: room: the rooms that vanish with their last occupant
	tableVCard     = "muc.vcard"     // owner: room, key "vcard": the room's vCard (XEP-0486)
	tableRequests  = "muc.requests"  // owner: room, key: bare JID: a request for membership that waits for an admin (XEP-0045 §7.10)
	tableVoices    = "muc.voices"    // owner: room, key: bare JID: voice that a moderator has given or taken (XEP-0045 §5.1)
	tableKeepers   = "muc.keepers"   // owner: bare JID, key: room: the persistent rooms that count in a person's number
	tableNicks     = "muc.nicks"     // owner: room, key: puppet: the nick that it was given in place of the one it wanted
)

const (
	keyVCard   = "vcard"
	secretSize = 32
)

// load reads the room; a room that does not exist leaves a.room nil. It runs in the room's goroutine.
func (a *actor) load() error {
	row, err := a.m.d.Store.Rooms().Get(a.ctx, a.jid.String())
	if errors.Is(err, storage.ErrNotFound) {
		a.loaded = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("muc: load room: %w", err)
	}
	r, err := decodeRoom(a.jid, row)
	if err != nil {
		return err
	}
	for p := (storage.Page{Limit: 1000}); ; {
		page, err := a.m.d.Store.Rooms().Affiliations(a.ctx, row.JID, "", p)
		if err != nil {
			return fmt.Errorf("muc: load affiliations: %w", err)
		}
		for _, f := range page {
			if af, ok := room.ParseAffiliation(f.Affiliation); ok {
				r.SetEntry(f.JID, room.Entry{Affiliation: af, Nick: f.Nick, Reason: f.Reason})
			}
		}
		if len(page) < p.Limit {
			break
		}
		p.After = page[len(page)-1].JID
	}
	err = a.adopt(r)
	if err == nil {
		err = a.m.dispatch.load(a)
	}
	if err != nil {
		a.room = nil
		return err
	}
	a.loaded = true
	return nil
}

// adopt makes r the room of this actor.
func (a *actor) adopt(r *room.Room) error {
	ids, err := stanzaid.NewCodec(r.Secret)
	if err != nil {
		return fmt.Errorf("muc: load room: %w", err)
	}
	a.room, a.ids = r, ids
	a.hist, a.hear, a.extra = history{}, audience{}, newExtras()
	a.requests = nil
	return nil
}

func decodeRoom(at jid.JID, row storage.RoomRow) (*room.Room, error) {
	c, err := room.DecodeConfig(row.Config)
	if err != nil {
		return nil, fmt.Errorf("muc: load room: %w", err)
	}
	r := room.New(at, c, row.Secret)
	r.Created, r.Version = row.Created, row.Version
	if len(row.Subject) > 0 {
		if err := json.Unmarshal(row.Subject, &r.Subject); err != nil {
			return nil, fmt.Errorf("muc: load subject: %w", err)
		}
	}
	return r, nil
}

// row is the stored form of the room with a configuration and subject that may not be its own yet.
func (a *actor) row(r *room.Room, c room.Config, s room.Subject) storage.RoomRow {
	subject, err := json.Marshal(s)
	if err != nil { // plain values only: cannot happen
		panic(fmt.Sprintf("muc: encode subject: %v", err))
	}
	return storage.RoomRow{JID: r.JID.String(), Service: r.JID.Domain(), Public: c.Public && !c.Locked, Name: c.Name,
		Config: c.Encode(), Subject: subject, Secret: r.Secret, Created: r.Created, Version: r.Version + 1}
}

// saveConfig adds the rows of a change of the configuration.
func (a *actor) saveConfig(u *journal.Unit, c room.Config) {
	u.Add(storage.PutRoom{Room: a.row(a.room, c, a.room.Subject)})
	was, is := temporary(a.room.Config), temporary(c)
	switch {
	case was && !is:
		u.Add(storage.DeleteRow{Table: tableTemporary, Owner: a.jid.Domain(), Key: a.jid.String()})
	case is && !was:
		a.markTemporary(u)
	}
	a.m.dispatch.configure(a, u, c)
	if old := a.room.Config.Keeper; old != c.Keeper {
		if old != "" {
			u.Add(storage.DeleteRow{Table: tableKeepers, Owner: old, Key: a.jid.String()})
		}
		if c.Keeper != "" {
			u.Add(storage.PutRow{Table: tableKeepers, Owner: c.Keeper, Key: a.jid.String(), Value: []byte{1}})
		}
	}
}

// temporary tells whether a room of this configuration vanishes with its last occupant: one that was never configured does too.
func temporary(c room.Config) bool { return !c.Persistent || c.Locked }

func (a *actor) markTemporary(u *journal.Unit) {
	u.Add(storage.PutRow{Table: tableTemporary, Owner: a.jid.Domain(), Key: a.jid.String(), Value: []byte{1}})
}

// saveAffiliations adds the rows of changes of the lists.
func (a *actor) saveAffiliations(u *journal.Unit, changes []room.AffiliationChange) {
	a.logChanges(u, changes)
	for _, c := range changes {
		e := a.room.Line(c)
		u.Add(storage.PutAffiliation{Affiliation: storage.Affiliation{
			Room: a.jid.String(), JID: c.Target, Affiliation: e.Affiliation.String(), Nick: e.Nick, Reason: e.Reason}})
		a.settleTarget(u, c)
	}
	u.Add(storage.PutRoom{Room: a.row(a.room, a.room.Config, a.room.Subject)})
}

// saveNew adds the rows of a new room.
func (a *actor) saveNew(u *journal.Unit, r *room.Room, lists map[string]room.Affiliation) {
	u.Add(storage.CreateRoom{Room: a.row(r, r.Config, r.Subject)})
	for who, af := range lists {
		r.SetEntry(who, room.Entry{Affiliation: af})
		u.Add(storage.PutAffiliation{Affiliation: storage.Affiliation{Room: a.jid.String(), JID: who, Affiliation: af.String()}})
	}
	if temporary(r.Config) {
		a.markTemporary(u)
	}
}

// dropRoom adds the rows that remove all that a room has stored.
func (m *Module) dropRoom(u *journal.Unit, at jid.JID) {
	u.Add(storage.DeleteRoom{JID: at.String()},
		storage.DeleteRow{Table: tableTemporary, Owner: at.Domain(), Key: at.String()},
		storage.DeleteRows{Table: tableVCard, Owner: at.String()},
		storage.DeleteRows{Table: tableRequests, Owner: at.String()},
		storage.DeleteRows{Table: tableVoices, Owner: at.String()},
		storage.DeleteRows{Table: tableNicks, Owner: at.String()})
	m.dispatch.dropFeatures(u, at)
}

// drop adds the rows that remove this room.
func (a *actor) drop(u *journal.Unit) {
	a.m.dropRoom(u, a.jid)
	if k := a.room.Config.Keeper; k != "" {
		u.Add(storage.DeleteRow{Table: tableKeepers, Owner: k, Key: a.jid.String()})
	}
}

// newRoom returns a room that is not stored yet.
func (m *Module) newRoom(at jid.JID, c room.Config) (*room.Room, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(m.d.Rand, secret); err != nil {
		return nil, fmt.Errorf("muc: create room: %w", err)
	}
	r := room.New(at, c, secret)
	r.Created = m.d.Clock.Now().UTC().Truncate(time.Millisecond)
	return r, nil
}
