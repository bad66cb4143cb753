package search

import (
	"errors"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// FuzzReadSearch: a search is understood or refused with a condition, and what is understood can be carried out.
func FuzzReadSearch(f *testing.F) {
	const open, end = "<search xmlns='urn:xmpp:channel-search:0:search'>", "</search>"
	for _, s := range []string{
		open + end,
		open + "<x xmlns='jabber:x:data' type='submit'><field var='q'><value>Rose flower</value></field></x>" + end,
		open + "<set xmlns='http://jabber.org/protocol/rsm'><max>5</max><after>n:3:a@b</after></set><x xmlns='jabber:x:data' type='submit'><field var='all'><value>1</value></field></x>" + end,
		open + "<x xmlns='jabber:x:data' type='submit'><field var='q'><value>x y</value></field><field var='types'><value>z</value></field></x>" + end,
	} {
		f.Add(s)
	}
	at := jid.MustParse("rose@rooms.example.org")
	f.Fuzz(func(t *testing.T, s string) {
		frag, err := xmlstream.ParseFragment([]byte(s))
		if err != nil || frag.NumChildren() != 1 {
			return
		}
		q, err := readSearch(frag.At(0).Node())
		var se *stanza.Error
		switch {
		case err != nil && !errors.As(err, &se):
			t.Fatalf("no condition: %v", err)
		case err == nil && q != nil:
			_ = q.matches(room.Config{Name: "Rose", Description: "d"}, at)
			if q.limit > large || q.limit < 0 {
				t.Errorf("a page of %d", q.limit)
			}
			_, _, _ = seatsCursor(q.after)
		}
	})
}
