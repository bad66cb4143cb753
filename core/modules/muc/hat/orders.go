package hat

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// change is a committed change of hats: a configuration, and what some people wear from then on.
type change struct {
	config *room.Config // nil: as it is
	worn   map[string][]string
	show   []string // whose presence is shown again
}

// carryOut stores a change and shows it: first the answer, then that the room has changed (104), then those who wear it.
func carryOut(r plug.Room, in *plug.Request, o *order, c change) {
	for bare, uris := range c.worn {
		put(r, in.Unit, bare, uris)
	}
	if c.config != nil {
		r.SaveConfig(in.Unit, *c.config)
	}
	r.Commit(in, func(err error) {
		if err != nil {
			r.Failed(in, err)
			return
		}
		for bare, uris := range c.worn {
			headsOf(r).set(bare, uris)
		}
		if c.config != nil {
			r.SetConfig(*c.config)
		}
		r.Answer(in, o.node("completed"))
		if c.config != nil {
			r.Status(104) // XEP-0317 §3.2
		}
		show(r, c.show)
	})
}

// create makes a hat, or changes the one of that URI (XEP-0317 §3.2).
func create(r plug.Room, in *plug.Request, o *order) {
	c := r.State().Config.Clone()
	h := room.Hat{URI: o.form.Value(FieldURI), Title: o.form.Value(FieldTitle), Hue: o.form.Value(fieldHue), Lang: o.form.Value(fieldLang)}
	if h.Lang == "" {
		h.Lang = in.Stanza.Lang
	}
	if old, ok := c.Hat(h.URI); ok && old == h {
		r.Reply(in, o.node("completed"))
		return
	}
	if err := c.PutHat(h); err != nil {
		r.Refuse(in, stanza.NewError(stanza.NotAcceptable, err.Error()))
		return
	}
	carryOut(r, in, o, change{config: &c, show: headsOf(r).wearers(h.URI)})
}

// destroy takes a hat off everybody and out of the list (XEP-0317 §3.3).
func destroy(r plug.Room, in *plug.Request, o *order) {
	uri := o.form.Value(FieldURI)
	c := r.State().Config.Clone()
	if !c.DropHat(uri) {
		r.Refuse(in, noSuchHat())
		return
	}
	x := change{config: &c, worn: map[string][]string{}, show: headsOf(r).wearers(uri)}
	for _, bare := range x.show {
		x.worn[bare] = without1(headsOf(r)[bare], uri)
	}
	carryOut(r, in, o, x)
}

// assign: XEP-0317 §3.5.
func assign(r plug.Room, in *plug.Request, o *order) {
	bare, uri, err := target(r, o)
	if err != nil {
		r.Refuse(in, err)
		return
	}
	worn := headsOf(r)[bare]
	switch {
	case slices.Contains(worn, uri):
		r.Reply(in, o.node("completed"))
	case len(worn) >= room.MaxHatsWorn:
		r.Refuse(in, stanza.NewError(stanza.ResourceConstraint, "nobody can wear more hats"))
	case len(worn) == 0 && len(headsOf(r)) >= room.MaxHatWearers:
		r.Refuse(in, stanza.NewError(stanza.ResourceConstraint, "too many people wear hats in this room"))
	default:
		carryOut(r, in, o, change{worn: map[string][]string{bare: append(slices.Clone(worn), uri)}, show: []string{bare}})
	}
}

// unassign: XEP-0317 §3.6.
func unassign(r plug.Room, in *plug.Request, o *order) {
	bare, uri, err := target(r, o)
	if err != nil {
		r.Refuse(in, err)
		return
	}
	worn := headsOf(r)[bare]
	if !slices.Contains(worn, uri) {
		r.Refuse(in, stanza.NewError(stanza.ItemNotFound, "this person does not wear this hat"))
		return
	}
	carryOut(r, in, o, change{worn: map[string][]string{bare: without1(worn, uri)}, show: []string{bare}})
}

// target reads who is to wear which hat.
func target(r plug.Room, o *order) (bare, uri string, err error) {
	who, err := jid.Parse(o.form.Value(FieldJID))
	if err != nil || !who.HasLocal() {
		return "", "", stanza.NewError(stanza.JIDMalformed, "the address of a person is needed")
	}
	uri = o.form.Value(FieldURI)
	if _, ok := r.State().Config.Hat(uri); !ok {
		return "", "", noSuchHat()
	}
	return who.Bare().String(), uri, nil
}

func noSuchHat() error { return stanza.NewError(stanza.ItemNotFound, "there is no such hat") }

// without1 returns a copy of a list less one entry.
func without1(list []string, drop string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == drop })
}
