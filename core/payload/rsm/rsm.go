package rsm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Errors of requests.
var (
	// ErrInvalid: the <set/> cannot be understood (bad-request).
	ErrInvalid = errors.New("rsm: not a valid request")
	// ErrNotFound: the item that the page was to start at is not in the list (XEP-0059 §2.2, §2.3: item-not-found).
	ErrNotFound = errors.New("rsm: no such item")
)

// Request asks for a page.
type Request struct {
	Max      int    // how many; -1: not limited by the asker; 0: only the count (XEP-0059 §2.7)
	After    string // items behind this one (§2.2); "" from the start
	Before   string // items before this one (§2.3)
	Backward bool   // <before/> is present: the page is the last one of its range, also when Before is ""
	Index    int    // out of order paging (§2.6); -1: not asked for
	Given    bool   // the request had a <set/> at all
}

// All is the request that asks for nothing in particular.
func All() Request { return Request{Max: -1, Index: -1} }

// Parse reads the <set/> among the children of n; without one it returns All().
func Parse(n *xmlstream.Node) (Request, error) {
	r := All()
	if n == nil {
		return r, nil
	}
	set := n
	if n.Name.Space != ns.RSM {
		if set = n.Child(ns.RSM, "set"); set == nil {
			return r, nil
		}
	}
	r.Given = true
	for c := range set.Elements() {
		if c.Name.Space != ns.RSM {
			continue
		}
		var err error
		switch c.Name.Local {
		case "max":
			r.Max, err = number(c)
		case "index":
			r.Index, err = number(c)
		case "after":
			r.After = c.TextContent()
		case "before":
			r.Before, r.Backward = c.TextContent(), true
		}
		if err != nil {
			return All(), err
		}
	}
	return r, nil
}

func number(c *xmlstream.Node) (int, error) {
	v, err := strconv.ParseUint(strings.TrimSpace(c.TextContent()), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: %s %q", ErrInvalid, c.Name.Local, c.TextContent())
	}
	return int(v), nil
}

// Limit returns how many items to give when the answerer gives at most so many at once.
func (r Request) Limit(most int) int {
	if r.Max < 0 || r.Max > most {
		return most
	}
	return r.Max
}

// Node writes the request.
func (r Request) Node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.RSM, "set")
	if r.Max >= 0 {
		n.Add(text("max", strconv.Itoa(r.Max)))
	}
	if r.Index >= 0 {
		n.Add(text("index", strconv.Itoa(r.Index)))
	}
	if r.After != "" {
		n.Add(text("after", r.After))
	}
	if r.Backward {
		n.Add(text("before", r.Before))
	}
	return n
}

// Result describes the page that was given.
type Result struct {
	First, Last string // keys of the first and the last item; "" for an empty page
	Index       int    // position of the first item; -1: not known
	Count       int    // size of the whole list; -1: not known
}

// ParseResult reads a <set/> of an answer.
func ParseResult(n *xmlstream.Node) (Result, error) {
	res := Result{Index: -1, Count: -1}
	if n == nil || n.Name.Space != ns.RSM || n.Name.Local != "set" {
		return res, ErrInvalid
	}
	for c := range n.Elements() {
		if c.Name.Space != ns.RSM {
			continue
		}
		var err error
		switch c.Name.Local {
		case "first":
			res.First = c.TextContent()
			if v, ok := c.AttrOK("index"); ok {
				if res.Index, err = strconv.Atoi(v); err != nil || res.Index < 0 {
					return res, fmt.Errorf("%w: index %q", ErrInvalid, v)
				}
			}
		case "last":
			res.Last = c.TextContent()
		case "count":
			res.Count, err = number(c)
		}
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

// Node writes the description.
func (r Result) Node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.RSM, "set")
	if r.First != "" || r.Last != "" {
		first := text("first", r.First)
		if r.Index >= 0 {
			first.SetAttr("index", strconv.Itoa(r.Index))
		}
		n.Add(first, text("last", r.Last))
	}
	if r.Count >= 0 {
		n.Add(text("count", strconv.Itoa(r.Count)))
	}
	return n
}

func text(local, s string) *xmlstream.Node { return xmlstream.NewNode(ns.RSM, local).SetText(s) }

// Slice cuts the page that r asks for out of a list in its order; most bounds the page.
func Slice[T any](list []T, key func(T) string, r Request, most int) ([]T, Result, error) {
	from, to := 0, len(list)
	find := func(k string) (int, error) {
		if i := slices.IndexFunc(list, func(it T) bool { return key(it) == k }); i >= 0 {
			return i, nil
		}
		return 0, ErrNotFound
	}
	if r.After != "" {
		i, err := find(r.After)
		if err != nil {
			return nil, Result{}, err
		}
		from = i + 1
	}
	if r.Backward && r.Before != "" {
		i, err := find(r.Before)
		if err != nil {
			return nil, Result{}, err
		}
		to = max(i, from)
	}
	if r.Index >= 0 {
		from = min(r.Index, to)
	}
	limit := r.Limit(most)
	if r.Backward {
		from = max(from, to-limit)
	} else {
		to = min(to, from+limit)
	}
	page := list[from:to]
	res := Result{Index: -1, Count: len(list)}
	if len(page) > 0 {
		res.First, res.Last, res.Index = key(page[0]), key(page[len(page)-1]), from
	}
	return page, res, nil
}
