package session

import (
	"context"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// TestUnseen: each message is told of once: when it comes to a session whose client does not look, or when the connection is lost and it was not
// acknowledged.
func TestUnseen(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{})
	var told []string
	b.events.C2S.Unseen.On(event.After, "test", func(_ context.Context, v *event.Unseen) error {
		st, err := v.Wire.Stanza(v.To)
		if err != nil {
			return err
		}
		told = append(told, st.ID)
		return nil
	})
	s, l, _ := b.managed("bob@example.org/b")
	expect := func(when, want string) {
		t.Helper()
		equal(t, when, strings.Join(told, " "), want)
		told = nil
	}
	s.Send(message("seen", "bob@example.org/b"))
	s.Send(&stanza.Stanza{Kind: stanza.Presence, From: jid.MustParse("a@example.org/x"), To: s.JID()})
	expect("while the client looks", "")
	s.SetFlag(event.FlagInactive, true)
	s.Send(message("inactive", "bob@example.org/b"))
	s.Send(&stanza.Stanza{Kind: stanza.Presence, From: jid.MustParse("a@example.org/x"), To: s.JID()})
	expect("while it does not", "inactive")
	s.SetFlag(event.FlagInactive, false)
	s.Send(message("active", "bob@example.org/b"))
	b.fill(s, l)
	expect("while it looks again", "")
	s.Detach(l)
	expect("when the connection is lost", "seen active")
	s.Send(message("detached", "bob@example.org/b"))
	expect("while there is none", "detached")
	if s.Detach(l); len(told) > 0 {
		t.Errorf("told again of %v", told)
	}
}
