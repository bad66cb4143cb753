package pubsub_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) { xmpptest.Play(t, "testdata/scenarios", configure) }

// configure understands small bounds, so that a scenario can reach them.
func configure(o *xmpptest.Options, key, value string) error {
	switch key + "=" + value {
	case "bounds=small":
		o.Modules.PubSub = pubsub.Config{Nodes: 2, Items: 3, PayloadBytes: 200, Subscriptions: 2, Subscribers: 3}
	case "create=nobody":
		o.Modules.PubSub = pubsub.Config{Create: pubsub.CreateNobody}
	default:
		return xmpptest.StandardOptions(o, key, value)
	}
	return nil
}
