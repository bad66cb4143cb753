package mam

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Export writes the archive of an account or a room in the format of XEP-0227 §6.4, with the ids that clients know; progress is told how many
// messages were written. A room stands there like an account. It is an error if nothing is kept.
func (m *Module) Export(ctx context.Context, owner jid.JID, w io.Writer, progress func(done int)) (int, error) {
	src, err := m.exported(ctx, owner)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w)
	open := xmlstream.AppendEscapedAttr(nil, owner.Domain())
	user := xmlstream.AppendEscapedAttr(nil, owner.Local())
	_, err = fmt.Fprintf(out, "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='%s'><host jid='%s'><user name='%s'><archive xmlns='%s'>\n",
		ns.Portable, open, user, ns.PortableMAM)
	if err != nil {
		return 0, fmt.Errorf("mam: export: %w", err)
	}
	done := 0
	for r := (storage.Range{Limit: maxPage}); ; {
		page, more, err := m.d.Store.Messages().List(ctx, src.kind, owner.String(), r)
		if err != nil {
			return done, fmt.Errorf("mam: export: %w", err)
		}
		for _, s := range page {
			st, err := stanza.Unmarshal(s.Body)
			if err != nil {
				return done, fmt.Errorf("mam: export message %s: %w", src.encode(s.ID), err)
			}
			h := hit{s, st}
			out.Write(xmlstream.AppendNode(nil, h.node(src, ""), ns.PortableMAM)) //nolint:errcheck // told by Flush
			out.WriteByte('\n')                                                   //nolint:errcheck // told by Flush
			done, r.After = done+1, s.ID
		}
		progress(done)
		if !more {
			break
		}
	}
	out.WriteString("</archive></user></host></server-data>\n") //nolint:errcheck // told by Flush
	if err := out.Flush(); err != nil {
		return done, fmt.Errorf("mam: export: %w", err)
	}
	return done, nil
}

// exported is the archive as the operator sees it.
func (m *Module) exported(ctx context.Context, owner jid.JID) (*source, error) {
	if m.d.Hosts.IsAccountDomain(owner.Domain()) {
		return &source{kind: storage.Archive, owner: owner, ids: m.ids}, nil
	}
	row, err := m.d.Store.Rooms().Get(ctx, owner.String())
	if errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("mam: %s is neither an account nor a room of this server", owner)
	}
	if err != nil {
		return nil, fmt.Errorf("mam: export: %w", err)
	}
	ids, err := stanzaid.NewCodec(row.Secret)
	if err != nil {
		return nil, fmt.Errorf("mam: export: %w", err)
	}
	return &source{kind: storage.Room, owner: owner, ids: ids, shown: event.AllAuthors}, nil
}
