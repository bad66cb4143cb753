package appliance

import (
	"context"
	"errors"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
)

// Table returns every command with its usage, for the command line and the reference: the functions of these must not be called, see
// Appliance.Commands and RunStopped.
func Table() []*admin.Command {
	none := func() *configs.Config { return nil }
	list := (&admin.Users{}).Commands()
	list = append(list, (&admin.Rooms{}).Commands()...)
	list = append(list, (&admin.Operations{}).Commands()...)
	list = append(list, checkCommand(none, "", nil))
	return append(list, (&bridges{}).commands()...)
}

// GroupDoc is the line about a group of commands.
func GroupDoc(name string) string {
	return map[string]string{"user": "accounts", "room": "group chats", "bridge": "connections to other networks"}[name]
}

// RunStopped runs a command while no server runs on the data directory.
func RunStopped(ctx context.Context, o Options, call admin.Call, progress func(admin.Progress)) (res admin.Result, err error) {
	r := &admin.Request{Args: call.Args, Flags: call.Flags, By: "local"}
	if progress != nil {
		r.Progress = func(done, total int64, what string) { progress(admin.Progress{Done: done, Total: total, What: what}) }
	}
	if call.Name == "check" || call.Name == "version" { // these need no data
		reg := &admin.Registry{}
		ops := &admin.Operations{Version: Version}
		err := reg.Add(append(ops.Commands(), checkCommand(func() *configs.Config { return o.Config }, o.File, o.Env))...)
		if err != nil {
			return admin.Result{}, err
		}
		return reg.Execute(ctx, call.Name, r)
	}
	s, err := OpenStopped(ctx, o)
	if err != nil {
		return admin.Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	return s.Commands().Execute(ctx, call.Name, r)
}
