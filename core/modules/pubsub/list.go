package pubsub

import (
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/payload/rsm"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// list is what is told of in pages: the rows of one owner in the order of their keys, or those of one kind among them.
type list struct {
	table storage.Table
	owner string
	kind  string // what keys begin with, before sep; "": all
	// show writes a row; key is without kind. nil: the row is left out.
	show func(key string, r storage.Row) (*xmlstream.Node, error)
}

// bounds is the range of keys that a request is about.
func (l *list) bounds(req rsm.Request) (prefix, from, to string) {
	if l.kind != "" {
		prefix, to = l.kind+sep, l.kind+sepAfter
	}
	from = prefix
	if req.After != "" {
		from = prefix + req.After + "\x01"
	}
	if req.Before != "" {
		to = prefix + req.Before
	}
	return prefix, from, to
}

// listed adds a page of a list to out (XEP-0060 §5.6, §5.7, §8.8.1, §8.9.1; XEP-0059 §2.1 to §2.5).
func (o *op) listed(out *xmlstream.Node, l list) (*xmlstream.Node, error) {
	req, err := rsm.Parse(o.query)
	if err != nil {
		return nil, stanza.NewError(stanza.BadRequest, "The page that is asked for cannot be understood.")
	}
	prefix, from, to := l.bounds(req)
	limit := req.Limit(maxPage)
	rows, err := l.table.Range(o.ctx, l.owner, from, to, limit+1, req.Backward)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read list: %w", err)
	}
	more := len(rows) > limit
	rows = rows[:min(limit, len(rows))]
	if req.Backward {
		slices.Reverse(rows)
	}
	res := rsm.Result{Index: -1, Count: -1}
	for i, r := range rows {
		key := strings.TrimPrefix(r.Key, prefix)
		if i == 0 {
			res.First = key
		}
		res.Last = key
		n, err := l.show(key, r)
		if err != nil {
			return nil, err
		}
		if n != nil {
			out.Add(n)
		}
	}
	reply := o.reply(out)
	if req.Given || more {
		reply.Add(res.Node())
	}
	return reply, nil
}
