package appliance

import (
	"context"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
)

// pushes makes the commands of push.
func (a *Appliance) pushes() *admin.Pushes {
	if a.push == nil {
		return &admin.Pushes{}
	}
	return &admin.Pushes{Keeper: pushKeeper{a.push}}
}

// pushKeeper shows the module to the commands.
type pushKeeper struct{ *push.Module }

// Devices implements admin.PushKeeper.
func (k pushKeeper) Devices(ctx context.Context, who jid.JID) ([]admin.PushDevice, error) {
	list, err := k.List(ctx, who)
	if err != nil {
		return nil, err
	}
	out := make([]admin.PushDevice, len(list))
	for i, d := range list {
		out[i] = pushDevice(d)
	}
	return out, nil
}

// Test implements admin.PushKeeper.
func (k pushKeeper) Test(ctx context.Context, who jid.JID, service string, node *string, fn func(admin.PushDevice, string, bool)) error {
	return k.Module.Test(ctx, who, service, node, func(d push.Device, result string, ok bool) { fn(pushDevice(d), result, ok) })
}

func pushDevice(d push.Device) admin.PushDevice {
	out := admin.PushDevice{
		Account: d.Account, Service: d.Service, Node: d.Node, Client: d.Client, Identity: d.Identity, Options: d.Options, Enabled: d.Enabled,
		Attempt: given(d.Attempt), Success: given(d.Success), Result: d.Result, Sent: d.Sent, Failures: d.Failures, Unseen: d.Unseen, State: "idle",
	}
	switch {
	case d.Flying:
		out.State = "asked"
	case d.Waiting:
		out.State, out.Next = "waiting", given(d.Next)
	}
	return out
}

// given is nil for a time that never was.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
