package rsm

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

func parse(t testing.TB, xml string) *xmlstream.Node {
	t.Helper()
	f, err := xmlstream.ParseFragment([]byte(xml))
	if err != nil || f.NumChildren() != 1 {
		t.Fatalf("%s: %v", xml, err)
	}
	return f.At(0).Node()
}

func set(inner string) string {
	return "<query xmlns='urn:example:q'><set xmlns='http://jabber.org/protocol/rsm'>" + inner + "</set></query>"
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, xml string
		want      Request
		bad       bool
	}{
		{"none", "<query xmlns='urn:example:q'/>", Request{Max: -1, Index: -1}, false},
		{"empty", set(""), Request{Max: -1, Index: -1, Given: true}, false},
		{"first page", set("<max>10</max>"), Request{Max: 10, Index: -1, Given: true}, false},
		{"next page", set("<max> 10 </max><after>a</after>"), Request{Max: 10, After: "a", Index: -1, Given: true}, false},
		{"page before", set("<max>10</max><before>a</before>"), Request{Max: 10, Before: "a", Backward: true, Index: -1, Given: true}, false},
		{"last page", set("<max>10</max><before/>"), Request{Max: 10, Backward: true, Index: -1, Given: true}, false},
		{"out of order", set("<max>10</max><index>371</index>"), Request{Max: 10, Index: 371, Given: true}, false},
		{"count only", set("<max>0</max>"), Request{Max: 0, Index: -1, Given: true}, false},
		{"unknown", set("<max more='1'>1</max><future/><x xmlns='urn:example:x'>1</x>"), Request{Max: 1, Index: -1, Given: true}, false},
		{"negative", set("<max>-1</max>"), All(), true},
		{"no number", set("<max/>"), All(), true},
		{"too large", set("<index>99999999999</index>"), All(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(parse(t, c.xml))
			if got != c.want || errors.Is(err, ErrInvalid) != c.bad {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
			if err == nil && got.Given {
				if again, err := Parse(got.Node()); err != nil || again != got {
					t.Errorf("written and read again: %+v, %v", again, err)
				}
			}
		})
	}
	if r, err := Parse(nil); err != nil || r != All() {
		t.Errorf("nothing: %+v, %v", r, err)
	}
}

func TestResult(t *testing.T) {
	for _, r := range []Result{{Index: -1, Count: -1}, {First: "a", Last: "b", Index: 0, Count: 2}, {First: "a", Last: "b", Index: -1, Count: -1}, {Index: -1, Count: 800}} {
		got, err := ParseResult(r.Node())
		if err != nil || got != r {
			t.Errorf("%+v became %+v, %v", r, got, err)
		}
	}
	for name, xml := range map[string]string{
		"another element": "<sets xmlns='http://jabber.org/protocol/rsm'/>",
		"bad count":       "<set xmlns='http://jabber.org/protocol/rsm'><count>x</count></set>",
		"bad index":       "<set xmlns='http://jabber.org/protocol/rsm'><first index='-1'>a</first></set>",
	} {
		if r, err := ParseResult(parse(t, xml)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestSlice(t *testing.T) {
	list := strings.Split("abcdefghij", "")
	key := func(s string) string { return s }
	for _, c := range []struct {
		r    Request
		want string
		err  error
	}{
		{All(), "abcde first=a last=e index=0 count=10", nil},
		{Request{Max: 3, Index: -1}, "abc first=a last=c index=0 count=10", nil},
		{Request{Max: 3, After: "c", Index: -1}, "def first=d last=f index=3 count=10", nil},
		{Request{Max: 3, After: "i", Index: -1}, "j first=j last=j index=9 count=10", nil},
		{Request{Max: 3, After: "j", Index: -1}, " first= last= index=-1 count=10", nil},
		{Request{Max: 3, Backward: true, Index: -1}, "hij first=h last=j index=7 count=10", nil},
		{Request{Max: 3, Before: "h", Backward: true, Index: -1}, "efg first=e last=g index=4 count=10", nil},
		{Request{Max: 3, Before: "b", Backward: true, Index: -1}, "a first=a last=a index=0 count=10", nil},
		{Request{Max: 9, After: "b", Before: "e", Backward: true, Index: -1}, "cd first=c last=d index=2 count=10", nil},
		{Request{Max: 2, Index: 7}, "hi first=h last=i index=7 count=10", nil},
		{Request{Max: 2, Index: 70}, " first= last= index=-1 count=10", nil},
		{Request{Max: 0, Index: -1}, " first= last= index=-1 count=10", nil},
		{Request{Max: 3, After: "x", Index: -1}, "", ErrNotFound},
		{Request{Max: 3, Before: "x", Backward: true, Index: -1}, "", ErrNotFound},
	} {
		page, res, err := Slice(list, key, c.r, 5)
		got := fmt.Sprintf("%s first=%s last=%s index=%d count=%d", strings.Join(page, ""), res.First, res.Last, res.Index, res.Count)
		if err != nil {
			got = ""
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v: %q, %v; want %q", c.r, got, err, c.want)
		}
	}
}

// Paging forward and backward through a list gives the list.
func TestSliceIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := make([]string, rapid.IntRange(0, 40).Draw(t, "n"))
		for i := range list {
			list[i] = fmt.Sprint(i)
		}
		key := func(s string) string { return s }
		size := rapid.IntRange(1, 12).Draw(t, "page")
		var forward, backward []string
		for r := (Request{Max: size, Index: -1}); ; {
			page, res, err := Slice(list, key, r, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			forward = append(forward, page...)
			r.After = res.Last
		}
		for r := (Request{Max: size, Backward: true, Index: -1}); ; {
			page, res, err := Slice(list, key, r, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			backward = append(append([]string(nil), page...), backward...)
			r.Before = res.First
		}
		if len(list) > 0 && (!reflect.DeepEqual(forward, list) || !reflect.DeepEqual(backward, list)) {
			t.Fatalf("forward %v, backward %v", forward, backward)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "<max>10</max>", "<max>10</max><before/>", "<after>x</after><index>3</index>", "<before>&lt;</before>"} {
		f.Add([]byte(set(s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frag, err := xmlstream.ParseFragment(b)
		if err != nil || frag.NumChildren() == 0 {
			return
		}
		n := frag.At(0).Node()
		if r, err := Parse(n); err == nil {
			if r.Max < -1 || r.Index < -1 || r.Limit(50) < 0 || r.Limit(50) > 50 {
				t.Fatalf("%+v", r)
			}
		}
		if r, err := ParseResult(n); err == nil && (r.Index < -1 || r.Count < -1) {
			t.Fatalf("%+v", r)
		}
	})
}
