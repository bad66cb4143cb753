package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/internal/appliance"
)

// drainTime is how long a stop waits for what is under way.
const drainTime = 20 * time.Second

func (p *program) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. Without a configuration it serves localhost, keeps its data in ./viaduct-data, makes a certificate of its own and\n" +
			"runs the demo bridge. Ctrl-C drains and stops. SIGHUP applies a changed configuration.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context()) },
	}
}

func (p *program) serve(ctx context.Context) (err error) {
	o, err := p.options()
	if err != nil {
		return err
	}
	if o.Log, err = appliance.OpenLog(o.Config.Log, p.err); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Log.Close()) }()
	stopProfiles, err := p.profiles(ctx, o.Log.Logger)
	if err != nil {
		return err
	}
	defer func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // a profile under way is broken off
		err = errors.Join(err, stopProfiles(ended))
	}()
	defer p.tuneMemory()()
	a, err := appliance.New(ctx, o)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	if err := p.welcome(ctx, a, o); err != nil {
		return errors.Join(err, stop(a))
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			if _, err := a.Reload(ctx); err != nil {
				o.Log.Error("reload: nothing was changed", "error", err)
			}
		case <-ctx.Done():
			o.Log.Info("stopping")
			return stop(a)
		}
	}
}

func stop(a *appliance.Appliance) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return a.Stop(ctx)
}

// welcome says where the server listens, and the password of the first administrator, once and only here: never in the log.
func (p *program) welcome(ctx context.Context, a *appliance.Appliance, o appliance.Options) error {
	who, password, made, err := a.FirstAdmin(ctx)
	if err != nil {
		return fmt.Errorf("make the first account: %w", err)
	}
	addrs := a.Addresses()
	var b strings.Builder
	fmt.Fprintf(&b, "Viaduct serves %s\n", strings.Join(o.Config.Domains, ", "))
	for _, l := range []struct{ key, what string }{
		{server.KeyC2S, "clients (STARTTLS)"}, {server.KeyC2SDirect, "clients (TLS)"}, {"listen.https", "web (TLS)"}, {"listen.admin", "health and metrics"},
	} {
		if len(addrs[l.key]) > 0 {
			fmt.Fprintf(&b, "  %-20s %s\n", l.what, strings.Join(addrs[l.key], ", "))
		}
	}
	fmt.Fprintf(&b, "  %-20s %s\n", "data", absolute(o.Config.DataDir))
	if i := slices.IndexFunc(o.Config.Bridges, func(b configs.Bridge) bool { return b.Plugin == "demo" }); i >= 0 {
		br := o.Config.Bridges[i]
		fmt.Fprintf(&b, "  %-20s join lobby@rooms.%s.%s\n", "see bridging work", br.Name, br.Domain)
	}
	if made {
		fmt.Fprintf(&b, "\nFirst start. An administrator was made; this password is shown only now:\n  %s\n  %s\n", who, password)
	}
	fmt.Fprintf(&b, "\nMake an account:  %s user add NAME@%s\nStop:             Ctrl-C\n", p.self(), o.Config.Domains[0])
	_, err = fmt.Fprint(p.out, b.String())
	return err
}

// self is how the program was called, with its configuration, so that a printed line can be copied.
func (p *program) self() string {
	s := filepath.Clean(os.Args[0])
	if !strings.ContainsRune(os.Args[0], filepath.Separator) {
		s = os.Args[0]
	}
	if p.configFile != "" {
		s += " --config " + p.configFile
	}
	return s
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
