package mam

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// source is one archive as one asker sees it.
type source struct {
	kind  storage.RefKind
	owner jid.JID // bare
	ids   IDs
	shown event.AuthorsShown // of a room: who is behind a nick
}

func (s *source) isRoom() bool { return s.kind == storage.Room }

func (s *source) encode(id storage.MessageID) string {
	return s.ids.Encode(s.owner.String(), int64(id))
}

// shows tells whether the reader may know who said a message.
func (s *source) shows(e storage.Stored) bool {
	return s.shown == event.AllAuthors || s.shown == event.AuthorsKnown && event.KnownAuthor(e.Note)
}

// sourceOf finds the archive that a request is for, or refuses it.
type sourceOf func(ctx context.Context, req *module.Request) (*source, error)

// account is the archive of the account that asks.
func (m *Module) account(_ context.Context, req *module.Request) (*source, error) {
	return &source{kind: storage.Archive, owner: req.Target().Bare(), ids: m.ids}, nil
}

// room is the archive of a room (XEP-0313 §5.1.3).
func (m *Module) room(ctx context.Context, req *module.Request) (*source, error) {
	if !req.IQ.To.HasLocal() {
		return nil, module.Unsupported() // the service itself has none
	}
	s := &source{kind: storage.Room, owner: req.IQ.To.Bare()}
	shown, ids, err := m.rooms.ArchiveAccess(ctx, s.owner, req.IQ.From)
	if err != nil {
		return nil, err
	}
	s.shown, s.ids = shown, ids
	return s, nil
}

// handler joins the two: which archive, and what about it.
func (m *Module) handler(of sourceOf, do func(context.Context, *module.Request, *source) (*xmlstream.Node, error)) module.IQHandler {
	return func(ctx context.Context, req *module.Request) (*xmlstream.Node, error) {
		src, err := of(ctx, req)
		if err != nil {
			return nil, err
		}
		return do(ctx, req, src)
	}
}

// known returns the number of an id that a client gives. One that this archive has not made, or whose message it no longer has, is
// item-not-found (XEP-0313 §3.1.3, §3.3.2).
func (m *Module) known(ctx context.Context, s *source, text string) (storage.MessageID, error) {
	n, ok := s.ids.Decode(s.owner.String(), text)
	if !ok {
		return 0, notThere()
	}
	id := storage.MessageID(n)
	refs, _, err := m.d.Store.Messages().Refs(ctx, s.kind, s.owner.String(), storage.Range{After: id - 1, Before: id + 1, Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("mam: look up message: %w", err)
	}
	if len(refs) == 0 {
		return 0, notThere()
	}
	return id, nil
}

func notThere() error {
	return stanza.NewError(stanza.ItemNotFound, "there is no message with this id in the archive")
}

// roomFeatures tells what the archive of a room can do; whether the room is there is said by who has it.
type roomFeatures struct{ m *Module }

var _ module.DiscoSource = roomFeatures{}

// DiscoInfo implements module.DiscoSource.
func (f roomFeatures) DiscoInfo(_ context.Context, _, target jid.JID, node string) (module.DiscoInfo, bool, error) {
	if !target.HasLocal() || target.IsFull() || node != "" {
		return module.DiscoInfo{}, false, nil
	}
	return module.DiscoInfo{Features: f.m.features(false)}, true, nil
}

// DiscoItems implements module.DiscoSource.
func (roomFeatures) DiscoItems(context.Context, jid.JID, jid.JID, string, string, int) ([]module.DiscoItem, int, bool, error) {
	return nil, 0, false, nil
}
