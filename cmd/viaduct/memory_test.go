package main

import "testing"

func TestCollector(t *testing.T) {
	const mib = 1 << 20
	c := collector{percent: goPercent}
	var allocs uint64
	for _, step := range []struct {
		name      string
		allocated uint64
		live      uint64
		percent   int
		tidy      bool
	}{
		{"idle from the start", 1 * mib, 4 * mib, 0, false},
		{"busy: 32 MiB beside 8", 100 * mib, 8 * mib, 500, false},
		{"busy, about as much alive", 100 * mib, 9 * mib, 0, false},
		{"busy, more alive", 100 * mib, 64 * mib, 150, false},
		{"idle again", 1 * mib, 64 * mib, 100, true},
		{"still idle", 7 * mib, 64 * mib, 0, false},
		{"busy with nothing alive", 100 * mib, 0, mostPercent, false},
		{"busy with very much alive", 100 * mib, 32 << 30, 100, false},
		{"idle: nothing to give back", 0, 32 << 30, 0, false},
	} {
		allocs += step.allocated
		if percent, tidy := c.look(usage{allocs: allocs, live: step.live}); percent != step.percent || tidy != step.tidy {
			t.Errorf("%s: %d %v, want %d %v", step.name, percent, tidy, step.percent, step.tidy)
		}
	}
}

// TestQuiet: what a time that was never busy has left behind is collected once it is over, not again and again.
func TestQuiet(t *testing.T) {
	const mib = 1 << 20
	c := collector{percent: goPercent}
	var u usage
	for _, step := range []struct {
		name      string
		looks     int
		allocated uint64 // in each period
		free      uint64
		cycles    uint64
		tidy      int
	}{
		{"clients log in slowly", 20, 3 * mib, 0, 0, 0},
		{"quiet: 60 MiB lie about", 1, 0, 0, 0, 1},
		{"collected", 20, 10 << 10, 0, 1, 0},
		{"keeping alive 64 MiB is quiet, but not at once worth it", 8, mib / 2, 0, 0, 0},
		{"until an eighth has gathered", 8, mib / 2, 0, 0, 1},
		{"what is free counts", 15, 0, 16 * mib, 1, 1},
		{"but not oftener than twice a minute", 30, 0, 16 * mib, 1, 2},
		{"nothing to give back", 100, 0, 0, 1, 0},
	} {
		tidied := 0
		for range step.looks {
			u.allocs += step.allocated
			u.live, u.free = 64*mib, step.free
			u.cycles += step.cycles
			percent, tidy := c.look(u)
			if percent != 0 {
				t.Errorf("%s: percent %d", step.name, percent)
			}
			if tidy {
				tidied++
			}
		}
		if tidied != step.tidy {
			t.Errorf("%s: tidied %d times, want %d", step.name, tidied, step.tidy)
		}
	}
}
