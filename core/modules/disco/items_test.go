package disco

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// listSource has so many items and pages forwards.
type listSource struct {
	module.DiscoSource
	n       int
	counted bool // it knows how many there are
	whole   bool // it gives everything, whatever is asked
}

func (s listSource) DiscoItems(_ context.Context, _, _ jid.JID, _, after string, limit int) ([]module.DiscoItem, int, bool, error) {
	var out []module.DiscoItem
	for i := range s.n {
		name := fmt.Sprintf("%03d", i)
		if s.whole || name > after && len(out) < limit {
			out = append(out, module.DiscoItem{Key: name})
		}
	}
	if s.counted || s.whole {
		return out, s.n, true, nil
	}
	return out, -1, true, nil
}

// XEP-0059 §2: what a source gives in pages.
func TestSourcePages(t *testing.T) {
	ask := func(change func(r *rsm.Request)) rsm.Request {
		r := rsm.All()
		r.Given = true
		change(&r)
		return r
	}
	first := ask(func(r *rsm.Request) { r.Max = 2 })
	next := ask(func(r *rsm.Request) { r.Max, r.After = 2, "001" })
	last := ask(func(r *rsm.Request) { r.Max, r.Backward = 2, true })
	back := ask(func(r *rsm.Request) { r.Max, r.Backward, r.Before = 2, true, "003" })
	jump := ask(func(r *rsm.Request) { r.Max, r.Index = 2, 3 })
	count := ask(func(r *rsm.Request) { r.Max = 0 })
	lost := ask(func(r *rsm.Request) { r.Max, r.Backward, r.Before = 2, true, "x" })
	for name, x := range map[string]struct {
		src  listSource
		page rsm.Request
		want string // keys, index, count; or the condition of the error
	}{
		"first, §2.1":                {listSource{n: 9}, first, "000 001 -1 -1"},
		"first of a counted list":    {listSource{n: 9, counted: true}, first, "000 001 -1 9"},
		"first of a fixed list":      {listSource{n: 9, whole: true}, first, "000 001 0 9"},
		"next, §2.2":                 {listSource{n: 9}, next, "002 003 -1 -1"},
		"next of a counted list":     {listSource{n: 9, counted: true}, next, "002 003 -1 9"},
		"next of a fixed list":       {listSource{n: 9, whole: true}, next, "002 003 2 9"},
		"back, §2.3":                 {listSource{n: 9}, back, "001 002 1 9"},
		"back from nowhere, §2.4":    {listSource{n: 9}, lost, "not found"},
		"last, §2.5":                 {listSource{n: 9}, last, "007 008 7 9"},
		"last of a fixed list":       {listSource{n: 400, whole: true}, last, "398 399 398 400"},
		"last of as many as allowed": {listSource{n: pageSize}, last, "248 249 248 250"},
		"last of too many":           {listSource{n: pageSize + 1}, last, "feature-not-implemented"},
		"index, §2.6":                {listSource{n: 9}, jump, "003 004 3 9"},
		"index behind the end":       {listSource{n: 3}, jump, "-1 3"},
		"index into too many":        {listSource{n: 999, counted: true}, jump, "feature-not-implemented"},
		"count, §2.7":                {listSource{n: 9}, count, "-1 9"},
		"count of many":              {listSource{n: 999, counted: true}, count, "-1 999"},
		"count of too many":          {listSource{n: 999}, count, "-1 -1"},
		"nothing":                    {listSource{}, first, "-1 -1"},
		"nothing, counted":           {listSource{counted: true}, last, "-1 0"},
	} {
		t.Run(name, func(t *testing.T) {
			items, res, ok, err := sourced(t.Context(), x.src, jid.JID{}, jid.JID{}, "", x.page)
			var se *stanza.Error
			var got []string
			switch {
			case errors.As(err, &se):
				got = []string{string(se.Condition)}
			case errors.Is(err, rsm.ErrNotFound):
				got = []string{"not found"}
			case err != nil || !ok:
				t.Fatal(ok, err)
			default:
				for _, it := range items {
					got = append(got, key(it))
				}
				if len(got) > 0 && (res.First != got[0] || res.Last != got[len(got)-1]) || len(got) == 0 && res.First+res.Last != "" {
					t.Errorf("from %q to %q", res.First, res.Last)
				}
				got = slices.Concat(got, []string{fmt.Sprint(res.Index), fmt.Sprint(res.Count)})
			}
			if s := strings.Join(got, " "); s != x.want {
				t.Errorf("%s, want %s", s, x.want)
			}
		})
	}
}
