package session

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWindow: whatever the order, low is the prefix that is complete; also across the wrap at 2^32.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint32{0, 1, 1<<32 - 1, 1<<32 - 70, 1 << 31}).Draw(t, "start")
		n := rapid.IntRange(1, 300).Draw(t, "n")
		order := rapid.Permutation(numbers(n)).Draw(t, "order")
		w := window{low: start}
		done := make([]bool, n+1)
		prefix := 0
		for _, i := range order {
			done[i] = true
			for prefix < n && done[prefix+1] {
				prefix++
			}
			if got := w.mark(start + uint32(i)); got != start+uint32(prefix) {
				t.Fatalf("after %d low is %d, want %d", i, got-start, prefix)
			}
		}
		if w.done != nil {
			t.Fatalf("a complete window remembers %v", w.done)
		}
	})
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

func TestAfterAcrossTheWrap(t *testing.T) {
	for _, tc := range []struct {
		a, b uint32
		want bool
	}{{1, 0, true}, {0, 1, false}, {0, 0, false}, {0, 1<<32 - 1, true}, {1<<32 - 1, 0, false}, {5, 1<<32 - 5, true}} {
		if got := after(tc.a, tc.b); got != tc.want {
			t.Errorf("after(%d, %d) = %v", tc.a, tc.b, got)
		}
	}
}
