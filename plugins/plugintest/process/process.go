// Package process lets plugintest run against real plugin processes, launched as the
// server launches them (plugins/host). It is apart from plugintest because the tests
// of plugins/host use that one.
//
//	plugintest.Options{Launch: process.Launch("/path/of/viaduct-demo", host.MTLS), ...}
package process

import (
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
)

// Launch gives a plugintest.Options.Launch that starts the program at path.
func Launch(path string, transport host.Transport) func(testing.TB, plugintest.Driver) plugintest.Instance {
	return func(t testing.TB, _ plugintest.Driver) plugintest.Instance {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		i, err := host.Processes().Launch(ctx, host.Launch{
			Bridge: "test", Path: path, MTLS: transport == host.MTLS, Memory: 512 << 20, Server: "plugintest", LogLines: 1000,
			Log: slog.New(slog.DiscardHandler), OnStarted: func(int, string) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			i.Stop(ctx)
		}
		t.Cleanup(stop)
		return plugintest.Instance{
			Remote: i.Remote(),
			Kill: func() {
				_ = syscall.Kill(i.PID(), syscall.SIGKILL)
				<-i.Exited()
				stop()
			},
		}
	}
}
