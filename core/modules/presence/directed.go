package presence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// maxDirected bounds whom a session can be available to without a subscription, rooms included; beyond it the oldest is forgotten and will
// have to notice by itself.
const maxDirected = 1024

// directedKey is the session value with the addresses that know the session to be available: a []jid.JID that is replaced, never changed.
type directedKey struct{}

// Directed implements module.AccountPresence: it remembers who must be told when the session goes (RFC 6121 §4.6.4).
func (m *Module) Directed(ctx context.Context, st *stanza.Stanza) {
	s := event.SessionOf(ctx)
	if s == nil || s.Info().JID != st.From {
		return
	}
	list, _ := s.Value(directedKey{}).([]jid.JID)
	i := slices.Index(list, st.To)
	switch {
	case st.Type == "" && i < 0:
		if len(list) == maxDirected {
			list = list[1:]
		}
		s.SetValue(directedKey{}, append(list[:len(list):len(list)], st.To.Clone()))
	case st.Type == stanza.TypeUnavailable && i >= 0:
		s.SetValue(directedKey{}, slices.Concat(list[:i], list[i+1:]))
	}
	_ = m.d.Events.Presence.Directed.Fire(ctx, &event.PresenceChange{Session: s, Stanza: st}) // told only: nobody may refuse here
}

// takeDirected empties the list.
func takeDirected(s event.Session) []jid.JID {
	list, _ := s.Value(directedKey{}).([]jid.JID)
	if list != nil {
		s.SetValue(directedKey{}, nil)
	}
	return list
}

// partName and partVersion mark what is kept of the list when the server stops: the version, then one address a line.
const (
	partName    = "presence"
	partVersion = "1"
)

// saveDirected keeps the list with a session that is to be resumed.
func saveDirected(_ context.Context, st *event.SessionState) error {
	list, _ := st.Session.Value(directedKey{}).([]jid.JID)
	if len(list) == 0 {
		return nil
	}
	lines := make([]string, 1, 1+len(list))
	lines[0] = partVersion
	for _, j := range list {
		lines = append(lines, j.String())
	}
	st.Parts[partName] = []byte(strings.Join(lines, "\n"))
	return nil
}

// restoreDirected is its counterpart. A list that cannot be read is none: whoever is not told will notice by itself.
func restoreDirected(_ context.Context, st *event.SessionState) error {
	lines := strings.Split(string(st.Parts[partName]), "\n")
	if lines[0] != partVersion {
		return nil
	}
	list := make([]jid.JID, 0, len(lines)-1)
	for _, line := range lines[1:] {
		j, err := jid.Parse(line)
		if err != nil {
			return fmt.Errorf("presence: restore directed presence: %w", err)
		}
		list = append(list, j)
	}
	st.Session.SetValue(directedKey{}, list)
	return nil
}

// without returns the directed addresses that a broadcast to the subscribers does not reach.
func without(directed, subscribers []jid.JID) []jid.JID {
	if len(directed) == 0 || len(subscribers) == 0 {
		return directed
	}
	reached := make(map[jid.JID]bool, len(subscribers))
	for _, j := range subscribers {
		reached[j] = true
	}
	return slices.DeleteFunc(slices.Clone(directed), func(j jid.JID) bool { return reached[j.Bare()] })
}
