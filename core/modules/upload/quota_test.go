package upload_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// retryOf returns the stamp of a refusal (XEP-0363 §6, example 11).
func retryOf(t testing.TB, reply *xmlstream.Node) time.Time {
	t.Helper()
	r := reply.Child(ns.Client, "error").Child(ns.Upload, "retry")
	if r == nil {
		return time.Time{}
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", r.Attr("stamp"))
	if err != nil {
		t.Errorf("stamp: %v", err)
	}
	return at
}

// limited asks for a slot that is refused for a quota, and returns when to try again.
func (w *world) limited(c *xmpptest.Client, size string) time.Time {
	w.t.Helper()
	_, condition, reply := w.ask(c, "filename='x' size='"+size+"'", "")
	if condition != "resource-constraint" || reply.Child(ns.Client, "error").Attr("type") != "wait" {
		w.t.Errorf("%s bytes: %s", size, reply)
		return time.Time{}
	}
	return retryOf(w.t, reply)
}

// Attacks row 33: nobody takes more than is hers, in a day or at all, by files or by slots, and all together take no more than there is.
func TestQuotas(t *testing.T) {
	t.Run("a day", func(t *testing.T) {
		w := newWorld(t, upload.Options{PerDayBytes: 100, ExpireAfter: time.Hour}, nil)
		start := w.clock.set(time.Now().Truncate(time.Hour).Add(10 * time.Minute))
		alice := w.Login(t, "alice@example.org/phone")
		w.share(alice, "a", strings.Repeat("x", 60))
		if _, c, _ := w.ask(alice, "filename='x' size='101'", ""); c != "not-acceptable" {
			t.Errorf("more than a day's: %q", c)
		}
		retry := w.limited(alice, "50")
		if d := retry.Sub(start); d < 23*time.Hour || d > 24*time.Hour {
			t.Errorf("again in %v", d)
		}
		w.clock.advance(2 * time.Hour) // the file expires; what was brought stays counted
		if err := w.m.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.limited(alice, "50")
		w.clock.set(retry)
		w.share(alice, "b", strings.Repeat("y", 50))
		bob := w.Login(t, "bob@example.org/phone")
		w.share(bob, "c", strings.Repeat("z", 100)) // hers is not his
	})
	t.Run("one account", func(t *testing.T) {
		w := newWorld(t, upload.Options{PerUserBytes: 100, ExpireAfter: 10 * day}, nil)
		alice := w.Login(t, "alice@example.org/phone")
		l := w.share(alice, "a", strings.Repeat("x", 60))
		if d := time.Until(w.limited(alice, "41")); d < 9*day || d > 11*day {
			t.Errorf("again in %v", d)
		}
		if err := w.m.DeleteFile(t.Context(), w.id(l)); err != nil {
			t.Fatal(err)
		}
		w.share(alice, "b", strings.Repeat("y", 100))
		if err := w.m.SetQuota(t.Context(), "alice@example.org", 150, -1); err != nil {
			t.Fatal(err)
		}
		w.Restart(t)
		alice = w.Login(t, "alice@example.org/phone")
		w.limited(alice, "51")
		w.share(alice, "c", strings.Repeat("z", 50))
		files, bytes, _, maxBytes, _, err := w.m.Quota(t.Context(), "alice@example.org")
		if files != 2 || bytes != 150 || maxBytes != 150 || err != nil {
			t.Errorf("%d files, %d bytes of %d, %v", files, bytes, maxBytes, err)
		}
	})
	t.Run("slots", func(t *testing.T) {
		w := newWorld(t, upload.Options{PerUserBytes: 100}, nil)
		alice := w.Login(t, "alice@example.org/phone")
		first := w.slot(alice, "a", 60, "")
		w.limited(alice, "41") // announced is as good as brought
		w.clock.advance(6 * time.Minute)
		w.slot(alice, "b", 100, "")
		if got := w.put(first, strings.Repeat("x", 60)); got != 403 {
			t.Errorf("an old slot: %d", got)
		}
		bob := w.Login(t, "bob@example.org/phone")
		for range 50 {
			w.slot(bob, "x", 1, "")
		}
		w.limited(bob, "1")
	})
	t.Run("all", func(t *testing.T) {
		w := newWorld(t, upload.Options{TotalBytes: 100}, nil)
		alice, bob := w.Login(t, "alice@example.org/phone"), w.Login(t, "bob@example.org/phone")
		w.share(alice, "a", strings.Repeat("x", 50))
		w.slot(alice, "b", 40, "")
		w.limited(bob, "11")
		w.share(bob, "c", strings.Repeat("x", 10)) // other bytes than hers
		files, bytes, _, maxBytes, _, err := w.m.Quota(t.Context(), "")
		if files != 2 || bytes != 60 || maxBytes != 100 || err != nil {
			t.Errorf("%d files, %d bytes of %d, %v", files, bytes, maxBytes, err)
		}
	})
	t.Run("pictures of oneself", func(t *testing.T) {
		w := newWorld(t, upload.Options{ProfileBytes: 20, ExpireAfter: day}, nil)
		alice := w.Login(t, "alice@example.org/phone")
		me := "<profile xmlns='" + ns.UploadPurpose + "'/>"
		l, condition, _ := w.ask(alice, "filename='me' size='15'", me)
		if condition != "" || w.put(l, strings.Repeat("x", 15)) != 201 {
			t.Fatalf("refused: %q", condition)
		}
		if _, condition, _ := w.ask(alice, "filename='me' size='6'", me); condition != "resource-constraint" {
			t.Errorf("another: %q", condition)
		}
		if _, condition, _ := w.ask(alice, "filename='me' size='21'", me); condition != "not-acceptable" {
			t.Errorf("a larger one: %q", condition)
		}
		w.share(alice, "b", strings.Repeat("x", 50))
		w.clock.advance(100 * day)
		if a := w.get(l); a.status != 200 {
			t.Errorf("it is gone: %d", a.status)
		}
	})
}

// Many at once take no more than the quota, and a slot takes one file.
func TestQuotaRaces(t *testing.T) {
	w := newWorld(t, upload.Options{PerUserBytes: 50}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	var links []link
	for range 5 {
		links = append(links, w.slot(alice, "x", 10, ""))
	}
	var mu sync.Mutex
	answers := map[int]int{}
	var wg sync.WaitGroup
	for i, l := range append(links, links...) {
		wg.Go(func() {
			got := w.put(l, strings.Repeat(string(rune('a'+i%5)), 10))
			mu.Lock()
			defer mu.Unlock()
			answers[got]++
		})
	}
	wg.Wait()
	if answers[201] != 5 || answers[409] != 5 {
		t.Errorf("answers %v", answers)
	}
	if files, bytes := w.m.Usage(); files != 5 || bytes != 50 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}

// Expiry by age, by size and by what the uploader asked for (XEP-0363 §5); a body stays as long as one file has it.
func TestExpiry(t *testing.T) {
	w := newWorld(t, upload.Options{ExpireAfter: 30 * day, Classes: []upload.Class{{Over: 20, After: 7 * day}, {Over: 40, After: day}}, Permanent: true}, nil)
	alice := w.Login(t, "alice@example.org/phone")
	put := func(size int, inner string) link {
		t.Helper()
		l, condition, _ := w.ask(alice, "filename='x' size='"+itoa(size)+"'", inner)
		if condition != "" || w.put(l, strings.Repeat("x", size)) != 201 {
			t.Fatalf("refused: %q", condition)
		}
		return l
	}
	in := func(d time.Duration) string {
		return "<ephemeral xmlns='" + ns.UploadPurpose + "' expire-before='" + w.clock.Now().Add(d).UTC().Format(time.RFC3339) + "'/>"
	}
	type kept struct {
		l    link
		days []bool // after half an hour, 1, 7, 30 and 1000 days
	}
	files := map[string]kept{
		"small":            {put(20, ""), []bool{true, true, true, false, false}},
		"larger":           {put(21, ""), []bool{true, true, false, false, false}},
		"large":            {put(41, ""), []bool{true, false, false, false, false}},
		"an hour":          {put(20, in(20*time.Minute)), []bool{false, false, false, false, false}},
		"large, longer":    {put(41, in(20*day)), []bool{true, false, false, false, false}},
		"for ever":         {put(41, "<permanent xmlns='"+ns.UploadPurpose+"'/>"), []bool{true, true, true, true, true}},
		"the same for now": {put(20, ""), []bool{true, true, true, false, false}},
	}
	start := w.clock.Now()
	left := []int{3, 3, 2, 1, 1} // bodies
	for i, after := range []time.Duration{30 * time.Minute, day + time.Minute, 7*day + time.Minute, 30*day + time.Minute, 1000 * day} {
		w.clock.set(start.Add(after))
		for _, swept := range []bool{false, true} {
			for name, f := range files {
				if got := w.get(f.l).status == 200; got != f.days[i] {
					t.Errorf("%s after %v, swept %v: there %v", name, after, swept, got)
				}
			}
			if err := w.m.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.onDisk(); n != left[i] {
			t.Errorf("after %v: %d bodies", after, n)
		}
	}
	if files, bytes := w.m.Usage(); files != 1 || bytes != 41 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}

// More than one slice of expired files goes.
func TestManyExpire(t *testing.T) {
	w := newWorld(t, upload.Options{ExpireAfter: day}, nil)
	for i := range 120 {
		if _, _, err := w.m.StoreFile(t.Context(), "bridge.example.org", "x", "", -1, strings.NewReader(itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.advance(2 * day)
	if err := w.m.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files, bytes := w.m.Usage(); files != 0 || bytes != 0 || w.onDisk() != 0 {
		t.Errorf("%d files, %d bytes, %d bodies", files, bytes, w.onDisk())
	}
}

// A deleted account leaves no files, also if the server ends before they are gone; who has the name next begins with none.
func TestAccountDeleted(t *testing.T) {
	w := newWorld(t, upload.Options{PerUserBytes: 100}, nil)
	l := w.share(w.Login(t, "alice@example.org/phone"), "a", strings.Repeat("x", 60))
	same := w.share(w.Login(t, "bob@example.org/phone"), "b", strings.Repeat("x", 60))
	if err := w.Accounts().Delete(t.Context(), jid.MustParse("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	w.Restart(t)
	w.clock.advance(time.Second)
	alice := w.Login(t, "alice@example.org/phone")
	if err := w.m.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := w.share(alice, "c", strings.Repeat("y", 100))
	if err := w.m.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		l    link
		want int
	}{"hers": {l, 404}, "his": {same, 200}, "the new one's": {again, 200}} {
		if got := w.get(c.l).status; got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	if files, bytes := w.m.Usage(); files != 2 || bytes != 160 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}

// The administration sees, deletes and counts.
func TestKeeper(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	alice, bob := w.Login(t, "alice@example.org/phone"), w.Login(t, "bob@example.org/phone")
	first := w.share(alice, "a.txt", "1")
	w.clock.advance(time.Second)
	w.share(alice, "b.txt", "22")
	w.share(bob, "c.txt", "333")
	list := func(owner string, limit int) (out string) {
		err := w.m.Files(t.Context(), owner, func(_, owner, name, _, link string, size int64, _, expires time.Time) bool {
			if !strings.HasSuffix(link, "/"+name) || !expires.IsZero() {
				t.Errorf("%s until %v", link, expires)
			}
			out += owner[:1] + name[:1] + itoa(int(size)) + " "
			limit--
			return limit > 0
		})
		if err != nil {
			t.Error(err)
		}
		return out
	}
	for _, c := range []struct {
		owner string
		limit int
		want  string
	}{{"", 9, "aa1 ab2 bc3 "}, {"", 2, "aa1 ab2 "}, {"alice@example.org", 9, "aa1 ab2 "}, {"carol@example.org", 9, ""}} {
		if got := list(c.owner, c.limit); got != c.want {
			t.Errorf("files of %q: %q", c.owner, got)
		}
	}
	for i, want := range []error{nil, fs.ErrNotExist} {
		if err := w.m.DeleteFile(t.Context(), w.id(first)); !errors.Is(err, want) {
			t.Errorf("delete %d: %v", i, err)
		}
	}
	if n, err := w.m.DeleteFilesOf(t.Context(), "alice@example.org"); n != 1 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if got := list("", 9); got != "bc3 " || w.onDisk() != 1 {
		t.Errorf("left: %q, %d bodies", got, w.onDisk())
	}
}

// While one deletes the only file with some bytes, others bring the same: none of theirs loses its body.
func TestDeleteAndPutAtOnce(t *testing.T) {
	w := newWorld(t, upload.Options{}, nil)
	ctx := context.Background()
	store := func() string {
		id, _, err := w.m.StoreFile(ctx, "bridge.example.org", "x", "", 4, strings.NewReader("same"))
		if err != nil {
			t.Error(err)
		}
		return id
	}
	id := store()
	for range 30 {
		var next [3]string
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := w.m.DeleteFile(ctx, id); err != nil {
				t.Error(err)
			}
		})
		for i := range next {
			wg.Go(func() { next[i] = store() })
		}
		wg.Wait()
		for i, n := range next {
			body, _, _, _, err := w.m.OpenFile(ctx, n)
			if err != nil {
				t.Fatalf("a body is lost: %v", err)
			}
			_ = body.Close()
			if i > 0 {
				if err := w.m.DeleteFile(ctx, n); err != nil {
					t.Error(err)
				}
			}
		}
		id = next[0]
	}
}
