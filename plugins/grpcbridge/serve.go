package grpcbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ServeOptions are a plugin's choices; zero values are defaults.
type ServeOptions struct {
	// Window is how many operations may be under way (256).
	Window int
}

// LogLevelEnv names the level ("debug", "info" ...) below which a plugin logs
// nothing.
const LogLevelEnv = "VIADUCT_LOG_LEVEL"

// Serve serves a bridge to the host that started this process, and ends the
// process when the host is gone. It is all that a plugin's main does. Started by
// hand with the argument "info", it prints what the bridge is as JSON; `viaduct
// check config` reads that.
func Serve(b sdk.Bridge, opt ServeOptions) {
	if len(os.Args) == 2 && os.Args[1] == "info" {
		if err := printInfo(os.Stdout, b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	log := slog.New(NewPluginLog(os.Stderr, logLevel(os.Getenv(LogLevelEnv))))
	s, err := newServer(b, log, opt.Window)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	watch := newOrphanWatch(os.Getppid(), log)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go watch.run(ctx)
	go func() {
		select {
		case <-s.lost():
		case <-watch.orphaned:
		}
		// Nothing more may be acknowledged to the network: no clean-up first.
		s.session.lose(sdk.ErrSessionLost)
		os.Exit(0)
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: {pluginName: &glue{server: s}}},
		GRPCServer:       func(opts []grpc.ServerOption) *grpc.Server { return newGRPCServer(opts, watch) },
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
}

// newGRPCServer adds our limits, the watch over the host's connection and, where
// go-plugin set no TLS, the check of the peer's user.
func newGRPCServer(opts []grpc.ServerOption, watch *orphanWatch) *grpc.Server {
	if len(opts) == 0 {
		opts = append(opts, grpc.Creds(peerCredentials{}))
	}
	opts = append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	if watch != nil {
		opts = append(opts, grpc.StatsHandler(watch))
	}
	return grpc.NewServer(opts...)
}

// Description is what a plugin prints for "info".
type Description struct {
	Protocol  int
	Info      sdk.Info
	Abilities []sdk.Ability
	Built     string // the module's version, as the linker knows it
}

func printInfo(w io.Writer, b sdk.Bridge) error {
	d := Description{Protocol: ProtocolVersion, Info: b.Info(), Abilities: sdk.Abilities(b)}
	if build, ok := debug.ReadBuildInfo(); ok {
		d.Built = build.Main.Version
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("describe plugin: %w", err)
	}
	return nil
}
