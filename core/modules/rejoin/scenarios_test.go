package rejoin_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", nil) }
