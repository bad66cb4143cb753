package upload_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/blob/dir"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestScenarios(t *testing.T) {
	xmpptest.Play(t, "testdata/scenarios", func(o *xmpptest.Options, key, value string) error {
		if key != "upload" || value != "on" {
			return fmt.Errorf("unknown option %s=%s", key, value)
		}
		files, err := dir.Open(t.TempDir())
		o.Modules.Upload = upload.Options{Store: files, PublicURL: "https://files.example", MaxBytes: 20000, PerDayBytes: 25000, ProfileBytes: 20000, ExpireAfter: time.Hour}
		return err
	})
}
