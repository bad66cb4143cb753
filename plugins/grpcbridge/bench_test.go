package grpcbridge

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// benchmarkRemote is a bridge in a process of its own.
func benchmarkRemote(b *testing.B, host *fakeHost) *Client {
	b.Helper()
	gp, c, err := launch(b.Context(), true, socketDir(b), discard())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(gp.Kill)
	b.Cleanup(c.Close)
	if err := c.Start(b.Context(), host, sdk.Resume{}); err != nil {
		b.Fatal(err)
	}
	return c
}

// An operation to a process of its own and its result back, one at a time.
func BenchmarkHopOneAtATime(b *testing.B) {
	c := benchmarkRemote(b, newFakeHost())
	op := sendOp(benchOp, "!room:hs.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sdk.Handle(b.Context(), c, op); err != nil {
			b.Fatal(err)
		}
	}
}

// The same with many portals at once.
func BenchmarkHopStreamed(b *testing.B) {
	c := benchmarkRemote(b, newFakeHost())
	done := make(chan error, 1024)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for i := range b.N {
			op := sendOp(benchOp, fmt.Sprint("!room", i%64))
			if err := c.Submit(context.Background(), op, func(_ sdk.Delivered, err error) { done <- err }); err != nil {
				done <- err
			}
		}
	}()
	for range b.N {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// Events from plugin to host in one process over memory, by size of the batch;
// b.N counts events.
func BenchmarkEvents(b *testing.B) {
	for _, size := range []int{1, 16, 128} {
		b.Run(fmt.Sprint("batch", size), func(b *testing.B) {
			r := newRig(b, rigOptions{events: 4096})
			batch := sdk.Batch{Cursors: []sdk.CursorMark{{Cursor: "c"}}}
			for range size {
				batch.Events = append(batch.Events, message("$0123456789012345678901234567890123456789012"))
			}
			r.host.events = make([]sdk.Event, 0, b.N+size)
			b.ReportAllocs()
			b.ResetTimer()
			var last *sdk.Ticket
			for i := 0; i < b.N; i += size {
				t, err := r.remote.DeliverAsync(b.Context(), batch)
				if err != nil {
					b.Fatal(err)
				}
				last = t
			}
			if _, err := last.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkCodec(b *testing.B) {
	c := testCodec(b)
	e := message("$0123456789012345678901234567890123456789012")
	m, err := c.event(e)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.event(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.toEvent(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("protobuf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m pb.Event
			if err := proto.Unmarshal(raw, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
