package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// FileKeeper is what the commands need of the upload service of a running server.
type FileKeeper interface {
	// Files calls fn for the files of an owner ("": of everybody) until it returns false. A zero time of expiry is never.
	Files(ctx context.Context, owner string, fn func(id, owner, name, mediaType, link string, size int64, created, expires time.Time) bool) error
	// DeleteFile removes one file; an error that is fs.ErrNotExist if there is none.
	DeleteFile(ctx context.Context, id string) error
	// DeleteFilesOf removes all files of an owner.
	DeleteFilesOf(ctx context.Context, owner string) (int, error)
	// Quota returns what an owner ("": everybody) has and may have; a limit of 0 is none.
	Quota(ctx context.Context, owner string) (files, bytes, day, maxBytes, maxPerDay int64, err error)
	// SetQuota gives an owner limits of her own: 0 is none, negative the server's.
	SetQuota(ctx context.Context, owner string, maxBytes, maxPerDay int64) error
	// FileID returns the id in a link.
	FileID(link string) (string, bool)
}

// Uploads are the commands "upload …".
type Uploads struct {
	Keeper FileKeeper // nil: files cannot be shared
}

// maxListed is how many files one listing has.
const maxListed = 1000

// Commands returns the commands.
func (c *Uploads) Commands() []*Command {
	return []*Command{
		{Name: "upload list", Args: "[JID]", Max: 1, Run: c.list, Short: "list the files of an account, or of all",
			Long: "The oldest of each come first; no more than " + strconv.Itoa(maxListed) + " are shown."},
		{Name: "upload delete", Args: "FILE...", Max: -1, Run: c.delete, Short: "delete files, by id or link",
			Flags: []Flag{{Name: "user", Value: "JID", Doc: "all files of this account"}, {Name: "yes", Doc: "do not ask"}}},
		{Name: "upload quota", Args: "[JID]", Max: 1, Run: c.quota, Short: "show what an account, or all together, have and may have; or change it",
			Flags: []Flag{{Name: "bytes", Value: "SIZE", Doc: "how much the account may have: a number of bytes, one with MiB or GiB, none, or default"},
				{Name: "day", Value: "SIZE", Doc: "how much it may bring in 24 hours"}}},
	}
}

func (c *Uploads) ready() error {
	if c.Keeper == nil {
		return errors.New("files cannot be shared on this server: upload.on is false, or it has no https address")
	}
	return nil
}

// owner reads the address of somebody who has files: a person, or the host of a bridge.
func owner(s string) (string, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() {
		return "", Usagef("%q is no address of an account", s)
	}
	return j.String(), nil
}

type fileInfo struct {
	ID      string     `json:"id"`
	Owner   string     `json:"owner"`
	Name    string     `json:"name"`
	Type    string     `json:"type"`
	URL     string     `json:"url"`
	Size    int64      `json:"size"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

// optionalOwner is the account that a command names, "" if it names none.
func optionalOwner(args []string) (string, error) {
	if len(args) != 1 {
		return "", nil
	}
	return owner(args[0])
}

func (c *Uploads) list(ctx context.Context, r *Request) (Result, error) {
	if err := c.ready(); err != nil {
		return Result{}, err
	}
	of, err := optionalOwner(r.Args)
	if err != nil {
		return Result{}, err
	}
	infos := []fileInfo{}
	t := &Table{Columns: []string{"id", "owner", "name", "type", "bytes", "from", "until"}, Empty: "There are no files."}
	err = c.Keeper.Files(ctx, of, func(id, owner, name, mediaType, link string, size int64, created, expires time.Time) bool {
		i := fileInfo{ID: id, Owner: owner, Name: name, Type: mediaType, URL: link, Size: size, Created: created.UTC()}
		until := "for ever"
		if !expires.IsZero() {
			at := expires.UTC()
			i.Expires, until = &at, at.Format(time.RFC3339)
		}
		infos = append(infos, i)
		t.Rows = append(t.Rows, []string{id, owner, name, mediaType, strconv.FormatInt(size, 10), i.Created.Format(time.RFC3339), until})
		return len(infos) < maxListed
	})
	return Result{Data: infos, Table: t}, err
}

func (c *Uploads) delete(ctx context.Context, r *Request) (Result, error) {
	if err := c.ready(); err != nil {
		return Result{}, err
	}
	if user := r.Flag("user"); user != "" {
		return c.deleteOf(ctx, r, user)
	}
	if len(r.Args) == 0 {
		return Result{}, Usagef("give files by id or link, or --user JID")
	}
	for _, arg := range r.Args {
		id := arg
		if linked, ok := c.Keeper.FileID(arg); ok {
			id = linked
		}
		if err := c.Keeper.DeleteFile(ctx, id); errors.Is(err, fs.ErrNotExist) {
			return Result{}, fmt.Errorf("there is no file %s", arg)
		} else if err != nil {
			return Result{}, err
		}
	}
	return Result{Data: map[string]int{"deleted": len(r.Args)}, Text: fmt.Sprintf("%d files were deleted.", len(r.Args))}, nil
}

func (c *Uploads) deleteOf(ctx context.Context, r *Request, user string) (Result, error) {
	of, err := owner(user)
	if err != nil {
		return Result{}, err
	}
	if len(r.Args) > 0 || !r.Is("yes") {
		return Result{}, Usagef("this deletes all files of %s; name no others, and say --yes", of)
	}
	n, err := c.Keeper.DeleteFilesOf(ctx, of)
	return Result{Data: map[string]int{"deleted": n}, Text: fmt.Sprintf("%d files were deleted.", n)}, err
}

func (c *Uploads) quota(ctx context.Context, r *Request) (Result, error) {
	if err := c.ready(); err != nil {
		return Result{}, err
	}
	of, err := optionalOwner(r.Args)
	if err != nil {
		return Result{}, err
	}
	if r.Flag("bytes") != "" || r.Flag("day") != "" {
		if of == "" {
			return Result{}, Usagef("limits are changed for one account; those of all stand in the configuration")
		}
		if err := c.limit(ctx, of, r.Flag("bytes"), r.Flag("day")); err != nil {
			return Result{}, err
		}
	}
	files, bytes, day, maxBytes, maxPerDay, err := c.Keeper.Quota(ctx, of)
	if err != nil {
		return Result{}, err
	}
	text := fmt.Sprintf("%d files, %d bytes of %s", files, bytes, limitText(maxBytes))
	if of != "" {
		text += fmt.Sprintf("; in 24 hours %d bytes of %s", day, limitText(maxPerDay))
	}
	return Result{Data: map[string]int64{"files": files, "bytes": bytes, "day": day, "max_bytes": maxBytes, "max_per_day": maxPerDay}, Text: text + "."}, nil
}

// limit changes the limits of an account; what is not given stays.
func (c *Uploads) limit(ctx context.Context, of, bytes, day string) error {
	_, _, _, maxBytes, maxPerDay, err := c.Keeper.Quota(ctx, of)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		text string
		to   *int64
	}{{bytes, &maxBytes}, {day, &maxPerDay}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = quotaSize(f.text); err != nil {
			return err
		}
	}
	return c.Keeper.SetQuota(ctx, of, maxBytes, maxPerDay)
}

// quotaSize reads a size, "none" (0) or "default" (-1).
func quotaSize(s string) (int64, error) {
	switch s {
	case "none":
		return 0, nil
	case "default":
		return -1, nil
	}
	num, shift := s, 0
	for suffix, by := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			num, shift = strings.TrimSpace(n), by
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n <= 0 || n > (1<<60)>>shift {
		return 0, Usagef("%q is no size; write a number of bytes, or one with KiB, MiB or GiB, none, or default", s)
	}
	return n << shift, nil
}

func limitText(n int64) string {
	if n == 0 {
		return "any number"
	}
	return strconv.FormatInt(n, 10)
}
