package upload

import (
	"crypto/rand"
	"errors"
	"mime"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"très cool.jpg": "très cool.jpg", "a.tar.gz": "a.tar.gz", "": "file", ".": "file", "..": "file", "...": "file", "/": "file",
		"../../etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", "/etc/passwd": "passwd", ".htaccess": "htaccess", "a/../b.txt": "b.txt",
		"%2e%2e%2fa": "_2e_2e_2fa", "%u002e": "_u002e", "a\x00.jpg": "a.jpg", "a\r\nSet-Cookie: b": "aSet-Cookie_ b", "a\tb": "ab",
		"photo\u202egpj.exe": "photogpj.exe", "a\"b.txt": "a_b.txt", "<script>.html": "_script_.html", "a?b#c&d;e": "a_b_c_d_e", "CON:": "CON_", " a ": "a", "a. ": "a",
		"日本語.png": "日本語.png", "\xff\xfe": "file", strings.Repeat("ä", 200) + ".jpeg": strings.Repeat("ä", 72) + ".jpeg",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "%2e", "\u202e", "\x00", strings.Repeat("a", 300), "a/b\\c", "\"", " .", "é\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := cleanName(in)
		if out == "" || out == "." || out == ".." || len(out) > maxName || !utf8.ValidString(out) || strings.ContainsAny(out, "/\\%\"<>\x00\r\n") {
			t.Fatalf("%q becomes %q", in, out)
		}
		for _, r := range out {
			if unicode.IsControl(r) {
				t.Fatalf("%q becomes %q", in, out)
			}
		}
		if again := cleanName(out); again != out {
			t.Errorf("%q becomes %q, and that %q", in, out, again)
		}
		// The name comes back from a URL as it went in.
		id := strings.Repeat("a", 32)
		u, err := url.Parse("https://x" + Path + id + "/" + url.PathEscape(out))
		if err != nil {
			t.Fatal(err)
		}
		if gotID, got, ok := splitPath(u.Path); !ok || got != out || gotID != id {
			t.Errorf("%q comes back as %q, %v", out, got, ok)
		}
		if _, params, err := mime.ParseMediaType(disposition("text/html", out)); err != nil || params["filename"] != out {
			t.Errorf("disposition of %q: %s", out, disposition("text/html", out))
		}
	})
}

func FuzzSplitPath(f *testing.F) {
	id := strings.Repeat("a", 32)
	for _, s := range []string{"/upload/" + id + "/x", "/upload/" + id, "/upload/../" + id + "/x", "/upload/" + id + "/../x", "/upload/" + id + "/x\x00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		id, name, ok := splitPath(p)
		if ok && (Path+id+"/"+name != p || !isID(id) || name == "" || strings.ContainsAny(name, "/\x00")) {
			t.Errorf("%q: %q %q", p, id, name)
		}
	})
}

func TestToken(t *testing.T) {
	s := &signer{[]byte("a key")}
	now := time.Unix(1_800_000_000, 0)
	sl := slot{ID: strings.Repeat("a", 32), Name: "x.png", User: "alice@example.org", Size: 10, Type: "image/png", Until: now.Unix() + 300, Purpose: ephemeral, Before: 5}
	token, err := s.sign(sl)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.open(sl.ID, sl.Name, token, now); err != nil || got != sl {
		t.Errorf("%+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		id, name, token string
		s               *signer
		now             time.Time
		want            error
	}{
		"over":         {sl.ID, sl.Name, token, s, now.Add(5 * time.Minute), errTokenOver},
		"other key":    {sl.ID, sl.Name, token, &signer{[]byte("b key")}, now, errToken},
		"other id":     {strings.Repeat("b", 32), sl.Name, token, s, now, errToken},
		"other name":   {sl.ID, "x.png2", token, s, now, errToken},
		"moved border": {sl.ID + "x", ".png", token, s, now, errToken},
		"empty":        {sl.ID, sl.Name, "", s, now, errToken},
		"no MAC":       {sl.ID, sl.Name, strings.SplitAfter(token, ".")[0], s, now, errToken},
		"padded":       {sl.ID, sl.Name, token + "=", s, now, errToken},
		"a NUL":        {sl.ID, "x\x00.png", token, s, now, errToken},
	} {
		if got, err := c.s.open(c.id, c.name, c.token, c.now); err != c.want { //nolint:errorlint // exactly this
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// No token but the one that was signed is good.
func FuzzToken(f *testing.F) {
	s := &signer{[]byte("a key")}
	now := time.Unix(1_800_000_000, 0)
	sl := slot{ID: strings.Repeat("a", 32), Name: "x", User: "alice@example.org", Size: 10, Until: now.Unix() + 300}
	good, err := s.sign(sl)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + "=")
	f.Add("." + good)
	f.Add("e30." + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := s.open(sl.ID, sl.Name, token, now); err == nil && token != good {
			t.Errorf("%q is accepted", token)
		}
	})
}

// Attacks row 14: ids are 160 bits of what the server is given as randomness, and no two are the same.
func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, err := newID(rand.Reader)
		if err != nil || !isID(id) || seen[id] {
			t.Fatalf("id %q, %v", id, err)
		}
		seen[id] = true
	}
	if _, err := newID(strings.NewReader("short")); err == nil {
		t.Error("an id without randomness")
	}
}

func TestMediaTypes(t *testing.T) {
	for in, want := range map[string]string{
		"image/png": "image/png", "IMAGE/PNG": "image/png", "text/plain; charset=utf-8": "text/plain; charset=utf-8", "text/plain; a=b": "text/plain",
		"": "", "image": "", "a/b/c": "", "text/html\r\nX: y": "", "*/*;": "*/*", strings.Repeat("a", 300) + "/b": "",
	} {
		if got := mediaType(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, typ := range []string{"text/html", "image/svg+xml", "application/pdf", "text/xml", "application/octet-stream", "", "image/svg", "multipart/x-mixed-replace"} {
		if !strings.HasPrefix(disposition(typ, "x"), "attachment") {
			t.Errorf("%s is shown", typ)
		}
	}
}

// Who sends many files slowly has a bounded part of the places; what a bridge stores is not bounded by it.
func TestPutsOfOnePerson(t *testing.T) {
	q := quota{accounts: map[string]*account{}, open: map[*account]bool{}}
	for _, who := range []string{"alice@example.org", "bob@example.org"} {
		q.accounts[who] = &account{usage: usage{Hours: map[int64]int64{}}, slots: map[string]*reservation{}}
	}
	now := time.Unix(1_800_000_000, 0)
	put := func(who, id string, exempt bool) error {
		_, err := q.begin(t.Context(), slot{ID: id, User: who, Size: 1, Until: now.Unix() + 300}, exempt, now)
		return err
	}
	for i := range maxPuts {
		if err := put("alice@example.org", strings.Repeat("a", i+1), false); err != nil {
			t.Fatalf("upload %d: %v", i+1, err)
		}
	}
	var over *overQuota
	if err := put("alice@example.org", "b", false); !errors.As(err, &over) || !over.busy {
		t.Errorf("one more: %v", err)
	}
	for who, exempt := range map[string]bool{"bob@example.org": false, "alice@example.org": true} {
		if err := put(who, "c", exempt); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	q.giveBack(slot{ID: "a", User: "alice@example.org"})
	q.giveBack(slot{ID: "c", User: "alice@example.org"})
	if err := put("alice@example.org", "b", false); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}
