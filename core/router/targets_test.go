package router

import (
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// RFC 6121 §8.5.4, Table 1. A cell is what becomes of the message: "-" nothing, "E" an error, "O" kept for later, otherwise the resources
// that get it.
func TestMessageDeliveryRules(t *testing.T) {
	session := func(resource string, priority int8, available bool) event.SessionInfo {
		return event.SessionInfo{JID: jid.MustParse("juliet@example.com/" + resource), Priority: priority, Available: available}
	}
	var (
		connected = session("connected", 0, false)
		negative  = session("negative", -1, true)
		balcony   = session("balcony", 0, true)
		chamber   = session("chamber", 5, true)
	)
	types := []string{"normal", "chat", "groupchat", "headline", "error"}
	for _, c := range []struct {
		name     string
		to       string
		sessions []event.SessionInfo
		cells    [5]string
	}{
		{"no resources, bare", "", nil, [5]string{"O", "O", "E", "-", "-"}},
		{"no resources, full", "other", nil, [5]string{"E", "O", "E", "-", "-"}},
		{"not available, bare", "", []event.SessionInfo{connected}, [5]string{"O", "O", "E", "-", "-"}},
		{"not available, full, match", "connected", []event.SessionInfo{connected}, [5]string{"connected", "connected", "connected", "connected", "connected"}},
		{"negative, bare", "", []event.SessionInfo{negative}, [5]string{"O", "O", "E", "-", "-"}},
		{"negative, full, match", "negative", []event.SessionInfo{negative}, [5]string{"negative", "negative", "negative", "negative", "negative"}},
		{"negative, full, no match", "other", []event.SessionInfo{negative}, [5]string{"E", "O", "E", "-", "-"}},
		{"one, bare", "", []event.SessionInfo{balcony}, [5]string{"balcony", "balcony", "E", "balcony", "-"}},
		{"one, full, match", "balcony", []event.SessionInfo{balcony}, [5]string{"balcony", "balcony", "balcony", "balcony", "balcony"}},
		{"one, full, no match", "other", []event.SessionInfo{balcony}, [5]string{"E", "balcony", "E", "-", "-"}},
		{"several, bare", "", []event.SessionInfo{negative, balcony, connected, chamber},
			[5]string{"balcony chamber", "balcony chamber", "E", "balcony chamber", "-"}},
		{"several, full, match", "chamber", []event.SessionInfo{negative, balcony, connected, chamber},
			[5]string{"chamber", "chamber", "chamber", "chamber", "chamber"}},
		{"several, full, no match", "other", []event.SessionInfo{negative, balcony, connected, chamber},
			[5]string{"E", "balcony chamber", "E", "-", "-"}},
	} {
		to := jid.MustParse("juliet@example.com")
		if c.to != "" {
			to = jid.MustParse("juliet@example.com/" + c.to)
		}
		before := slices.Clone(c.sessions)
		for i, typ := range types {
			targets, absent := messageTargets(typ, to, c.sessions)
			got := ""
			for _, s := range targets {
				if got != "" {
					got += " "
				}
				got += s.JID.Resource()
			}
			if got == "" {
				got = map[absence]string{ignore: "-", reject: "E", keep: "O"}[absent]
			}
			if got != c.cells[i] {
				t.Errorf("%s, %s: %s, want %s", c.name, typ, got, c.cells[i])
			}
		}
		if !slices.EqualFunc(before, c.sessions, func(a, b event.SessionInfo) bool { return a.JID == b.JID }) {
			t.Errorf("%s: the list of sessions was changed", c.name)
		}
	}
}

func TestMessageType(t *testing.T) {
	for typ, want := range map[string]string{"": "normal", "normal": "normal", "chat": "chat", "x": "normal", "error": "error", "CHAT": "normal"} {
		if got := messageType(stanza.NewMessage(typ)); got != want {
			t.Errorf("%q is %s, want %s", typ, got, want)
		}
	}
}
