package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/module"
)

// Operations are the commands that concern the server as a whole.
type Operations struct {
	// Backup writes a consistent copy of everything that is kept.
	Backup func(ctx context.Context, w io.Writer, progress func(done, total int64)) error
	// Reload applies the changed configuration, all or nothing, and says what changed; nil while the server is stopped.
	Reload func(ctx context.Context) ([]string, error)
	Points func() []event.PointInfo
	Infos  func() []module.Info
	// Version describes the program.
	Version func() map[string]string
}

// Commands returns the commands.
func (o *Operations) Commands() []*Command {
	return []*Command{
		{Name: "backup", Args: "FILE", Min: 1, Max: 1, Stopped: true, Run: o.backup, Short: "write a copy of everything that is kept, while the server runs",
			Long: "FILE must not exist; it is readable for its owner only and holds everything: messages, credentials, keys."},
		{Name: "reload", Run: o.reload, Short: "apply the changed configuration, all or nothing"},
		{Name: "points", Run: o.points, Short: "list the event points and which modules take part"},
		{Name: "modules", Run: o.modules, Short: "list the modules and the specifications they implement"},
		{Name: "version", Stopped: true, Run: o.version, Short: "tell the version"},
	}
}

func (o *Operations) backup(ctx context.Context, r *Request) (Result, error) {
	name := r.Args[0]
	if !filepath.IsAbs(name) {
		return Result{}, Usagef("the file's path must be absolute, the server has another working directory: %q", name)
	}
	n, err := writeNew(name, func(w io.Writer) error {
		return o.Backup(ctx, w, func(done, total int64) { r.Progress(done, total, "backup") })
	})
	if err != nil {
		return Result{}, fmt.Errorf("backup: %w", err)
	}
	return Result{Data: map[string]any{"file": name, "bytes": n}, Text: fmt.Sprintf("%s has %d bytes.", name, n)}, nil
}

// writeNew writes a file that must not exist yet; it appears under its name only when it is whole and on disk.
func writeNew(name string, write func(io.Writer) error) (size int64, err error) {
	if _, err := os.Lstat(name); err == nil {
		return 0, fmt.Errorf("%s exists already", name)
	}
	f, err := os.OpenFile(name+".part", os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("%s.part is there from a backup that was broken off, or is still under way; remove it if none is", name)
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(name + ".part")
		}
	}()
	if err := write(f); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	// Link fails where a file has appeared in the meantime; rename would replace it.
	if err := os.Link(name+".part", name); err != nil {
		return 0, err
	}
	return info.Size(), os.Remove(name + ".part")
}

func (o *Operations) reload(ctx context.Context, _ *Request) (Result, error) {
	changed, err := o.Reload(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("nothing was changed: %w", err)
	}
	if len(changed) == 0 {
		return Result{Data: []string{}, Text: "Nothing has changed."}, nil
	}
	return Result{Data: changed, Text: strings.Join(changed, "\n")}, nil
}

func (o *Operations) points(context.Context, *Request) (Result, error) {
	list := o.Points()
	t := &Table{Columns: []string{"point", "listeners"}}
	for _, p := range list {
		t.Rows = append(t.Rows, []string{p.Name, strings.Join(p.Listeners, ", ")})
	}
	return Result{Data: list, Table: t}, nil
}

func (o *Operations) modules(context.Context, *Request) (Result, error) {
	list := o.Infos()
	t := &Table{Columns: []string{"module", "specification", "version", "status", "note"}}
	for _, m := range list {
		for _, s := range m.Specs {
			t.Rows = append(t.Rows, []string{m.Name, s.ID, s.Version, s.Status, s.Note})
		}
	}
	return Result{Data: list, Table: t}, nil
}

func (o *Operations) version(context.Context, *Request) (Result, error) {
	v := o.Version()
	text := "viaduct " + v["version"]
	if c := v["commit"]; c != "" {
		text += " (" + c + ")"
	}
	return Result{Data: v, Text: text + ", " + v["go"]}, nil
}
