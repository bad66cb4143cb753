package muc_test

import (
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenarios plays against a whole server over real sockets; there is one for every example of XEP-0045 that a server answers.
func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", options) }

// options understands what scenarios of rooms say with "with".
func options(o *xmpptest.Options, key, value string) (err error) {
	switch key {
	case "rooms.create":
		o.Modules.MUC.Create = muc.CreatePolicy(value)
	case "rooms.searches":
		o.Modules.MUC.Searches.Every = time.Hour
		o.Modules.MUC.Searches.Size, err = strconv.Atoi(value)
	case "rooms.ownerless":
		o.Modules.MUC.Ownerless = muc.OrphanPolicy(value)
	case "rooms.per_account":
		o.Modules.MUC.PerAccount, err = strconv.Atoi(value)
	default:
		return xmpptest.StandardOptions(o, key, value)
	}
	return err
}
