package muc

import (
	"errors"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// What was erased from the archive of a room that is awake is not shown to those who enter.
func TestForgetHistory(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(ownr, "Alice", coven)
	w.do(ownr, "<message to='"+coven+"' type='groupchat' id='m1'><body>erased</body></message>")
	w.do(ownr, "<message to='"+coven+"' type='groupchat' id='m2'><body>stays</body></message>")
	history := func(who, nick string) (texts []string) {
		t.Helper()
		w.forgetAll()
		w.do(who, "<presence to='"+coven+"/"+nick+"'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		for _, st := range w.take(who) {
			if c, ok := st.Child("jabber:client", "body"); ok && st.Kind == stanza.Message {
				texts = append(texts, c.Text())
			}
		}
		return texts
	}
	if got := history("bob@example.org/x", "Bob"); len(got) != 2 {
		t.Fatalf("at first %q", got)
	}
	refs, _, err := w.store.Messages().Refs(t.Context(), storage.Room, coven, storage.Range{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.DeleteRef{Kind: storage.Room, Owner: coven, ID: refs[0].ID})
	if err := w.store.Commit(t.Context(), []*journal.Unit{u})[0]; err != nil {
		t.Fatal(err)
	}
	if err := w.m.ForgetHistory(t.Context(), jid.MustParse(coven)); err != nil {
		t.Fatal(err)
	}
	if got := history("carol@example.org/x", "Carol"); len(got) != 1 || got[0] != "stays" {
		t.Errorf("afterwards %q", got)
	}
	if err := w.m.ForgetHistory(t.Context(), jid.MustParse("hall@elsewhere.example")); !errors.Is(err, ErrNoHost) {
		t.Errorf("a room of another server: %v", err)
	}
}
