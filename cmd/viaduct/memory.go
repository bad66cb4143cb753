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
// them. A quiet server also collects by itself what gathered before: Go would let as much lie as is alive, and keep what is free for later.
const (
	memoryRoom   = 32 << 20 // garbage that may gather while busy, beside as much as is alive
	memoryPeriod = 2 * time.Second
	busyBytes    = 8 << 20 // allocated in a period: busy
	mostPercent  = 1600
	goPercent    = 100 // what Go does by itself

	quietBytes = 1 << 20 // allocated in a period, or a 64th of what is alive: quiet
	wasteBytes = 4 << 20 // or an eighth of what is alive: worth a collection
	restLooks  = 15      // between two collections of a quiet server
)

// usage is what a look sees.
type usage struct {
	allocs uint64 // bytes allocated since the start
	live   uint64 // bytes alive at the last collection
	free   uint64 // bytes that hold nothing and were not given back
	cycles uint64 // collections since the start
}

// collector decides how often garbage is collected.
type collector struct {
	percent int
	last    usage  // at the last look
	swept   uint64 // allocs at the look that saw the last collection
	rest    int    // looks until a quiet server may collect again
}

// look says what is to be done: percent is what is to be set, 0 for no change; tidy says that garbage is to be collected and the memory to go
// back to the system.
func (c *collector) look(u usage) (percent int, tidy bool) {
	allocated := u.allocs - c.last.allocs
	if u.cycles != c.last.cycles {
		c.swept = u.allocs
	}
	c.last = u
	c.rest = max(0, c.rest-1)
	busy := allocated >= busyBytes
	want := goPercent
	if busy {
		want = min(goPercent+int(100*memoryRoom/max(u.live, 1)), mostPercent)
	}
	waste := u.allocs - c.swept + u.free
	switch {
	case !busy && c.percent != goPercent:
		tidy, percent = true, goPercent
	case !busy:
		quiet := allocated < min(max(quietBytes, u.live/64), busyBytes)
		tidy = quiet && c.rest == 0 && waste >= max(wasteBytes, u.live/8)
	case 4*want > 3*c.percent && 4*c.percent > 3*want: // about the same
	default:
		percent = want
	}
	if percent > 0 {
		c.percent = percent
	}
	if tidy {
		c.rest = restLooks
	}
	return percent, tidy
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
		sample := []metrics.Sample{
			{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			metrics.Read(sample)
			percent, tidy := c.look(usage{
				allocs: sample[0].Value.Uint64(), live: sample[1].Value.Uint64(), free: sample[2].Value.Uint64(), cycles: sample[3].Value.Uint64(),
			})
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
