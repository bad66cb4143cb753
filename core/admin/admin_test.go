package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// accounts is a store of accounts in memory.
type accounts map[string]*storage.Account

var errExists = errors.New("the account exists already")

func (a accounts) Create(_ context.Context, j jid.JID, pw string, admin bool) error {
	if a[j.String()] != nil {
		return errExists
	}
	a[j.String()] = &storage.Account{JID: j.String(), Admin: admin, Created: time.Unix(0, 0).UTC(), Credentials: []storage.Credential{{Hash: "SHA-256", StoredKey: []byte(pw)}}}
	return nil
}

func (a accounts) change(j jid.JID, f func(*storage.Account)) error {
	acc := a[j.String()]
	if acc == nil {
		return storage.ErrNotFound
	}
	f(acc)
	return nil
}

func (a accounts) SetPassword(_ context.Context, j jid.JID, pw string) error {
	return a.change(j, func(x *storage.Account) { x.Credentials[0].StoredKey = []byte(pw) })
}

func (a accounts) SetDisabled(_ context.Context, j jid.JID, d bool) error {
	return a.change(j, func(x *storage.Account) { x.Disabled = d })
}

func (a accounts) SetAdmin(_ context.Context, j jid.JID, d bool) error {
	return a.change(j, func(x *storage.Account) { x.Admin = d })
}

func (a accounts) Delete(_ context.Context, j jid.JID) error {
	delete(a, j.String())
	return nil
}

func (a accounts) Show(_ context.Context, j jid.JID) (storage.Account, error) {
	if acc := a[j.String()]; acc != nil {
		return *acc, nil
	}
	return storage.Account{}, storage.ErrNotFound
}

func (a accounts) List(context.Context, string, storage.Page) ([]storage.Account, error) {
	var out []storage.Account
	for _, x := range a {
		out = append(out, *x)
	}
	return out, nil
}

func users(t *testing.T) (accounts, *Registry, *[]string) {
	t.Helper()
	acc, kicked := accounts{}, &[]string{}
	u := &Users{Accounts: acc, Local: func(d string) bool { return d == "a.org" }, Generate: func() string { return "made-up" },
		Kick:   func(_ context.Context, j jid.JID, _, _ string) int { *kicked = append(*kicked, j.String()); return 2 },
		Online: func(context.Context, jid.JID) int { return 1 }}
	reg := &Registry{}
	if err := reg.Add(u.Commands()...); err != nil {
		t.Fatal(err)
	}
	return acc, reg, kicked
}

// run calls a command over HTTP, as the command line does.
func run(t *testing.T, reg *Registry, name string, flags map[string]string, args ...string) (string, error) {
	t.Helper()
	srv := httptest.NewServer(Handler(reg, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	c := srv.Client()
	c.Transport = toServer{srv.Listener.Addr().String(), c.Transport}
	res, err := Send(t.Context(), c, Call{Name: name, Args: args, Flags: flags}, nil)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := res.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), nil
}

func TestUserCommands(t *testing.T) {
	acc, reg, kicked := users(t)
	for _, step := range []struct {
		name  string
		flags map[string]string
		args  []string
		want  string
		usage bool
		fails string
	}{
		{name: "user list", want: "There are no accounts. Make one: viaduct user add JID\n"},
		{name: "user add", args: []string{"Alice@a.org"}, want: "alice@a.org was made.\nPassword: made-up\n"},
		{name: "user add", args: []string{"alice@a.org"}, fails: "exists already"},
		{name: "user add", args: []string{"bob@a.org"}, flags: map[string]string{"password-file": "pw-of-bob", "admin": "true"}, want: "bob@a.org was made.\n"},
		{name: "user add", args: []string{"alice@b.org"}, usage: true, fails: "b.org is not a domain of this server"},
		{name: "user add", args: []string{"a.org"}, usage: true, fails: "is not the address of an account"},
		{name: "user add", usage: true, fails: "usage: viaduct user add JID [--password-file FILE] [--admin]"},
		{name: "user add", args: []string{"x@a.org", "y"}, usage: true, fails: `"y" is one argument too many`},
		{name: "user add", args: []string{"x@a.org"}, flags: map[string]string{"root": "true"}, usage: true, fails: "unknown flag --root"},
		{name: "user show", args: []string{"bob@a.org"}, want: "bob@a.org\n  state      admin, online\n  created    1970-01-01T00:00:00Z\n  last seen  never\n  password   kept for SHA-256\n  sessions   1\n"},
		{name: "user passwd", args: []string{"alice@a.org"}, want: "The password of alice@a.org was changed; 2 sessions ended.\nPassword: made-up\n"},
		{name: "user disable", args: []string{"alice@a.org"}, want: "alice@a.org is disabled; 2 sessions ended.\n"},
		{name: "user enable", args: []string{"alice@a.org"}, want: "alice@a.org may log in.\n"},
		{name: "user delete", args: []string{"alice@a.org"}, usage: true, fails: "say --yes"},
		{name: "user delete", args: []string{"alice@a.org"}, flags: map[string]string{"yes": "true"}, want: "alice@a.org was deleted.\n"},
		{name: "user delete", args: []string{"alice@a.org"}, flags: map[string]string{"yes": "true"}, fails: "not found"},
		{name: "user frobnicate", usage: true, fails: "unknown command"},
	} {
		got, err := run(t, reg, step.name, step.flags, step.args...)
		switch {
		case step.fails != "":
			if err == nil || !strings.Contains(err.Error(), step.fails) || IsUsage(err) != step.usage {
				t.Errorf("%s %v: error %v", step.name, step.args, err)
			}
		case err != nil:
			t.Errorf("%s %v: %v", step.name, step.args, err)
		case got != step.want:
			t.Errorf("%s %v:\n%q\nwant\n%q", step.name, step.args, got, step.want)
		}
	}
	if string(acc["bob@a.org"].Credentials[0].StoredKey) != "pw-of-bob" || !acc["bob@a.org"].Admin {
		t.Error("the password or role of bob is not the one given")
	}
	if len(*kicked) != 3 {
		t.Errorf("sessions ended: %v", *kicked)
	}
}

func TestBackupAppearsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	fail := false
	o := &Operations{Backup: func(_ context.Context, w io.Writer, progress func(int64, int64)) error {
		progress(1, 2)
		_, err := w.Write([]byte("everything"))
		if fail {
			return errors.New("the disk is full")
		}
		return err
	}}
	reg := &Registry{}
	if err := reg.Add(o.Commands()...); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "b")
	if _, err := run(t, reg, "backup", nil, file); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "everything" {
		t.Errorf("wrote %q", b)
	}
	if _, err := run(t, reg, "backup", nil, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a file was overwritten: %v", err)
	}
	if err := os.WriteFile(file+"3.part", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, reg, "backup", nil, file+"3"); err == nil || !strings.Contains(err.Error(), "3.part is there from a backup that was broken off") {
		t.Errorf("over one that was broken off: %v", err)
	}
	if _, err := run(t, reg, "backup", nil, "relative"); !IsUsage(err) {
		t.Errorf("a relative path: %v", err)
	}
	fail = true
	if _, err := run(t, reg, "backup", nil, file+"2"); err == nil {
		t.Error("a failed backup succeeded")
	}
	if left, _ := filepath.Glob(file + "2*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestTextOfOthersDoesNotMoveTheCursor(t *testing.T) {
	var b bytes.Buffer
	res := Result{Table: &Table{Columns: []string{"name"}, Rows: [][]string{{"evil\x1b[2J\nname"}, {""}}}}
	if err := res.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b") || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("%q", b.String())
	}
}

func TestTextNeitherMovesTheCursor(t *testing.T) {
	res := Result{Text: "room there\t\u202eops\x1b]0;owned\a\u009b2J\n  second\r\n"}
	var b strings.Builder
	if err := res.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if want := "room there\t\uFFFDops\uFFFD]0;owned\uFFFD\uFFFD2J\n  second\uFFFD\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestCommandThatPanics(t *testing.T) {
	reg := &Registry{}
	if err := reg.Add(&Command{Name: "boom", Run: func(context.Context, *Request) (Result, error) { panic("x") }}); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, reg, "boom", nil); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("error %v", err)
	}
	if err := reg.Add(&Command{Name: "boom"}); err == nil {
		t.Error("two commands of one name were accepted")
	}
}
