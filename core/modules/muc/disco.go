package muc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// discoSource answers discovery of the service and its rooms (XEP-0045 §6.2 to §6.5, §7.12). It asks a room in its own queue, so that a
// gateway can make it first: clients ask before they enter.
type discoSource struct{ m *Module }

var _ module.DiscoSource = discoSource{}

// nodeReserved asks for one's reserved nick (§7.12).
const nodeReserved = "x-roomuser-item"

var (
	serviceFeatures = []string{ns.DiscoInfo, ns.DiscoItems, ns.MUC, ns.MUCStableID, ns.MUCUnique, ns.RSM, ns.OccupantID, ns.VCard,
		ns.ChannelSearch}
	roomFeatures = []string{ns.DiscoInfo, ns.DiscoItems, ns.MUC, ns.MUCStableID, ns.MUCSelfPing, ns.OccupantID, ns.StanzaID, ns.VCard,
		ns.Retract, ns.Moderate, ns.ModerateOld}
)

// DiscoInfo implements module.DiscoSource.
func (s discoSource) DiscoInfo(ctx context.Context, asker, target jid.JID, node string) (module.DiscoInfo, bool, error) {
	h := s.m.hosts[target.Domain()]
	switch {
	case h == nil || target.IsFull():
		return module.DiscoInfo{}, false, nil
	case !target.HasLocal() && node == "":
		return module.DiscoInfo{Identities: []module.Identity{{Category: "conference", Type: "text", Name: h.spec.Title}},
			Features: serviceFeatures}, true, nil
	case !target.HasLocal():
		return module.DiscoInfo{}, false, nil
	}
	var out module.DiscoInfo
	ok := false
	err := s.m.query(ctx, h, asker, target, func(a *actor) (err error) {
		switch node {
		case "":
			out, ok = a.info(asker), true
		case nodeReserved:
			out, ok = a.reservedNick(asker), true
		case ns.MUCTraffic: // §18.1.1: a room that discards nothing says so
			err = notHere()
		}
		return err
	})
	return out, ok, err
}

// query runs fn in a room's queue and waits for it. A room that does not exist is looked up first.
func (m *Module) query(ctx context.Context, h *host, asker, at jid.JID, fn func(*actor) error) error {
	done := make(chan error, 1)
	iq := &stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeGet, From: asker, To: at}
	then := func(a *actor, in *inbound) {
		if a.room == nil || a.room.Config.Locked && a.room.Affiliation(asker) != room.Owner { // §4.2: a locked room does not exist yet
			done <- stanza.NewError(stanza.ItemNotFound, "there is no such room")
		} else {
			done <- fn(a)
		}
		m.d.Journal.Submit(in.u)
	}
	m.post(h, at, func(a *actor) {
		in := &inbound{u: a.unit(), st: iq, h: h, failed: func(err error) { done <- err }}
		a.accept(task{class: immediate, in: in, run: func(a *actor, in *inbound) {
			if a.room == nil {
				a.lookup(in, false, then)
				return
			}
			then(a, in)
		}})
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("muc: query room: %w", ctx.Err())
	}
}

// info is disco#info of a room (§6.4).
func (a *actor) info(asker jid.JID) module.DiscoInfo {
	c := a.room.Config
	name := c.Name
	if name == "" {
		name = a.jid.Local()
	}
	pick := func(cond bool, yes, no string) string {
		if cond {
			return yes
		}
		return no
	}
	out := module.DiscoInfo{Identities: []module.Identity{{Category: "conference", Type: "text", Name: name}}}
	out.Features = append(slices.Clone(roomFeatures),
		pick(c.NonAnonymous, "muc_nonanonymous", "muc_semianonymous"),
		pick(c.MembersOnly, "muc_membersonly", "muc_open"),
		pick(c.Moderated, "muc_moderated", "muc_unmoderated"),
		pick(c.Password != "", "muc_passwordprotected", "muc_unsecured"),
		pick(c.Persistent, "muc_persistent", "muc_temporary"),
		pick(c.Public, "muc_public", "muc_hidden"))
	if c.Origin == "" && c.Registering() != room.RegisterNobody {
		out.Features = append(out.Features, ns.Register, ns.MUCRegister)
	}
	if c.Moderated && !c.NoVoiceRequests {
		out.Features = append(out.Features, ns.MUCRequest)
	}
	out.Features = append(out.Features, c.Features...)
	var f *form.Form
	if a.maySee(&inbound{st: &stanza.Stanza{From: asker}}) {
		f = a.roomInfo()
	}
	out.Features = append(out.Features, a.m.dispatch.describe(a, asker, f)...)
	if f != nil {
		out.Forms = []*xmlstream.Node{f.Node()}
	}
	return out
}

// roomInfo is the form of extended information (§6.4, §16.5.4).
func (a *actor) roomInfo() *form.Form {
	c := a.room.Config
	f := form.New(form.TypeResult, ns.MUCRoomInfo)
	f.Add(form.Field{Var: "muc#roominfo_description", Label: "Description", Values: []string{c.Description}},
		form.Field{Var: "muc#roominfo_subject", Label: "Subject", Values: []string{a.room.Subject.Text}},
		form.Field{Var: "muc#roominfo_subjectmod", Type: form.Boolean, Label: "Occupants may change the subject", Values: []string{form.FormatBool(c.ChangeSubject)}},
		form.Field{Var: "muc#roominfo_occupants", Label: "Number of occupants", Values: []string{strconv.Itoa(a.room.Len())}},
		form.Field{Var: "muc#maxhistoryfetch", Label: "Messages shown on entering", Values: []string{strconv.Itoa(c.MaxHistory)}},
		form.Field{Var: "muc#roomconfig_changesubject", Type: form.Boolean, Values: []string{form.FormatBool(c.ChangeSubject)}})
	optional := func(name, label string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			f.Add(form.Field{Var: name, Label: label, Values: values})
		}
	}
	optional("muc#roominfo_lang", "Language", c.Lang)
	optional("muc#roominfo_contactjid", "Contact", c.Contacts...)
	optional("muc#roominfo_pubsub", "Associated node", c.PubSub)
	optional("muc#roominfo_logs", "Address of logs", c.Logs)
	optional("muc#roominfo_ldapgroup", "Associated LDAP group", c.LDAPGroup)
	for _, k := range slices.Sorted(maps.Keys(c.Info)) {
		optional(k, "", c.Info[k])
	}
	return f
}

// reservedNick is the answer to "x-roomuser-item": the nick as the name of an identity, or nothing (§7.12).
func (a *actor) reservedNick(asker jid.JID) module.DiscoInfo {
	if e, ok := a.room.Entry(asker); ok && e.Nick != "" && e.Affiliation > room.Outcast {
		return module.DiscoInfo{Identities: []module.Identity{{Category: "conference", Type: "text", Name: e.Nick}}}
	}
	return module.DiscoInfo{}
}

// DiscoItems implements module.DiscoSource: the public rooms of the service (§6.3). Occupants are not listed (§6.5: private).
func (s discoSource) DiscoItems(ctx context.Context, asker, target jid.JID, node, after string, limit int) ([]module.DiscoItem, int, bool, error) {
	h := s.m.hosts[target.Domain()]
	switch {
	case h != nil && target.HasLocal() && target.IsBare() && node != "":
		items, ok, err := s.m.listed(ctx, h, asker, target, node)
		return items, len(items), ok, err
	case h == nil || target.IsFull() || node != "":
		return nil, 0, false, nil
	case target.HasLocal():
		err := s.m.query(ctx, h, asker, target, func(*actor) error { return nil })
		return nil, 0, err == nil, err
	}
	rows, err := s.m.d.Store.Rooms().List(ctx, h.spec.Name, true, storage.Page{After: after, Limit: limit})
	if err != nil {
		return nil, -1, true, fmt.Errorf("muc: list rooms: %w", err)
	}
	var out []module.DiscoItem
	var bad error
	for _, row := range rows {
		j, err := jid.Parse(row.JID)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		name := row.Name
		if name == "" {
			name = j.Local()
		}
		out = append(out, module.DiscoItem{JID: j, Name: name})
	}
	if bad != nil {
		s.m.d.Log.Error("a stored room has no valid address", "host", h.spec.Name, "err", bad)
	}
	return out, -1, true, nil
}
