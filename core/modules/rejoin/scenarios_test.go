package rejoin_test

import (
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", options) }

// options understands the bounds that scenarios set with "with".
func options(o *xmpptest.Options, key, value string) error {
	r := &o.Modules.Rejoin
	bounds := map[string]*int{"messages": &r.Messages, "held": &r.Held, "occupants": &r.Occupants, "rooms": &r.Rooms}
	name, ok := strings.CutPrefix(key, "rejoin.")
	if !ok || bounds[name] == nil {
		return xmpptest.StandardOptions(o, key, value)
	}
	n, err := strconv.Atoi(value)
	*bounds[name] = n
	return err
}
