package sqlite_test

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// TestKill kills a writing process at random moments: nothing that it acknowledged may be missing and nothing may be there by half.
func TestKill(t *testing.T) { killed(t, 20) }

// TestSoakKill is TestKill for a long time.
func TestSoakKill(t *testing.T) {
	if os.Getenv("VIADUCT_SOAK") == "" {
		t.Skip("VIADUCT_SOAK is not set")
	}
	killed(t, 1000)
}

func killed(t *testing.T, times int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 4))
	dir, next, acked := t.TempDir(), 0, 0
	for i := range times {
		if i%25 == 24 { // checking reads everything, so the database must not grow for ever
			dir, next = t.TempDir(), 0
		}
		last := killOnce(t, dir, next, 1+rnd.IntN(25), time.Duration(rnd.IntN(2000))*time.Microsecond)
		if last < 0 {
			last = next - 1
		}
		units := checkChild(t, dir, last)
		if t.Failed() {
			t.Fatalf("after kill %d of %d", i+1, times)
		}
		acked += last - next + 1
		next = units
	}
	t.Logf("%d kills, %d units acknowledged", times, acked)
}

// killOnce runs a child until it has acknowledged some groups and a random time more, kills it and returns the last acknowledgement.
func killOnce(t *testing.T, dir string, from, groups int, more time.Duration) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childFrom+"="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := make(chan struct{})
	last := acks(out, func(int) {
		if groups--; groups == 0 {
			// The moment within a commit is what is random here; nothing waits for it.
			time.AfterFunc(more, func() {
				_ = cmd.Process.Kill()
				close(killed)
			})
		}
	})
	_, _ = io.Copy(io.Discard, out)
	if groups > 0 {
		_ = cmd.Process.Kill()
		t.Fatalf("the child ended by itself: %v", cmd.Wait())
	}
	<-killed
	_ = cmd.Wait()
	return last
}
