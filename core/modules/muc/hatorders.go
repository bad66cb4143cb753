package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// hatChange is a committed change of hats: a configuration, and what some people wear from then on.
type hatChange struct {
	config *room.Config // nil: as it is
	worn   map[string][]string
	show   []string // whose presence is shown again
}

// changeHats stores a change and shows it: first the answer, then that the room has changed (104), then those who wear it.
func (a *actor) changeHats(in *inbound, o *hatOrder, c hatChange) {
	for bare, uris := range c.worn {
		a.putHats(in.u, bare, uris)
	}
	if c.config != nil {
		a.saveConfig(in.u, *c.config)
	}
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		for bare, uris := range c.worn {
			a.setWorn(bare, uris)
		}
		if c.config != nil {
			a.room.Config = *c.config
			a.room.Version++
		}
		a.answer(in, o.node("completed"))
		if c.config != nil {
			a.statusMessage([]int{104}) // XEP-0317 §3.2
		}
		a.showHats(c.show)
	})
}

// createHat makes a hat, or changes the one of that URI (XEP-0317 §3.2).
func (a *actor) createHat(in *inbound, o *hatOrder) {
	c := a.room.Config.Clone()
	h := room.Hat{URI: o.form.Value(fieldURI), Title: o.form.Value(fieldHat), Hue: o.form.Value(fieldHue), Lang: o.form.Value(fieldLang)}
	if h.Lang == "" {
		h.Lang = in.st.Lang
	}
	if old, ok := c.Hat(h.URI); ok && old == h {
		a.reply(in, in.st.Result(o.node("completed")))
		return
	}
	if err := c.PutHat(h); err != nil {
		a.refuse(in, stanza.NewError(stanza.NotAcceptable, err.Error()))
		return
	}
	a.changeHats(in, o, hatChange{config: &c, show: a.wearers(h.URI)})
}

// destroyHat takes a hat off everybody and out of the list (XEP-0317 §3.3).
func (a *actor) destroyHat(in *inbound, o *hatOrder) {
	uri := o.form.Value(fieldURI)
	c := a.room.Config.Clone()
	if !c.DropHat(uri) {
		a.refuse(in, noSuchHat())
		return
	}
	change := hatChange{config: &c, worn: map[string][]string{}, show: a.wearers(uri)}
	for _, bare := range change.show {
		change.worn[bare] = without1(a.extra.hats[bare], uri)
	}
	a.changeHats(in, o, change)
}

// assignHat: XEP-0317 §3.5.
func (a *actor) assignHat(in *inbound, o *hatOrder) {
	bare, uri, err := a.hatOn(o)
	if err != nil {
		a.refuse(in, err)
		return
	}
	worn := a.extra.hats[bare]
	switch {
	case slices.Contains(worn, uri):
		a.reply(in, in.st.Result(o.node("completed")))
	case len(worn) >= room.MaxHatsWorn:
		a.refuse(in, stanza.NewError(stanza.ResourceConstraint, "nobody can wear more hats"))
	case len(worn) == 0 && len(a.extra.hats) >= room.MaxHatWearers:
		a.refuse(in, stanza.NewError(stanza.ResourceConstraint, "too many people wear hats in this room"))
	default:
		a.changeHats(in, o, hatChange{worn: map[string][]string{bare: append(slices.Clone(worn), uri)}, show: []string{bare}})
	}
}

// unassignHat: XEP-0317 §3.6.
func (a *actor) unassignHat(in *inbound, o *hatOrder) {
	bare, uri, err := a.hatOn(o)
	if err != nil {
		a.refuse(in, err)
		return
	}
	worn := a.extra.hats[bare]
	if !slices.Contains(worn, uri) {
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "this person does not wear this hat"))
		return
	}
	a.changeHats(in, o, hatChange{worn: map[string][]string{bare: without1(worn, uri)}, show: []string{bare}})
}

// hatOn reads who is to wear which hat.
func (a *actor) hatOn(o *hatOrder) (bare, uri string, err error) {
	who, err := jid.Parse(o.form.Value(fieldJID))
	if err != nil || !who.HasLocal() {
		return "", "", stanza.NewError(stanza.JIDMalformed, "the address of a person is needed")
	}
	uri = o.form.Value(fieldURI)
	if _, ok := a.room.Config.Hat(uri); !ok {
		return "", "", noSuchHat()
	}
	return who.Bare().String(), uri, nil
}

func noSuchHat() error { return stanza.NewError(stanza.ItemNotFound, "there is no such hat") }

// without1 returns a copy of a list less one entry.
func without1(list []string, drop string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == drop })
}
