package upload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// refuser answers what is sent to the service and is no request that it knows.
type refuser struct{ m *Module }

// HandleStanza implements module.HostHandler.
func (r refuser) HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if reply := st.ErrorReply(module.Unsupported()); reply != nil && st.Kind != stanza.Presence {
		r.m.d.Router.Route(ctx, u, reply)
		return
	}
	r.m.d.Journal.Submit(u)
}

// discoSource tells the largest size of a file (XEP-0363 §3, example 4).
type discoSource struct{ m *Module }

// DiscoInfo implements module.DiscoSource.
func (s discoSource) DiscoInfo(_ context.Context, _, target jid.JID, node string) (info module.DiscoInfo, ok bool, err error) {
	limit := s.m.largest()
	if node != "" || target.HasLocal() || limit == 0 {
		return info, false, nil
	}
	f := form.New(form.TypeResult, ns.Upload).Add(form.Field{Var: "max-file-size", Values: []string{strconv.FormatInt(limit, 10)}})
	return module.DiscoInfo{Forms: []*xmlstream.Node{f.Node()}}, true, nil
}

// DiscoItems implements module.DiscoSource.
func (discoSource) DiscoItems(context.Context, jid.JID, jid.JID, string, string, int) ([]module.DiscoItem, int, bool, error) {
	return nil, 0, false, nil
}

// largest is the size that no file may exceed; 0 if there is none.
func (m *Module) largest() (limit int64) {
	for _, n := range []int64{m.o.MaxBytes, m.o.PerUserBytes, m.o.PerDayBytes, m.o.TotalBytes} {
		if n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	return limit
}

// request gives a slot (XEP-0363 §4).
func (m *Module) request(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
	from := req.IQ.From.Bare()
	if !m.d.Hosts.IsAccountDomain(from.Domain()) || !from.HasLocal() {
		return nil, stanza.NewError(stanza.Forbidden, "Only people with an account here may upload files.") // §6, example 12
	}
	if req.IQ.To.HasLocal() {
		return nil, stanza.NewError(stanza.ItemNotFound, "The service has no such address.")
	}
	now := m.d.Clock.Now()
	sl, err := m.slotOf(req.Query.Node(), from, now)
	if err != nil {
		return nil, err
	}
	if err := m.quota.reserve(ctx, sl, now); err != nil {
		return nil, m.refusal(ctx, sl.User, err)
	}
	token, err := m.signer.sign(sl)
	if err != nil {
		return nil, fmt.Errorf("upload: sign slot: %w", err)
	}
	get := m.link(sl.ID, sl.Name)
	return xmlstream.NewNode(ns.Upload, "slot").Add(
		xmlstream.NewNode(ns.Upload, "put", "url", get+"?t="+token),
		xmlstream.NewNode(ns.Upload, "get", "url", get)), nil
}

// slotOf reads a request.
func (m *Module) slotOf(q *xmlstream.Node, from jid.JID, now time.Time) (sl slot, err error) {
	name := q.Attr("filename")
	size, err := strconv.ParseInt(q.Attr("size"), 10, 64)
	if name == "" || err != nil || size <= 0 { // §4: MUST include both
		return sl, stanza.NewError(stanza.BadRequest, "A request needs a filename and a size in bytes.")
	}
	if m.o.MaxBytes > 0 && size > m.o.MaxBytes {
		return sl, tooLarge(m.largest())
	}
	p, before, err := m.purposeOf(q, now)
	if err != nil {
		return sl, err
	}
	id, err := newID(m.d.Rand)
	if err != nil {
		return sl, fmt.Errorf("upload: make id: %w", err)
	}
	sl = slot{ID: id, Name: cleanName(name), User: from.String(), Size: size, Type: mediaType(q.Attr("content-type")), Purpose: p,
		Until: now.Add(m.o.SlotTime).Unix()}
	if !before.IsZero() {
		sl.Before = before.UnixMilli()
	}
	return sl, nil
}

// tooLarge: XEP-0363 §6, example 10.
func tooLarge(limit int64) error {
	return &stanza.Error{Type: "modify", Condition: stanza.NotAcceptable, Text: fmt.Sprintf("File too large. The maximum file size is %d bytes", limit),
		App: xmlstream.NewNode(ns.Upload, "file-too-large").Add(xmlstream.NewNode(ns.Upload, "max-file-size").SetText(strconv.FormatInt(limit, 10)))}
}

// refusal is what a client is told of a quota: XEP-0363 §6, example 11.
func (m *Module) refusal(ctx context.Context, owner string, err error) error {
	var over *overQuota
	if !errors.As(err, &over) {
		return err
	}
	if over.never > 0 {
		return tooLarge(over.never)
	}
	retry := over.retry
	if over.own {
		retry = m.nextEnd(ctx, owner)
	}
	e := &stanza.Error{Type: "wait", Condition: stanza.ResourceConstraint, Text: over.text}
	if !retry.IsZero() {
		e.App = xmlstream.NewNode(ns.Upload, "retry", "stamp", retry.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
	}
	return e
}

// nextEnd tells when the oldest of somebody's files ends, as far as her first hundred tell; zero if none does.
func (m *Module) nextEnd(ctx context.Context, owner string) (first time.Time) {
	rows, err := m.tables.user.Range(ctx, rowsOf(owner), "", "", 100, false)
	if err != nil {
		return first
	}
	for _, r := range rows {
		f, err := m.tables.get(ctx, idOf(r.Key))
		if err != nil || f.Expires == 0 {
			continue
		}
		if e := f.expires(); first.IsZero() || e.Before(first) {
			first = e
		}
	}
	return first
}
