package offline_test

import (
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/modules/offline"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) {
	xmpptest.Play(t, "testdata/scenarios", func(o *xmpptest.Options, key, value string) error {
		if key != "offline" {
			return xmpptest.StandardOptions(o, key, value)
		}
		n, err := strconv.Atoi(value)
		o.Modules.Offline = offline.Options{MaxMessages: n}
		return err
	})
}
