package register_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", nil) }
