package host

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// A plugin may be restarted for months: nothing of an instance stays behind, no
// goroutine, no file, no directory, no record.
func TestNothingIsLeftOfAnInstance(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	runtimeDir := t.TempDir()
	r := newRig(t, rigOptions{role: "demo", idle: true, change: func(o *Options, _ *Spec) { o.RuntimeDir = runtimeDir }})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until(t, Running)
	count := func(dir string) int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Skip("not to be seen on this system: ", err)
		}
		return len(list)
	}
	// Starting is told when the instance before has been released.
	restart := func() {
		if err := r.Restart("one"); err != nil {
			t.Fatal(err)
		}
		r.until(t, Starting)
		if n := count(runtimeDir); n > 1 {
			t.Fatalf("%d directories for sockets", n)
		}
		r.until(t, Running)
	}
	restart()
	before := count("/proc/self/fd")
	for range 5 {
		restart()
	}
	if after := count("/proc/self/fd"); after > before+2 {
		t.Errorf("%d files are open, before it were %d", after, before)
	}
	if err := r.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(runtimeDir) + count(filepath.Join(r.data, "plugins")); n != 0 {
		t.Errorf("%d things are left", n)
	}
	goleak.VerifyNone(t, ignore)
}
