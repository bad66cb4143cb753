package host

import (
	"context"
	"errors"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Ask launches a plugin for one conversation, beside the instance that may run, and ends it: for `bridge setup`, before there is a configuration. The
// plugin is greeted and not configured or started.
func Ask(ctx context.Context, o Options, spec Spec, talk func(ctx context.Context, r sdk.Remote) error) error {
	o.Gateway = nowhere{}
	if spec.Configure == nil {
		spec.Configure = func(context.Context, sdk.Info) (sdk.Configuration, error) { return sdk.Configuration{}, nil }
	}
	o.Bridges = []Spec{spec}
	if err := o.fill(); err != nil {
		return err
	}
	o.DataDir = "" // no record: the running instance has that
	s := newSupervisor(&o, o.Bridges[0])
	i, err := s.launch(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Tune.StopTimeout)
		defer cancel()
		i.Stop(ctx)
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return talk(ctx, i.Remote())
}

// nowhere is the gateway of an instance that is never attached.
type nowhere struct{}

// Attach implements Gateway.
func (nowhere) Attach(context.Context, string, sdk.Remote) error {
	return errors.New("plugin host: this instance is not attached")
}
