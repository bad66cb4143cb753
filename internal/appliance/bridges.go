package appliance

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/module"
)

// bridges joins plugins/host and bridges/gateway.
type bridges struct{ a *Appliance }

func newBridges(a *Appliance) (*bridges, error) { return &bridges{a}, nil }

func (b *bridges) modules() []module.Module { return nil }

func (b *bridges) commands() []*admin.Command { return nil }

func (b *bridges) start(context.Context) error { return nil }

func (b *bridges) stop(context.Context) error { return nil }
