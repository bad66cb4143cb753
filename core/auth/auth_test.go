package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite/sqlitetest"
)

const secret = "correct horse"

var alice = jid.MustParse("alice@example.org")

func newAccounts(t testing.TB, change func(*Options)) (*Accounts, *event.Catalogue, storage.Store) {
	t.Helper()
	store, events := sqlitetest.Open(t), event.NewCatalogue()
	o := Options{Store: store.Accounts(), Journal: sqlitetest.Committer(t, store), Events: events, Iterations: 4096}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a, events, store
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLife(t *testing.T) {
	a, events, _ := newAccounts(t, nil)
	var told []string
	events.Account.Created.On(event.After, "test", func(_ context.Context, c *event.AccountChange) error {
		told = append(told, "created "+c.JID.String())
		return nil
	})
	events.Account.Deleted.On(event.After, "test", func(_ context.Context, c *event.AccountChange) error {
		told = append(told, "deleted "+c.JID.String())
		return nil
	})
	ctx := t.Context()
	must(t, a.Create(ctx, alice, secret, false))
	if err := a.Create(ctx, alice, secret, true); !errors.Is(err, ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	verify := func(pass string) bool {
		t.Helper()
		ok, err := a.Verify(ctx, alice, pass)
		must(t, err)
		return ok
	}
	if !verify(secret) || verify("wrong horse") {
		t.Error("the password is not the one")
	}
	must(t, a.SetPassword(ctx, alice, "battery staple"))
	if verify(secret) || !verify("battery staple") {
		t.Error("the old password is still good")
	}
	if admin, _ := a.IsAdmin(ctx, alice); admin {
		t.Error("an admin from the start")
	}
	must(t, a.SetAdmin(ctx, alice, true))
	if admin, _ := a.IsAdmin(ctx, jid.MustParse("alice@example.org/phone")); !admin {
		t.Error("no admin")
	}
	must(t, a.SetDisabled(ctx, alice, true))
	if admin, _ := a.IsAdmin(ctx, alice); admin || verify("battery staple") {
		t.Error("a disabled account can do something")
	}
	must(t, a.SetDisabled(ctx, alice, false))
	must(t, a.Delete(ctx, alice))
	if exists, err := a.Exists(ctx, alice); exists || err != nil {
		t.Errorf("deleted: %v %v", exists, err)
	}
	if err := a.SetPassword(ctx, alice, secret); !errors.Is(err, ErrNoAccount) {
		t.Errorf("password of nobody: %v", err)
	}
	if err := a.Delete(ctx, alice); !errors.Is(err, ErrNoAccount) {
		t.Errorf("deleted twice: %v", err)
	}
	if got := strings.Join(told, ", "); got != "created alice@example.org, deleted alice@example.org" {
		t.Errorf("told: %s", got)
	}
}

// TestRolesAreOfJIDs: the same local part elsewhere is somebody else (attacks row 24).
func TestRolesAreOfJIDs(t *testing.T) {
	a, _, _ := newAccounts(t, nil)
	must(t, a.Create(t.Context(), alice, secret, true))
	must(t, a.Create(t.Context(), jid.MustParse("alice@example.net"), secret, false))
	for who, want := range map[string]bool{
		"alice@example.org": true, "alice@example.org/x": true, "alice@example.net": false, "alice@remote.test": false, "example.org": false,
	} {
		if got, err := a.IsAdmin(t.Context(), jid.MustParse(who)); got != want || err != nil {
			t.Errorf("IsAdmin(%s) = %v, %v", who, got, err)
		}
	}
}

func TestPasswords(t *testing.T) {
	a, _, _ := newAccounts(t, nil)
	for _, tc := range []struct {
		name, password string
		ok             bool
	}{
		{"good", "correct horse", true},
		{"eight characters", "12345678", true},
		{"eight characters of more bytes", "häßlich!", true},
		{"empty", "", false},
		{"short", "1234567", false},
		{"the address", "alice@example.org", false},
		{"the address in capitals", "ALICE@example.org", false},
		{"control characters", "correct\x00horse", false},
		{"very long", strings.Repeat("x", maxPassword+1), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := a.CheckPassword(alice, tc.password)
			var refused *PasswordError
			if tc.ok != (err == nil) || err != nil && !errors.As(err, &refused) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := a.Create(t.Context(), alice, "short", false); err == nil {
		t.Error("an account with a short password")
	}
	for _, bad := range []string{"example.org", "alice@example.org/phone"} {
		if err := a.Create(t.Context(), jid.MustParse(bad), secret, false); !errors.Is(err, ErrNoAddress) {
			t.Errorf("account %s: %v", bad, err)
		}
	}
}

// TestCredentials: every hash that is offered has its credentials, each with a salt of its own, and no password is kept.
func TestCredentials(t *testing.T) {
	a, _, store := newAccounts(t, nil)
	must(t, a.Create(t.Context(), alice, secret, false))
	src := a.Source("example.org")
	salts := map[string]bool{}
	for _, h := range sasl.Hashes() {
		c, ok, err := src.Lookup(t.Context(), "alice", h)
		if err != nil || !ok {
			t.Fatalf("%v: %v %v", h, ok, err)
		}
		if good, err := c.Verify(secret); !good || err != nil {
			t.Errorf("%v: %v", h, err)
		}
		salts[string(c.Salt)] = true
	}
	if len(salts) != len(sasl.Hashes()) {
		t.Error("two hashes share a salt")
	}
	if _, ok, err := src.Lookup(t.Context(), "bob", sasl.SHA256); ok || err != nil {
		t.Errorf("nobody: %v %v", ok, err)
	}
	if _, ok, err := src.Lookup(t.Context(), "a/b", sasl.SHA256); ok || err != nil {
		t.Errorf("no name: %v %v", ok, err)
	}
	if _, ok, _ := a.Source("example.net").Lookup(t.Context(), "alice", sasl.SHA256); ok {
		t.Error("an account of another domain")
	}
	var attempt Attempt
	_, _, _ = src.Lookup(WithAttempt(t.Context(), &attempt), "mallory", sasl.SHA256)
	if attempt.Username != "mallory" {
		t.Errorf("attempt %+v", attempt)
	}
	row, err := store.Accounts().Get(t.Context(), "alice@example.org")
	must(t, err)
	for _, c := range row.Credentials {
		if strings.Contains(string(c.StoredKey)+string(c.ServerKey)+string(c.Salt), secret) {
			t.Error("a password in the store")
		}
	}
}

func TestAdmit(t *testing.T) {
	a, _, _ := newAccounts(t, nil)
	must(t, a.Create(t.Context(), alice, secret, false))
	admit := a.Admit("example.org")
	must(t, admit(t.Context(), "alice"))
	must(t, a.SetDisabled(t.Context(), alice, true))
	if err := admit(t.Context(), "alice"); sasl.ConditionOf(err) != sasl.AccountDisabled {
		t.Errorf("disabled: %v", err)
	}
	if err := admit(t.Context(), "nobody"); sasl.ConditionOf(err) != sasl.NotAuthorized {
		t.Errorf("nobody: %v", err)
	}
}

// counting counts the reads of a store.
type counting struct {
	storage.Accounts
	mu   sync.Mutex
	gets int
	wait func()
}

func (c *counting) Get(ctx context.Context, bare string) (storage.Account, error) {
	acc, err := c.Accounts.Get(ctx, bare)
	c.mu.Lock()
	c.gets++
	wait := c.wait
	c.mu.Unlock()
	if wait != nil {
		wait()
	}
	return acc, err
}

func TestCache(t *testing.T) {
	var src *counting
	a, _, _ := newAccounts(t, func(o *Options) { src = &counting{Accounts: o.Store}; o.Store, o.CacheSize = src, 2 })
	for _, name := range []string{"a@example.org", "b@example.org", "c@example.org"} {
		must(t, a.Create(t.Context(), jid.MustParse(name), secret, false))
	}
	get := func(name string) int {
		t.Helper()
		before := src.gets
		if ok, err := a.Exists(t.Context(), jid.MustParse(name)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		return src.gets - before
	}
	for _, step := range []struct {
		name  string
		reads int
	}{{"a@example.org", 1}, {"a@example.org", 0}, {"b@example.org", 1}, {"a@example.org", 0}, {"c@example.org", 1}, {"b@example.org", 1}, {"c@example.org", 0}} {
		if n := get(step.name); n != step.reads {
			t.Errorf("%s: %d reads, want %d", step.name, n, step.reads)
		}
	}
}

// TestCacheRace: what was read before a change is not kept after it.
func TestCacheRace(t *testing.T) {
	var src *counting
	a, _, _ := newAccounts(t, func(o *Options) { src = &counting{Accounts: o.Store}; o.Store = src })
	must(t, a.Create(t.Context(), alice, secret, false))
	src.wait = func() { // a reader has the old row in hand while it is changed
		src.wait = nil
		must(t, a.SetAdmin(context.Background(), alice, true))
	}
	_, err := a.Get(t.Context(), alice)
	must(t, err)
	if admin, _ := a.IsAdmin(t.Context(), alice); !admin {
		t.Error("an old row is in the cache")
	}
}

func TestAddCreateRefused(t *testing.T) {
	a, events, _ := newAccounts(t, nil)
	events.Account.Created.On(event.Guard, "test", func(context.Context, *event.AccountChange) error {
		return stanza.NewError(stanza.NotAllowed, "too much like somebody else's")
	})
	if err := a.Create(t.Context(), alice, secret, false); err == nil {
		t.Error("created against a guard")
	}
	if ok, _ := a.Exists(t.Context(), alice); ok {
		t.Error("it exists")
	}
}

func TestTouch(t *testing.T) {
	c := &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}
	a, _, _ := newAccounts(t, func(o *Options) { o.Clock = c })
	must(t, a.Create(t.Context(), alice, secret, false))
	seen := func() time.Time {
		t.Helper()
		must(t, a.Create(t.Context(), jid.MustParse(fmt.Sprintf("behind%d@example.org", c.now.UnixNano())), secret, false)) // what was submitted before is committed
		acc, err := a.Show(t.Context(), alice)
		must(t, err)
		return acc.LastSeen
	}
	if !seen().IsZero() {
		t.Error("seen before the first login")
	}
	first := c.now
	for _, step := range []struct {
		after time.Duration
		want  time.Time
	}{{time.Second, first.Add(time.Second)}, {time.Minute, first.Add(time.Second)}, {touchEvery, first.Add(time.Second + time.Minute + touchEvery)}} {
		c.now = c.now.Add(step.after)
		a.Touch(t.Context(), alice)
		if got := seen(); !got.Equal(step.want) {
			t.Errorf("%v later: seen %v, want %v", step.after, got, step.want)
		}
	}
}

// clock is a time that is set.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                               { return c.now }
func (c *clock) AfterFunc(time.Duration, func()) module.Timer { panic("not used") }

func TestThrottle(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	th := NewThrottle(ThrottleOptions{Clock: c, PerAddress: 5, PerAccount: 2, Refill: 10 * time.Second})
	home, evil := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.66")
	allow := func(from netip.Addr, account string, want bool) {
		t.Helper()
		if got := th.Allow(from, account); got != want {
			t.Errorf("Allow(%v, %q) = %v", from, account, got)
		}
	}
	for range 2 {
		allow(evil, "alice", true)
		th.Failed(evil, "alice")
	}
	allow(evil, "alice", false)
	allow(evil, "bob", true)
	allow(home, "alice", true) // nobody else is locked out
	for range 3 {
		th.Failed(evil, "someone")
	}
	allow(evil, "", false)
	allow(evil, "bob", false)
	c.now = c.now.Add(10 * time.Second)
	allow(evil, "bob", true)
	allow(evil, "alice", true)
	c.now = c.now.Add(time.Hour)
	allow(evil, "alice", true)

	net1, net2 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:2")
	for range 5 {
		th.Failed(net1, "")
	}
	allow(net2, "", false) // one network of 64 bits is one address
	allow(netip.MustParseAddr("2001:db8:0:1::1"), "", true)
	allow(netip.MustParseAddr("::ffff:192.0.2.1"), "alice", true)
	for range 2 {
		th.Failed(netip.MustParseAddr("::ffff:192.0.2.1"), "alice")
	}
	allow(home, "alice", false) // a mapped address is the address
}

// TestThrottleIsBounded: addresses without end do not fill the memory.
func TestThrottleIsBounded(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	th := NewThrottle(ThrottleOptions{Clock: c, MaxEntries: 100})
	for i := range 5000 {
		th.Failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "alice")
	}
	if n := len(th.by); n > 101 {
		t.Errorf("%d entries", n)
	}
}
