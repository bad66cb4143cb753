package admin

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// shelf is a FileKeeper.
type shelf struct {
	files            map[string]string // id to owner
	maxBytes, perDay int64
}

func (s *shelf) Files(_ context.Context, owner string, fn func(id, owner, name, mediaType, link string, size int64, created, expires time.Time) bool) error {
	for _, id := range []string{"a", "b", "c"} {
		if of, ok := s.files[id]; ok && (owner == "" || of == owner) {
			if !fn(id, of, id+".png", "image/png", "https://x/"+id, 10, time.Unix(1000, 0), time.Time{}) {
				break
			}
		}
	}
	return nil
}

func (s *shelf) DeleteFile(_ context.Context, id string) error {
	if _, ok := s.files[id]; !ok {
		return fmt.Errorf("x: %w", fs.ErrNotExist)
	}
	delete(s.files, id)
	return nil
}

func (s *shelf) DeleteFilesOf(_ context.Context, owner string) (n int, err error) {
	for id, of := range s.files {
		if of == owner {
			delete(s.files, id)
			n++
		}
	}
	return n, nil
}

func (s *shelf) Quota(context.Context, string) (files, bytes, day, maxBytes, maxPerDay int64, err error) {
	return int64(len(s.files)), 30, 10, s.maxBytes, s.perDay, nil
}

func (s *shelf) SetQuota(_ context.Context, _ string, maxBytes, maxPerDay int64) error {
	s.maxBytes, s.perDay = maxBytes, maxPerDay
	return nil
}

func (s *shelf) FileID(link string) (string, bool) { return strings.CutPrefix(link, "https://x/") }

func TestUploads(t *testing.T) {
	s := &shelf{files: map[string]string{"a": "alice@example.org", "b": "alice@example.org", "c": "bob@example.org"}, maxBytes: 100, perDay: 50}
	reg := &Registry{}
	if err := reg.Add((&Uploads{Keeper: s}).Commands()...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		flags map[string]string
		want  string // in the text, or in the error
		fails bool
	}{
		{"upload list", nil, nil, "c.png", false},
		{"upload list", []string{"alice@example.org"}, nil, "for ever", false},
		{"upload list", []string{"alice@example.org/phone"}, nil, "no address", true},
		{"upload quota", nil, nil, "3 files, 30 bytes of 100.", false},
		{"upload quota", []string{"alice@example.org"}, nil, "in 24 hours 10 bytes of 50", false},
		{"upload quota", []string{"alice@example.org"}, map[string]string{"bytes": "2 GiB"}, "of 2147483648; in 24 hours 10 bytes of 50", false},
		{"upload quota", []string{"alice@example.org"}, map[string]string{"day": "none"}, "10 bytes of any number", false},
		{"upload quota", []string{"alice@example.org"}, map[string]string{"day": "lots"}, "is no size", true},
		{"upload quota", []string{"alice@example.org"}, map[string]string{"bytes": "99999999999 GiB"}, "is no size", true},
		{"upload quota", nil, map[string]string{"day": "1"}, "one account", true},
		{"upload delete", nil, nil, "give files", true},
		{"upload delete", []string{"x"}, nil, "there is no file x", true},
		{"upload delete", []string{"a", "https://x/c"}, nil, "2 files were deleted", false},
		{"upload delete", nil, map[string]string{"user": "alice@example.org"}, "say --yes", true},
		{"upload delete", nil, map[string]string{"user": "alice@example.org", "yes": "true"}, "1 files were deleted", false},
		{"upload list", nil, nil, "There are no files.", false},
	} {
		res, err := reg.Execute(t.Context(), c.name, &Request{Args: c.args, Flags: c.flags})
		var text strings.Builder
		if err != nil {
			text.WriteString(err.Error())
		} else if err := res.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if (err != nil) != c.fails || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s %v %v: %s", c.name, c.args, c.flags, text.String())
		}
	}
	if len(s.files) != 0 {
		t.Errorf("left: %v", s.files)
	}
	for _, c := range (&Uploads{}).Commands() {
		if _, err := c.Run(t.Context(), &Request{Args: []string{"a@b"}}); err == nil || !strings.Contains(err.Error(), "cannot be shared") {
			t.Errorf("%s without the service: %v", c.Name, err)
		}
	}
}
