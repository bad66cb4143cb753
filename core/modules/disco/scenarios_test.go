package disco_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenarios understands contacts.KIND=URI beside the standard options.
func TestScenarios(t *testing.T) {
	xmpptest.Play(t, "testdata/scenarios", func(o *xmpptest.Options, key, value string) error {
		kind, ok := strings.CutPrefix(key, "contacts.")
		if !ok {
			return xmpptest.StandardOptions(o, key, value)
		}
		if o.Modules.Disco.Contacts == nil {
			o.Modules.Disco.Contacts = map[string][]string{}
		}
		o.Modules.Disco.Contacts[kind] = append(o.Modules.Disco.Contacts[kind], value)
		return nil
	})
}
