package host

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// BenchmarkDemo sends through a real plugin process of the demo network, under all
// limits: one message at a time, and as many as the window holds. It also reports
// the plugin's resident memory (MiB).
func BenchmarkDemo(b *testing.B) {
	for name, window := range map[string]int{"one at a time": 1, "window of 256": 256} {
		b.Run(name, func(b *testing.B) {
			changes := make(chan Status, 100)
			gw := newGateway()
			h, err := New(Options{
				Gateway: gw, Dirs: []string{plugins(b, "demo")}, OnChange: func(s Status) { changes <- s },
				Bridges: []Spec{{Name: "one", Plugin: "demo", EventsPerSecond: 1_000_000, Configure: configured(`{"silent": true}`)}},
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := h.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = h.Stop(context.Background()) }()
			remote := <-gw.attached
			var idle int64
			for s := range changes {
				if s.State == Running {
					idle, _ = memoryOf(s.PID) // 0 where it is not known
					break
				}
			}
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
			defer cancel()
			slots := make(chan struct{}, window)
			b.ResetTimer()
			for n := range b.N {
				slots <- struct{}{}
				op := &sdk.SendMessage{
					OpHeader: sdk.OpHeader{
						ID: sdk.OpID(fmt.Sprint("op", n)), Portal: sdk.PortalKey{Room: "lobby"}, Attempt: 1, Sender: sdk.Sender{Person: "p", Name: "P"},
					},
					Content: sdk.Content{Body: richtext.FromPlain("hello")},
				}
				err := remote.Submit(ctx, op, func(_ sdk.Delivered, err error) {
					if err != nil {
						b.Error(err)
					}
					<-slots
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for range window {
				slots <- struct{}{}
			}
			b.ReportMetric(float64(idle)/(1<<20), "MiB-idle")
		})
	}
}
