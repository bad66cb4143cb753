package bookmarks

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// FuzzReadStorage: whatever a client writes as its list, what is made of it reads back as the same and changes nothing.
func FuzzReadStorage(f *testing.F) {
	for _, s := range []string{
		"<storage xmlns='storage:bookmarks'/>",
		"<storage xmlns='storage:bookmarks'><conference jid='a@c.x' name='A' autojoin='1'><nick>n</nick><password>p</password><extensions><x xmlns='u:x'/></extensions></conference><url url='u' name='n'/></storage>",
		"<storage xmlns='storage:bookmarks'><conference jid='A@c.x/r'/><conference jid='@'/><conference xmlns='urn:xmpp:bookmarks:1' jid='b@c.x'/>text</storage>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		frag, err := xmlstream.ParseFragment([]byte(s))
		if err != nil || frag.NumChildren() != 1 {
			return
		}
		list, rest := readStorage(frag.At(0).Node())
		wrote, err := xmlstream.ParseFragment([]byte(canonical(writeStorage(list, rest))))
		if err != nil {
			t.Fatal(err)
		}
		again, others := readStorage(wrote.At(0).Node())
		if d := diff(list, again); len(d.publish)+len(d.retract) > 0 || len(again) != len(list) || len(others) != len(rest) {
			t.Errorf("%d of %d rooms, %d of %d others, %d changed, %d gone", len(again), len(list), len(others), len(rest), len(d.publish), len(d.retract))
		}
	})
}
