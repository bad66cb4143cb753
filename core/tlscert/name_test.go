package tlscert

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCovers(t *testing.T) {
	tests := []struct {
		pattern, host string
		want          bool
	}{
		{"example.org", "example.org", true},
		{"example.org", "rooms.example.org", false},
		{"*.example.org", "rooms.example.org", true},
		{"*.example.org", "example.org", false},
		{"*.example.org", "rooms.matrix.example.org", false}, // one label
		{"*.example.org", "badexample.org", false},           // dot boundary
		{"*.example.org", ".example.org", false},
		{"*.localhost", "rooms.localhost", true},
		{"*", "localhost", false},
		{"*.*.example.org", "a.b.example.org", false},
		{"rooms.*.org", "rooms.example.org", false},
		{"r*.example.org", "rooms.example.org", false},
		{"*rooms.example.org", "rooms.example.org", false},
		{"*.example.org", "*.example.org", false},
		{"", "", true},
		{"*.", "a.", true}, // never asked: normalised hosts have no final dot
	}
	for _, tt := range tests {
		t.Run(tt.pattern+" for "+tt.host, func(t *testing.T) {
			if got := covers(tt.pattern, tt.host); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"lower case", "Example.ORG", "example.org"},
		{"final dot", "example.org.", "example.org"},
		{"U-label", "Bücher.example", "xn--bcher-kva.example"},
		{"A-label", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"wildcard", "*.Bücher.example", "*.xn--bcher-kva.example"},
		{"underscore", "a_b.example", "a_b.example"},
		{"address", "127.0.0.1", "127.0.0.1"},
		{"address 6", "[::1]", "::1"},
		{"address 6, long", "0:0::0:1", "::1"},
		{"empty", "", ""},
		{"only a dot", ".", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := normalize(tt.in)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestWildcards(t *testing.T) {
	names := []string{"example.org", "rooms.example.org", "matrix.example.org", "rooms.matrix.example.org", "other.test", "127.0.0.1"}
	want := slices.Concat(names, []string{"*.example.org", "*.matrix.example.org", "*.other.test"})
	if d := cmp.Diff(want, withWildcards(names)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"example.org", "other.test", "127.0.0.1"}, roots(want)); d != "" {
		t.Error(d)
	}
}

func FuzzCovers(f *testing.F) {
	f.Add("*.example.org", "rooms.example.org")
	f.Add("example.org", "EXAMPLE.org.")
	f.Add("*.bücher.example", "a.xn--bcher-kva.example")
	f.Fuzz(func(t *testing.T, pattern, host string) {
		p, err1 := normalize(pattern)
		h, err2 := normalize(host)
		if err1 != nil || err2 != nil || !covers(p, h) {
			return
		}
		if again, err := normalize(h); err != nil || again != h {
			t.Fatalf("%q normalises to %q, then to %q, %v", host, h, again, err)
		}
		if p != h && strings.Count(p, ".") != strings.Count(h, ".") {
			t.Fatalf("%q covers %q", p, h)
		}
	})
}
