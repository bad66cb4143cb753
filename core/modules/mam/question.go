package mam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// question is a query, read.
type question struct {
	id    string        // queryid
	match storage.Range // what the form asks for; Limit and Backward are the page's
	with  jid.JID       // has a resource, or is an occupant: compared in the stanza
	// known is an author of whom only those messages are shown in which everybody was shown her address. It is compared message by message, so
	// that nothing else, such as where a page ends, tells of others.
	known string
	ids   []storage.MessageID // only these, ascending; nil: no such bound
	words string
	flip  bool
	page  rsm.Request
	// after and before are the page's bounds, 0 for none.
	after, before storage.MessageID
	nothing       bool // the form can match no message
}

// maxIDs bounds how many messages may be asked for by their ids at once.
const maxIDs = maxPage

// fieldFullText is XEP-0431 §3.1.
const fieldFullText = "{" + ns.MAMFullText + "}fulltext"

// reader reads one question.
type reader struct {
	m   *Module
	ctx context.Context
	src *source
	q   *question
}

// fieldReaders are the fields that a form may have (XEP-0313 §3.1).
var fieldReaders = map[string]func(*reader, form.Field) error{
	"FORM_TYPE": func(*reader, form.Field) error { return nil },
	"with":      (*reader).withField,
	"start":     (*reader).startField,
	"end":       (*reader).endField,
	"before-id": (*reader).beforeField,
	"after-id":  (*reader).afterField,
	"ids":       (*reader).idsField,
}

// read reads the <query/> of a request.
func (m *Module) read(ctx context.Context, src *source, n *xmlstream.Node) (*question, error) {
	r := &reader{m: m, ctx: ctx, src: src, q: &question{id: n.Attr("queryid"), flip: n.Child(ns.MAM, "flip-page") != nil}}
	if n.Attr("node") != "" {
		return nil, stanza.NewError(stanza.ItemNotFound, "this archive has no nodes") // §5.1.4: those of pubsub have
	}
	if x := form.Find(n); x != nil {
		if err := r.form(x); err != nil {
			return nil, err
		}
	}
	return r.q, r.pageOf(n)
}

func (r *reader) form(x *xmlstream.Node) error {
	f, err := form.Parse(x)
	if err != nil {
		return badRequest("the form cannot be read", err)
	}
	if f.Type != form.TypeSubmit || f.FormType() != ns.MAM { // §3.1
		return badRequest("the form is not one of this protocol, or not submitted", nil)
	}
	for _, fd := range f.Fields {
		read := fieldReaders[fd.Var]
		switch {
		case fd.Var == "include-groupchat" && !r.src.isRoom(): // §3.1.4
			read = (*reader).groupchatField
		case fd.Var == fieldFullText && r.m.finder != nil:
			read = (*reader).wordsField
		case read == nil:
			// §3.1.5: what is not known is not ignored.
			return stanza.NewError(stanza.FeatureNotImplemented, fmt.Sprintf("the field %.100q is not known here", fd.Var))
		}
		if len(fd.Values) == 0 || len(fd.Values) == 1 && fd.Values[0] == "" {
			continue // a form that was shown to a person and left empty
		}
		if err := read(r, fd); err != nil {
			return err
		}
	}
	return nil
}

// withField is §3.1.1.
func (r *reader) withField(f form.Field) error {
	j, err := jid.Parse(f.Value())
	if err != nil {
		return &stanza.Error{Condition: stanza.JIDMalformed, Text: "with is not an address", Cause: err}
	}
	switch {
	case r.src.isRoom() && j.Bare() == r.src.owner:
		if j.IsFull() {
			r.q.with = j // somebody under this nick
		}
		return nil
	case r.src.isRoom() && r.src.shown == event.NoAuthors:
		// Who may not know who said something may not ask it either.
		return stanza.NewError(stanza.Forbidden, "in this room it is not shown who is behind a nick")
	}
	if r.src.isRoom() && r.src.shown == event.AuthorsKnown {
		r.q.known = j.Bare().String()
	} else {
		r.q.match.Peer = j.Bare().String()
	}
	if j.IsFull() {
		r.q.with = j
	}
	return nil
}

func (r *reader) startField(f form.Field) error {
	at, err := delay.ParseTime(f.Value())
	if err != nil {
		return badRequest("start is not a time", err)
	}
	ms := at.UnixMilli()
	if at.After(time.UnixMilli(ms)) {
		ms++
	}
	r.after(idFloor(ms) - 1) // equal to or later
	return nil
}

func (r *reader) endField(f form.Field) error {
	at, err := delay.ParseTime(f.Value())
	if err != nil {
		return badRequest("end is not a time", err)
	}
	r.before(idFloor(at.UnixMilli() + 1)) // equal to or earlier
	return nil
}

// idFloor is the lowest id of a millisecond; times that ids cannot have are moved to the nearest that they can.
func idFloor(ms int64) storage.MessageID {
	const latest = 1<<43 - 2 // the year 2248
	return storage.MessageID(min(max(ms, 0), latest) << 20)
}

func (r *reader) beforeField(f form.Field) error {
	id, err := r.m.known(r.ctx, r.src, f.Value())
	if err == nil {
		r.before(id)
	}
	return err
}

func (r *reader) afterField(f form.Field) error {
	id, err := r.m.known(r.ctx, r.src, f.Value())
	if err == nil {
		r.after(id)
	}
	return err
}

func (r *reader) after(id storage.MessageID) { r.q.match.After = max(r.q.match.After, id) }

func (r *reader) before(id storage.MessageID) {
	if id <= 1 {
		r.q.nothing = true // 0 would be an open end
		return
	}
	if r.q.match.Before == 0 || id < r.q.match.Before {
		r.q.match.Before = id
	}
}

// idsField is §3.1.3: any of them that is not there makes the whole question fail.
func (r *reader) idsField(f form.Field) error {
	if len(f.Values) > maxIDs {
		return stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("at most %d messages can be asked for by their ids at once", maxIDs))
	}
	ids := make([]storage.MessageID, 0, len(f.Values))
	for _, v := range f.Values {
		id, err := r.m.known(r.ctx, r.src, v)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	r.q.ids = slices.Compact(ids)
	return nil
}

// groupchatField: archives of accounts have no groupchat messages, so both answers are the same.
func (r *reader) groupchatField(f form.Field) error {
	if _, err := f.Bool(); err != nil {
		return badRequest("include-groupchat is not a boolean", err)
	}
	return nil
}

func (r *reader) wordsField(f form.Field) error {
	const most = 1024
	if len(f.Value()) > most {
		return stanza.NewError(stanza.PolicyViolation, fmt.Sprintf("at most %d bytes of words can be looked for", most))
	}
	r.q.words = f.Value()
	return nil
}

// pageOf reads the <set/> (§3.3, XEP-0059). Ids are those of the archive.
func (r *reader) pageOf(n *xmlstream.Node) (err error) {
	q := r.q
	if q.page, err = rsm.Parse(n); err != nil {
		return badRequest("the page cannot be read", err)
	}
	if q.page.Index >= 0 { // XEP-0059 §2.6
		return stanza.NewError(stanza.FeatureNotImplemented, "pages by index are not offered; use after and before")
	}
	if q.page.After != "" {
		if q.after, err = r.m.known(r.ctx, r.src, q.page.After); err != nil {
			return err
		}
	}
	if q.page.Before != "" {
		if q.before, err = r.m.known(r.ctx, r.src, q.page.Before); err != nil {
			return err
		}
	}
	return nil
}

// bounds is the range of the page: what the form asks for and what the page is.
func (q *question) bounds() storage.Range {
	b := q.match
	b.After = max(b.After, q.after)
	if q.before != 0 && (b.Before == 0 || q.before < b.Before) {
		b.Before = q.before
	}
	b.Backward = q.page.Backward
	b.Limit = q.page.Limit(maxPage)
	return b
}

// plain tells whether the range alone says what matches.
func (q *question) plain() bool { return !q.picks() && q.ids == nil && q.words == "" }

// picks tells whether single messages of the range are left out.
func (q *question) picks() bool { return !q.with.IsZero() || q.known != "" }

func badRequest(text string, cause error) error {
	var se *stanza.Error
	if errors.As(cause, &se) {
		return se
	}
	return &stanza.Error{Condition: stanza.BadRequest, Text: text, Cause: cause}
}
