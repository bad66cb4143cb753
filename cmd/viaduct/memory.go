package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A server at work makes garbage of a few kilobytes for each message, while little is alive: with Go's own rule it would collect ten times a
// second. So it gets some room while it is busy, and gives it back when it is not: what is promised about the memory of idle sessions is about
// them.
const (
	memoryRoom   = 32 << 20 // garbage that may gather while busy, beside as much as is alive
	memoryPeriod = 2 * time.Second
	busyBytes    = 8 << 20 // allocated in a period: busy
	mostPercent  = 1600
	goPercent    = 100 // what Go does by itself
)

// collector decides how often garbage is collected.
type collector struct {
	percent int
	allocs  uint64 // at the last look
}

// look takes the bytes allocated since the start and those alive at the last collection. percent is what is to be set, 0 for no change; tidy says
// that a busy time is over and its memory can go back to the system.
func (c *collector) look(allocs, live uint64) (percent int, tidy bool) {
	busy := allocs-c.allocs >= busyBytes
	c.allocs = allocs
	want := goPercent
	if busy {
		want = min(goPercent+int(100*memoryRoom/max(live, 1)), mostPercent)
	}
	switch {
	case !busy && c.percent != goPercent:
		tidy = true
	case !busy || 4*want > 3*c.percent && 4*c.percent > 3*want: // about the same
		return 0, false
	}
	c.percent = want
	return want, tidy
}

// tuneMemory runs a collector until stop is called; an operator who sets GOGC is left alone.
func (p *program) tuneMemory() (stop func()) {
	if value, set := p.env("GOGC"); set && value != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(memoryPeriod)
		defer t.Stop()
		c := collector{percent: goPercent}
		sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			metrics.Read(sample)
			percent, tidy := c.look(sample[0].Value.Uint64(), sample[1].Value.Uint64())
			if percent > 0 {
				debug.SetGCPercent(percent)
			}
			if tidy {
				debug.FreeOSMemory()
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}
