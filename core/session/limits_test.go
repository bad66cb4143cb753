package session

import (
	"errors"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// TestSetLimits: changed limits hold at once, for accounts that have sessions, too.
func TestSetLimits(t *testing.T) {
	b := newBench(t, t.TempDir(), Limits{PerUser: 1})
	b.bind("bob@example.org/one")
	another := func(resource string) error {
		_, err := b.m.Bind(t.Context(), BindRequest{Account: jid.MustParse("bob@example.org"), Resource: resource, Link: &testLink{}})
		return err
	}
	var full *stanza.Error
	if err := another("two"); !errors.As(err, &full) || full.Condition != stanza.ResourceConstraint {
		t.Errorf("one session is allowed, the second: %v", err)
	}
	b.m.SetLimits(Limits{PerUser: 2})
	if err := another("two"); err != nil {
		t.Errorf("two are allowed, the second: %v", err)
	}
	if err := another("three"); !errors.As(err, &full) {
		t.Errorf("two are allowed, the third: %v", err)
	}
	b.m.SetLimits(Limits{})
	if err := another("three"); err != nil {
		t.Errorf("the default allows more than three, the third: %v", err)
	}
}
