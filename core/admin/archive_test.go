package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// kept is a store with a committer and one message an hour in three lists.
func kept(t *testing.T) (*sqlite.Store, *journal.Committer) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(journal.Options{Backend: s})
	j.Start()
	t.Cleanup(func() {
		if err := errors.Join(j.Stop(context.Background()), s.Close()); err != nil {
			t.Error(err)
		}
	})
	u := journal.NewUnit(journal.Lane{})
	for i := range 450 {
		id := storage.MessageID(noon.Add(time.Duration(i)*time.Hour).UnixMilli() << 20)
		u.Add(storage.PutMessage{ID: id, Body: []byte("<message/>")})
		for owner, kind := range map[string]storage.RefKind{"bob@example.org": storage.Archive, "eve@example.org": storage.Archive, "hall@rooms.example.org": storage.Room} {
			u.Add(storage.PutRef{Ref: storage.Ref{Kind: kind, Owner: owner, ID: id}})
		}
	}
	if err := s.Commit(t.Context(), []*journal.Unit{u})[0]; err != nil {
		t.Fatal(err)
	}
	return s, j
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// exporter writes the address.
type exporter struct{}

func (exporter) Export(_ context.Context, owner jid.JID, w io.Writer, progress func(int)) (int, error) {
	if owner.Local() == "broken" {
		return 0, errors.New("broken")
	}
	progress(3)
	_, err := fmt.Fprint(w, owner)
	return 3, err
}

func TestArchiveCommands(t *testing.T) {
	s, j := kept(t)
	a := &Archives{Messages: s.Messages(), Journal: j, Reader: exporter{}, IsAccountDomain: func(d string) bool { return d == "example.org" }}
	reg := &Registry{}
	if err := reg.Add(a.Commands()...); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bob.xml")
	for _, tc := range []struct {
		name, args, want string
		flags            map[string]string
		fails            bool
	}{
		{name: "archive show", args: "bob@example.org", want: "messages  450\n  first     2026-11-20T12:00:00Z"},
		{name: "archive show", args: "nobody@example.org", want: "Nothing is kept of nobody@example.org."},
		{name: "archive show", args: "example.org", want: "neither the address", fails: true},
		{name: "archive erase", args: "bob@example.org", want: "this deletes everything", fails: true},
		{name: "archive erase", args: "bob@example.org", flags: map[string]string{"before": "yesterday", "yes": "true"}, want: "is not a time", fails: true},
		{name: "archive erase", args: "bob@example.org", flags: map[string]string{"before": "2026-11-21", "yes": "true"}, want: "12 messages were deleted"},
		{name: "archive show", args: "bob@example.org", want: "messages  438\n  first     2026-11-21T00:00:00Z"},
		{name: "archive erase", args: "bob@example.org", flags: map[string]string{"before": "1969-12-31", "yes": "true"}, want: "no messages from before", fails: true},
		{name: "archive erase", args: "bob@example.org", flags: map[string]string{"scope": "all", "yes": "true"}, want: "no scope; use own, rooms or everywhere", fails: true},
		{name: "archive erase", args: "hall@rooms.example.org", flags: map[string]string{"scope": "rooms", "yes": "true"}, want: "is a room", fails: true},
		{name: "archive erase", args: "bob@example.org", flags: map[string]string{"scope": "everywhere"}, want: "in the archives of all its people; say --yes", fails: true},
		{name: "archive erase", args: "hall@rooms.example.org", flags: map[string]string{"yes": "true"}, want: "450 messages were deleted"},
		{name: "archive show", args: "hall@rooms.example.org", want: "Nothing is kept"},
		{name: "archive show", args: "eve@example.org", want: "messages  450"},
		{name: "archive export", args: "bob@example.org " + file, want: "has 3 messages of bob@example.org, 15 bytes."},
		{name: "archive export", args: "bob@example.org " + file, want: "exists already", fails: true},
		{name: "archive export", args: "broken@example.org " + file + "2", want: "broken", fails: true},
		{name: "archive export", args: "bob@example.org bob.xml", want: "must be absolute", fails: true},
	} {
		t.Run(tc.name+" "+tc.args, func(t *testing.T) {
			told := int64(0)
			res, err := reg.Execute(t.Context(), tc.name, &Request{Args: strings.Fields(tc.args), Flags: tc.flags, Progress: func(done, _ int64, _ string) { told = done }})
			got := res.Text
			if err != nil {
				got = err.Error()
			}
			if (err != nil) != tc.fails || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, %v", got, err)
			}
			if strings.Contains(tc.want, "were deleted") && told == 0 {
				t.Error("no progress was told")
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "bob@example.org" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is for %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(file + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Error("half a file was left")
	}
}

// Who does not wait any more does not have the rest deleted.
func TestEraseIsGivenUp(t *testing.T) {
	s, j := kept(t)
	a := &Archives{Messages: s.Messages(), Journal: j, IsAccountDomain: func(string) bool { return true }}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := a.erase(ctx, &Request{Args: []string{"bob@example.org"}, Flags: map[string]string{"yes": "true"}, Progress: func(int64, int64, string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	n, err := s.Messages().Count(t.Context(), storage.Archive, "bob@example.org", 0)
	if err != nil || n == 450 {
		t.Errorf("%d are left, %v", n, err)
	}
}
