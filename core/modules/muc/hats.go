package muc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// tableHats holds who wears which hats: owner room, key bare JID, value the URIs as JSON. The hats themselves are in the configuration.
const tableHats = "muc.hats"

// hatsFeature: titles that admins give to people in the room, shown in presence (XEP-0317). Who changes them asks by commands (hatcommands.go).
func hatsFeature(d *dispatch) {
	d.loads = append(d.loads, (*actor).loadHats)
	d.worn = append(d.worn, (*actor).hatsOf)
	d.info = append(d.info, func(a *actor, _ jid.JID, f *form.Form) []string {
		if hats := a.room.Config.Hats; f != nil && len(hats) > 0 { // §2
			f.Add(form.Field{Var: "hats#hash", Type: form.TextSingle, Label: "Hash of the hats", Values: []string{hatsHash(hats)}})
		}
		return []string{ns.Hats, ns.Commands}
	})
	d.tables, d.personTables = append(d.tables, tableHats), append(d.personTables, tableHats)
	hatCommands(d)
}

// hatsHash changes with the list of hats, whatever its order (XEP-0317 §2: how is left to the service).
func hatsHash(hats []room.Hat) string {
	hats = slices.Clone(hats)
	slices.SortFunc(hats, func(a, b room.Hat) int {
		if a.URI < b.URI {
			return -1
		}
		return 1
	})
	h := sha256.New()
	for _, x := range hats {
		for _, s := range []string{x.URI, x.Title, x.Lang, x.Hue} {
			_, _ = fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// loadHats reads who wears what. A room without hats has nothing to read.
func (a *actor) loadHats() error {
	if len(a.room.Config.Hats) == 0 {
		return nil
	}
	rows, err := a.m.d.Store.Table(tableHats).Range(a.ctx, a.jid.String(), "", "", room.MaxHatWearers, false)
	if err != nil {
		return fmt.Errorf("muc: load hats: %w", err)
	}
	a.extra.hats = make(map[string][]string, len(rows))
	for _, r := range rows {
		var uris []string
		if err := json.Unmarshal(r.Value, &uris); err != nil {
			return fmt.Errorf("muc: load hats of %s: %w", r.Key, err)
		}
		a.extra.hats[r.Key] = uris
	}
	return nil
}

// hatsOf is what presence of an occupant shows (XEP-0317 §3.1); nil if she wears nothing.
func (a *actor) hatsOf(o *room.Occupant) *xmlstream.Node {
	uris := a.extra.hats[o.Bare.String()]
	if len(uris) == 0 {
		return nil
	}
	n := xmlstream.NewNode(ns.Hats, "hats")
	for _, uri := range uris {
		h, ok := a.room.Config.Hat(uri)
		if !ok {
			continue
		}
		hat := n.AddNew("hat", "title", h.Title, "uri", h.URI)
		if h.Hue != "" {
			hat.SetAttr("hue", h.Hue)
		}
		if h.Lang != "" {
			hat.SetLang(h.Lang)
		}
	}
	if len(n.Nodes) == 0 {
		return nil
	}
	return n
}

// putHats adds the row of what somebody wears.
func (a *actor) putHats(u *journal.Unit, bare string, uris []string) {
	if len(uris) == 0 {
		u.Add(storage.DeleteRow{Table: tableHats, Owner: a.jid.String(), Key: bare})
		return
	}
	b, err := json.Marshal(uris)
	if err != nil { // strings only: cannot happen
		panic(fmt.Sprintf("muc: encode hats: %v", err))
	}
	u.Add(storage.PutRow{Table: tableHats, Owner: a.jid.String(), Key: bare, Value: b})
	a.trace(u, bare)
}

// wearers returns who wears a hat, in the order of their addresses.
func (a *actor) wearers(uri string) []string {
	var out []string
	for bare, uris := range a.extra.hats {
		if slices.Contains(uris, uri) {
			out = append(out, bare)
		}
	}
	slices.Sort(out)
	return out
}

// setWorn makes committed hats what somebody wears.
func (a *actor) setWorn(bare string, uris []string) {
	if a.extra.hats == nil {
		a.extra.hats = map[string][]string{}
	}
	if a.extra.hats[bare] = uris; len(uris) == 0 {
		delete(a.extra.hats, bare)
	}
}

// showHats shows everybody the presence of people whose hats have changed (XEP-0317 §3.2, §3.3, §3.6).
func (a *actor) showHats(people []string) {
	for _, bare := range people {
		who, err := jid.Parse(bare)
		if err != nil { // it was one when it was stored
			continue
		}
		for _, o := range slices.Clone(a.room.ByBare(who)) {
			o.SetPresence(o.Presence)
			a.tellAll(a.available(o), o.Role)
		}
	}
}
