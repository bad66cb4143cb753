package appliance

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
)

// TestSetupWhileStopped: a bridge is set up before the first start.
func TestSetupWhileStopped(t *testing.T) {
	o := Options{Config: &configs.Config{Domains: []string{"v.test"}}, ExeDir: t.TempDir()}
	_, err := RunStopped(t.Context(), o, admin.Call{Name: "bridge setup", Args: []string{"nothing"}}, nil)
	if err == nil || strings.Contains(err.Error(), "internal error") || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("%v", err)
	}
}
