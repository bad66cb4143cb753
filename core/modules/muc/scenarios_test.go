package muc_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenarios plays against a whole server over real sockets. What a room says in each case of XEP-0045 is in testdata/transcripts.
func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", nil) }
