package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// Commands returns the table of commands.
func (a *Appliance) Commands() *admin.Registry { return a.cmds }

// commands fills the table of a running server.
func (a *Appliance) commands() error {
	u := &admin.Users{Accounts: a.core.Accounts(), Local: a.core.Router().IsAccountDomain, Generate: generatePassword,
		Kick: a.core.Sessions().Close, Online: func(ctx context.Context, bare jid.JID) int { return len(a.core.Sessions().Of(ctx, bare)) }}
	r := &admin.Rooms{Store: a.store.Rooms(), Keeper: a.muc, Services: a.roomServices}
	kept := &admin.Archives{Messages: a.store.Messages(), Journal: a.core.Journal(), IsAccountDomain: a.core.Router().IsAccountDomain,
		Forget: a.muc.ForgetHistory, Log: a.o.Log.Logger}
	if a.mam != nil {
		kept.Reader = a.mam
	}
	ops := &admin.Operations{
		Backup: backup(a.store, a.config.DataDir), Reload: a.Reload, Points: a.core.Events().Points,
		Infos: func() []module.Info { return a.core.Registry().Infos }, Version: Version,
	}
	cmds := append(u.Commands(), r.Commands()...)
	cmds = append(cmds, kept.Commands()...)
	cmds = append(cmds, a.uploads().Commands()...)
	cmds = append(cmds, (&admin.Nodes{Keeper: a.pubsub}).Commands()...)
	cmds = append(cmds, a.pushes().Commands()...)
	cmds = append(cmds, ops.Commands()...)
	cmds = append(cmds, checkCommand(a.options, a.bridges.trouble))
	cmds = append(cmds, a.bridges.commands()...)
	return a.cmds.Add(cmds...)
}

// options are the options with the configuration in force.
func (a *Appliance) options() Options {
	o := a.o
	o.Config = a.Config()
	return o
}

// Config returns the configuration in force.
func (a *Appliance) Config() *configs.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

func (a *Appliance) roomServices() []string { return roomServices(a.Config()) }

func roomServices(c *configs.Config) []string {
	var out []string
	for _, d := range c.Domains {
		out = append(out, "rooms."+d)
	}
	for _, b := range c.Bridges {
		out = append(out, "rooms."+b.Name+"."+b.Domain)
	}
	return out
}

// backup returns the function that writes a backup and tells its progress, measured against the size of the database.
func backup(s *sqlite.Store, dir string) func(context.Context, io.Writer, func(int64, int64)) error {
	return func(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
		var total int64
		if info, err := os.Stat(filepath.Join(dir, "viaduct.db")); err == nil {
			total = info.Size()
		}
		return s.Backup(ctx, &countingWriter{w: w, total: total, tell: progress})
	}
}

type countingWriter struct {
	w                 io.Writer
	done, total, told int64
	tell              func(done, total int64)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	if c.done-c.told >= 8<<20 {
		c.told = c.done
		c.tell(c.done, c.total)
	}
	return n, err
}

// Stopped is the data directory of a server that does not run, opened for a command.
type Stopped struct {
	cmds    *admin.Registry
	store   *sqlite.Store
	journal *journal.Committer
}

// OpenStopped opens the data directory under its lock, for the commands that work without a server. It is not made if it does not exist.
func OpenStopped(ctx context.Context, o Options) (*Stopped, error) {
	if o.Log == nil {
		o.Log = DiscardLog()
	}
	c := o.Config
	if _, err := os.Stat(c.DataDir); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("data_dir: %w", err)
		}
	}
	store, err := openStore(ctx, c, o.Log.Logger)
	if err != nil {
		return nil, err
	}
	s := &Stopped{cmds: &admin.Registry{}, store: store}
	s.journal = journal.New(journal.Options{Backend: store, Log: o.Log.Logger})
	accounts, err := auth.New(auth.Options{Store: store.Accounts(), Journal: s.journal, Events: event.NewCatalogue(), Iterations: o.Iterations})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.journal.Start()
	u := &admin.Users{Accounts: accounts, Local: func(d string) bool { return isAccountDomain(c, d) }, Generate: generatePassword}
	r := &admin.Rooms{Store: store.Rooms(), Services: func() []string { return roomServices(c) }}
	kept := &admin.Archives{Messages: store.Messages(), Journal: s.journal, IsAccountDomain: func(d string) bool { return isAccountDomain(c, d) }}
	ops := &admin.Operations{Backup: backup(store, c.DataDir), Version: Version}
	for _, list := range [][]*admin.Command{u.Commands(), r.Commands(), kept.Commands(), ops.Commands()} {
		for _, cmd := range list {
			if cmd.Stopped {
				err = errors.Join(err, s.cmds.Add(cmd))
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Commands returns the table of commands.
func (s *Stopped) Commands() *admin.Registry { return s.cmds }

// Close ends it.
func (s *Stopped) Close(ctx context.Context) error {
	return errors.Join(s.journal.Stop(ctx), s.store.Close())
}

func isAccountDomain(c *configs.Config, domain string) bool {
	for _, d := range c.Domains {
		if d == domain {
			return true
		}
	}
	return false
}
