package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// ArchiveReader is what the commands need of the archives of a running server.
type ArchiveReader interface {
	// Export writes an archive, oldest first, and returns how many messages it wrote.
	Export(ctx context.Context, owner jid.JID, w io.Writer, progress func(done int)) (int, error)
}

// Archives are the commands "archive …".
type Archives struct {
	Messages storage.Messages
	Journal  journal.Submitter
	Reader   ArchiveReader // nil while the server is stopped, or if nothing is archived
	// IsAccountDomain tells accounts from rooms.
	IsAccountDomain func(domain string) bool
	// Forget has a room read its history anew; nil while the server is stopped.
	Forget func(ctx context.Context, room jid.JID) error
	Log    *slog.Logger // nil: nothing is said
}

// Commands returns the commands.
func (c *Archives) Commands() []*Command {
	return []*Command{
		{Name: "archive show", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: c.show, Short: "tell how much is kept of an account or a room"},
		{Name: "archive export", Args: "JID FILE", Min: 2, Max: 2, Run: c.export, Short: "write what is kept of an account or a room to a file",
			Long: "FILE must not exist; it is readable for its owner only. It is XML as in XEP-0227, oldest message first, with the ids that clients know."},
		{Name: "archive erase", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: c.erase, Short: "delete what is kept of an account or a room",
			Long: "What others keep of the same messages stays in their archives, unless --scope says otherwise: rooms deletes also what the person has written\n" +
				"in the rooms of this server, everywhere also what she has written in the archives of its other people. Private messages in rooms stay in\n" +
				"those: it is not known who wrote them. Space on disk becomes free with the next sweep.",
			Flags: []Flag{
				{Name: "before", Value: "TIME", Doc: "only what is older, such as 2026-11-20 or 2026-11-20T12:00:00Z"},
				{Name: "scope", Value: "SCOPE", Doc: "own (as it is without it), rooms or everywhere"}, {Name: "yes", Doc: "do not ask"},
			}},
	}
}

func (c *Archives) owner(s string) (jid.JID, storage.RefKind, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return jid.JID{}, 0, Usagef("%q is neither the address of an account nor of a room", s)
	}
	if c.IsAccountDomain(j.Domain()) {
		return j, storage.Archive, nil
	}
	return j, storage.Room, nil
}

type archiveInfo struct {
	JID      string     `json:"jid"`
	Messages int        `json:"messages"`
	First    *time.Time `json:"first,omitempty"`
	Last     *time.Time `json:"last,omitempty"`
}

func (c *Archives) show(ctx context.Context, r *Request) (Result, error) {
	owner, kind, err := c.owner(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	i := archiveInfo{JID: owner.String()}
	if i.Messages, err = c.Messages.Count(ctx, kind, i.JID, 0); err != nil {
		return Result{}, err
	}
	for _, end := range []struct {
		at       **time.Time
		backward bool
	}{{&i.First, false}, {&i.Last, true}} {
		refs, _, err := c.Messages.Refs(ctx, kind, i.JID, storage.Range{Limit: 1, Backward: end.backward})
		if err != nil {
			return Result{}, err
		}
		if len(refs) > 0 {
			at := refs[0].ID.Time()
			*end.at = &at
		}
	}
	text := fmt.Sprintf("Nothing is kept of %s.", i.JID)
	if i.First != nil && i.Last != nil {
		text = fmt.Sprintf("%s\n  messages  %d\n  first     %s\n  last      %s", i.JID, i.Messages, i.First.Format(time.RFC3339), i.Last.Format(time.RFC3339))
	}
	return Result{Data: i, Text: text}, nil
}

func (c *Archives) export(ctx context.Context, r *Request) (Result, error) {
	owner, kind, err := c.owner(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	if c.Reader == nil {
		return Result{}, fmt.Errorf("archive export: archives are switched off")
	}
	name := r.Args[1]
	if !filepath.IsAbs(name) {
		return Result{}, Usagef("the file's path must be absolute, the server has another working directory: %q", name)
	}
	total, err := c.Messages.Count(ctx, kind, owner.String(), 0)
	if err != nil {
		return Result{}, err
	}
	var n int
	size, err := writeNew(name, func(w io.Writer) (err error) {
		n, err = c.Reader.Export(ctx, owner, w, func(done int) { r.Progress(int64(done), int64(total), "messages") })
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("archive export: %w", err)
	}
	return Result{Data: map[string]any{"file": name, "messages": n, "bytes": size},
		Text: fmt.Sprintf("%s has %d messages of %s, %d bytes.", name, n, owner, size)}, nil
}
