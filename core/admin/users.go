package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Accounts is what the commands need of the accounts; core/auth has it.
type Accounts interface {
	Create(ctx context.Context, bare jid.JID, password string, admin bool) error
	SetPassword(ctx context.Context, bare jid.JID, password string) error
	SetDisabled(ctx context.Context, bare jid.JID, disabled bool) error
	SetAdmin(ctx context.Context, bare jid.JID, admin bool) error
	Delete(ctx context.Context, bare jid.JID) error
	Show(ctx context.Context, bare jid.JID) (storage.Account, error)
	List(ctx context.Context, domain string, p storage.Page) ([]storage.Account, error)
}

// Users are the commands "user …".
type Users struct {
	Accounts Accounts
	// Local tells whether accounts live on a domain.
	Local func(domain string) bool
	// Kick ends the sessions of an account and returns how many; nil while the server is stopped.
	Kick func(ctx context.Context, bare jid.JID, condition, text string) int
	// Online counts the sessions of an account; nil while the server is stopped.
	Online func(ctx context.Context, bare jid.JID) int
	// Generate makes a password for an account that is made without one.
	Generate func() string
}

var passwordFlag = Flag{Name: "password-file", Value: "FILE", Local: true, Doc: "read the password from the first line of a file, - for standard input; without it one is asked for, or made and shown"}

// Commands returns the commands.
func (u *Users) Commands() []*Command {
	return []*Command{
		{Name: "user add", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.add, Short: "make an account",
			Flags: []Flag{passwordFlag, {Name: "admin", Doc: "the account administers the server"}}},
		{Name: "user list", Args: "[DOMAIN]", Max: 1, Stopped: true, Run: u.list, Short: "list the accounts"},
		{Name: "user show", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.show, Short: "show an account"},
		{Name: "user passwd", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.passwd, Flags: []Flag{passwordFlag},
			Short: "change a password", Long: "The sessions of the account are ended."},
		{Name: "user disable", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.disable,
			Short: "keep an account from logging in", Long: "Nothing is deleted. The sessions of the account are ended."},
		{Name: "user enable", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.enable, Short: "let a disabled account log in again"},
		{Name: "user delete", Args: "JID", Min: 1, Max: 1, Stopped: true, Run: u.remove, Flags: []Flag{{Name: "yes", Doc: "do not ask"}},
			Short: "delete an account with everything it has here"},
	}
}

func (u *Users) address(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return jid.JID{}, Usagef("%q is not the address of an account; write local@domain", s)
	}
	if !u.Local(j.Domain()) {
		return jid.JID{}, Usagef("%s is not a domain of this server", j.Domain())
	}
	return j, nil
}

func (u *Users) add(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	pw, given := r.Flags["password-file"]
	if !given {
		pw = u.Generate()
	}
	if err := u.Accounts.Create(ctx, who, pw, r.Is("admin")); err != nil {
		return Result{}, err
	}
	data := map[string]any{"jid": who.String(), "admin": r.Is("admin")}
	text := who.String() + " was made."
	if !given {
		data["password"] = pw
		text += "\nPassword: " + pw
	}
	return Result{Data: data, Text: text}, nil
}

func (u *Users) passwd(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	pw, given := r.Flags["password-file"]
	if !given {
		pw = u.Generate()
	}
	if err := u.Accounts.SetPassword(ctx, who, pw); err != nil {
		return Result{}, err
	}
	n := u.kick(ctx, who, "reset", "The password was changed.")
	data := map[string]any{"jid": who.String(), "sessions_ended": n}
	text := fmt.Sprintf("The password of %s was changed; %s ended.", who, plural(n, "session"))
	if !given {
		data["password"] = pw
		text += "\nPassword: " + pw
	}
	return Result{Data: data, Text: text}, nil
}

func (u *Users) disable(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	if err := u.Accounts.SetDisabled(ctx, who, true); err != nil {
		return Result{}, err
	}
	n := u.kick(ctx, who, "not-authorized", "The account was disabled.")
	return Result{Data: map[string]any{"jid": who.String(), "sessions_ended": n},
		Text: fmt.Sprintf("%s is disabled; %s ended.", who, plural(n, "session"))}, nil
}

func (u *Users) enable(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	if err := u.Accounts.SetDisabled(ctx, who, false); err != nil {
		return Result{}, err
	}
	return Result{Data: map[string]any{"jid": who.String()}, Text: who.String() + " may log in."}, nil
}

func (u *Users) remove(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	if !r.Is("yes") {
		return Result{}, Usagef("this deletes %s, its contacts, messages and settings; say --yes", who)
	}
	if _, err := u.Accounts.Show(ctx, who); err != nil {
		return Result{}, err
	}
	u.kick(ctx, who, "not-authorized", "The account was deleted.")
	if err := u.Accounts.Delete(ctx, who); err != nil {
		return Result{}, err
	}
	return Result{Data: map[string]any{"jid": who.String()}, Text: who.String() + " was deleted."}, nil
}

type userInfo struct {
	JID      string     `json:"jid"`
	Admin    bool       `json:"admin"`
	Disabled bool       `json:"disabled"`
	Created  time.Time  `json:"created"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	Sessions *int       `json:"sessions,omitempty"`
	Hashes   []string   `json:"hashes,omitempty"`
}

func (u *Users) info(ctx context.Context, a storage.Account) userInfo {
	i := userInfo{JID: a.JID, Admin: a.Admin, Disabled: a.Disabled, Created: a.Created}
	if !a.LastSeen.IsZero() {
		i.LastSeen = &a.LastSeen
	}
	if j, err := jid.Parse(a.JID); err == nil && u.Online != nil {
		n := u.Online(ctx, j)
		i.Sessions = &n
	}
	for _, c := range a.Credentials {
		i.Hashes = append(i.Hashes, c.Hash)
	}
	return i
}

func (i userInfo) state() string {
	var s []string
	if i.Admin {
		s = append(s, "admin")
	}
	if i.Disabled {
		s = append(s, "disabled")
	}
	if i.Sessions != nil && *i.Sessions > 0 {
		s = append(s, "online")
	}
	return strings.Join(s, ", ")
}

func (i userInfo) seen() string {
	if i.LastSeen == nil {
		return "never"
	}
	return i.LastSeen.Format(time.RFC3339)
}

func (u *Users) list(ctx context.Context, r *Request) (Result, error) {
	domain := ""
	if len(r.Args) == 1 {
		if domain = r.Args[0]; !u.Local(domain) {
			return Result{}, Usagef("%s is not a domain of this server", domain)
		}
	}
	infos := []userInfo{}
	t := &Table{Columns: []string{"jid", "state", "created", "last seen"}, Empty: "There are no accounts. Make one: viaduct user add JID"}
	for page := (storage.Page{Limit: 500}); ; {
		list, err := u.Accounts.List(ctx, domain, page)
		if err != nil {
			return Result{}, err
		}
		for _, a := range list {
			i := u.info(ctx, a)
			infos = append(infos, i)
			t.Rows = append(t.Rows, []string{i.JID, i.state(), i.Created.Format(time.DateOnly), i.seen()})
			page.After = a.JID
		}
		if len(list) < page.Limit {
			return Result{Data: infos, Table: t}, nil
		}
	}
}

func (u *Users) show(ctx context.Context, r *Request) (Result, error) {
	who, err := u.address(r.Args[0])
	if err != nil {
		return Result{}, err
	}
	a, err := u.Accounts.Show(ctx, who)
	if err != nil {
		return Result{}, err
	}
	i := u.info(ctx, a)
	text := fmt.Sprintf("%s\n  state      %s\n  created    %s\n  last seen  %s\n  password   kept for %s", i.JID, or(i.state(), "can log in"),
		i.Created.Format(time.RFC3339), i.seen(), strings.Join(i.Hashes, ", "))
	if i.Sessions != nil {
		text += fmt.Sprintf("\n  sessions   %d", *i.Sessions)
	}
	return Result{Data: i, Text: text}, nil
}

func (u *Users) kick(ctx context.Context, who jid.JID, condition, text string) int {
	if u.Kick == nil {
		return 0
	}
	return u.Kick(ctx, who, condition, text)
}

func plural(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// IsUsage tells whether an error says that a command was called in the wrong way.
func IsUsage(err error) bool {
	var u *UsageError
	return errors.As(err, &u)
}
