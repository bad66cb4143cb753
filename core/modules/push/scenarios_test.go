package push_test

import (
	"fmt"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", options) }

// options understands what scenarios of push say with "with".
func options(o *xmpptest.Options, key, value string) (err error) {
	p := &o.Modules.Push
	switch key {
	case "push.gap":
		if value != "none" {
			return fmt.Errorf("push.gap=%s", value)
		}
		p.Gap = -1
	case "push.devices":
		p.Devices, err = strconv.Atoi(value)
	case "push.failures":
		p.Failures, err = strconv.Atoi(value)
	case "push.sender":
		p.Sender = value == "on"
	case "push.body":
		p.Body = value == "on"
	default:
		return xmpptest.StandardOptions(o, key, value)
	}
	return err
}
