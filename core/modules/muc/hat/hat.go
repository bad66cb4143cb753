// Package hat lets admins of a room give people titles, which are shown in presence (XEP-0317). Who changes them asks by commands of the room (XEP-0050).
//
// It is a feature of the rooms of core/modules/muc (see package plug). The hats themselves are in the configuration of the room (package room), who
// wears them in a table of this package. What it is not: a right. A hat says something and allows nothing.
//
// Goroutines: none; see package plug.
//
//	features := []func() plug.Hooks{hat.Feature}
package hat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Table holds who wears which hats: owner room, key bare JID, value the URIs as JSON.
const Table = "muc.hats"

// Feature is the feature.
func Feature() plug.Hooks {
	return plug.Hooks{Load: load, Worn: worn, Info: info, Forget: forget, Tables: []string{Table}, PersonTables: []string{Table},
		IQ:    []plug.IQ{{Type: stanza.TypeSet, Space: ns.Commands, Local: "command", Handle: command}},
		Items: map[string]func(plug.Room, jid.JID) []module.DiscoItem{ns.Commands: commands}}
}

// info: §2.
func info(r plug.Room, f *form.Form) []string {
	if hats := r.State().Config.Hats; f != nil && len(hats) > 0 {
		f.Add(form.Field{Var: "hats#hash", Type: form.TextSingle, Label: "Hash of the hats", Values: []string{hashOf(hats)}})
	}
	return []string{ns.Hats, ns.Commands}
}

// heads are who wears what: bare JID -> URIs.
type heads map[string][]string

type headsKey struct{}

func headsOf(r plug.Room) heads {
	return r.Memory(headsKey{}, func() any { return heads{} }).(heads) //nolint:forcetypeassert // made here
}

// set makes committed hats what somebody wears.
func (h heads) set(bare string, uris []string) {
	if h[bare] = uris; len(uris) == 0 {
		delete(h, bare)
	}
}

// wearers returns who wears a hat, in the order of their addresses.
func (h heads) wearers(uri string) []string {
	var out []string
	for bare, uris := range h {
		if slices.Contains(uris, uri) {
			out = append(out, bare)
		}
	}
	slices.Sort(out)
	return out
}

// forget takes the hats off somebody whose account is gone.
func forget(r plug.Room, who jid.JID) {
	if bare := who.Bare().String(); len(headsOf(r)[bare]) > 0 {
		headsOf(r).set(bare, nil)
		show(r, []string{bare})
	}
}

// hashOf changes with the list of hats, whatever its order (XEP-0317 §2: how is left to the service).
func hashOf(hats []room.Hat) string {
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

// load reads who wears what. A room without hats has nothing to read.
func load(r plug.Room) error {
	if len(r.State().Config.Hats) == 0 {
		return nil
	}
	rows, err := r.Table(Table).Range(r.Context(), r.JID().String(), "", "", room.MaxHatWearers, false)
	if err != nil {
		return fmt.Errorf("muc: load hats: %w", err)
	}
	for _, row := range rows {
		var uris []string
		if err := json.Unmarshal(row.Value, &uris); err != nil {
			return fmt.Errorf("muc: load hats of %s: %w", row.Key, err)
		}
		headsOf(r)[row.Key] = uris
	}
	return nil
}

// worn is what presence of an occupant shows (XEP-0317 §3.1); nil if she wears nothing.
func worn(r plug.Room, o *room.Occupant) *xmlstream.Node {
	c := &r.State().Config
	if len(c.Hats) == 0 {
		return nil
	}
	n := xmlstream.NewNode(ns.Hats, "hats")
	for _, uri := range headsOf(r)[o.Bare.String()] {
		h, ok := c.Hat(uri)
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

// put adds the row of what somebody wears.
func put(r plug.Room, u *journal.Unit, bare string, uris []string) {
	if len(uris) == 0 {
		u.Add(storage.DeleteRow{Table: Table, Owner: r.JID().String(), Key: bare})
		return
	}
	b, err := json.Marshal(uris)
	if err != nil { // strings only: cannot happen
		panic(fmt.Sprintf("muc: encode hats: %v", err))
	}
	u.Add(storage.PutRow{Table: Table, Owner: r.JID().String(), Key: bare, Value: b})
	r.Trace(u, bare)
}

// show shows everybody the presence of people whose hats have changed (XEP-0317 §3.2, §3.3, §3.6).
func show(r plug.Room, people []string) {
	for _, bare := range people {
		if who, err := jid.Parse(bare); err == nil { // it was one when it was stored
			r.Reshow(who)
		}
	}
}
