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
		if percent, tidy := c.look(allocs, step.live); percent != step.percent || tidy != step.tidy {
			t.Errorf("%s: %d %v, want %d %v", step.name, percent, tidy, step.percent, step.tidy)
		}
	}
}
