package appliance

import (
	"context"
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/admin"
)

// Table returns every command with its usage, for the command line and the reference: the functions of these must not be called, see
// Appliance.Commands and RunStopped.
func Table() []*admin.Command {
	list := (&admin.Users{}).Commands()
	list = append(list, (&admin.Rooms{}).Commands()...)
	list = append(list, (&admin.Archives{}).Commands()...)
	list = append(list, (&admin.Uploads{}).Commands()...)
	list = append(list, (&admin.Nodes{}).Commands()...)
	list = append(list, (&admin.Pushes{}).Commands()...)
	list = append(list, (&admin.Operations{}).Commands()...)
	list = append(list, checkCommand(nil, nil))
	return append(list, (&bridges{}).commands()...)
}

// GroupDoc is the line about a group of commands.
func GroupDoc(name string) string {
	return map[string]string{"user": "accounts", "room": "group chats", "archive": "what is kept of accounts and rooms", "upload": "files that people share", "node": "nodes of publish-subscribe", "push": "devices that are woken for messages", "bridge": "connections to other networks",
		"link": "rooms of this server that are rooms of other networks at the same time"}[name]
}

// RunStopped runs a command while no server runs on the data directory.
func RunStopped(ctx context.Context, o Options, call admin.Call, progress func(admin.Progress)) (res admin.Result, err error) {
	r := &admin.Request{Args: call.Args, Flags: call.Flags, By: "local"}
	if progress != nil {
		r.Progress = func(done, total int64, what string) { progress(admin.Progress{Done: done, Total: total, What: what}) }
	}
	reg := &admin.Registry{} // of commands that need no data
	ops := &admin.Operations{Version: Version}
	if o.ExeDir == "" {
		if o.ExeDir, err = exeDir(); err != nil {
			return admin.Result{}, err
		}
	}
	if err := reg.Add(append(append(ops.Commands(), checkCommand(func() Options { return o }, nil)), (&bridges{o: o}).commands()...)...); err != nil {
		return admin.Result{}, err
	}
	if call.Name == "check" || call.Name == "version" || call.Name == "bridge setup" {
		return reg.Execute(ctx, call.Name, r)
	}
	s, err := OpenStopped(ctx, o)
	if err != nil {
		return admin.Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	return s.Commands().Execute(ctx, call.Name, r)
}
