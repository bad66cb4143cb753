package sqlite_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// disk is what a machine without power has left of a directory: of each file what was synced, and, if torn is set, any of the sectors that
// were written since, which a disk may have got to or not. A file's name is there once its directory was synced.
type disk struct {
	files map[string]*file
}

type file struct {
	named    bool // durable in the directory
	synced   []byte
	unsynced []event // that were over before the power went
}

const (
	sector      = 512
	powerLosses = 40
)

// replay does to an empty disk what was over before a line, and to what was under way then nothing.
func replay(events []event, dir string, line int) *disk {
	d := &disk{files: map[string]*file{}}
	for _, e := range events {
		if e.to == 0 || e.to > line || e.path == "" {
			continue
		}
		f := d.files[e.path]
		if f == nil && e.action != syncs && e.action != acknowledges {
			f = &file{}
			d.files[e.path] = f
		}
		switch e.action {
		case writes, truncates:
			f.unsynced = append(f.unsynced, e)
		case removes:
			delete(d.files, e.path) // at once: a file that is still there would only hold older states
		case syncs:
			if e.path == dir {
				for _, f := range d.files {
					f.named = true
				}
			} else if f != nil {
				f.sync(e.from)
			}
		}
	}
	return d
}

// sync makes durable what was over before the sync began.
func (f *file) sync(began int) {
	var later []event
	for _, e := range f.unsynced {
		switch {
		case e.to >= began:
			later = append(later, e)
		case e.action == truncates:
			f.synced = resize(f.synced, e.n)
		default:
			f.synced = put(f.synced, e.off, e.data)
		}
	}
	f.unsynced = later
}

func put(b []byte, off int64, data []byte) []byte {
	if end := int(off) + len(data); end > len(b) {
		b = resize(b, end)
	}
	copy(b[off:], data)
	return b
}

func resize(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

// leave writes what is left into a directory. With rnd, each sector that was written and not synced is there or not.
func (d *disk) leave(t *testing.T, from, dir string, rnd *rand.Rand) {
	t.Helper()
	for path, f := range d.files {
		if !f.named || strings.HasSuffix(path, "-shm") { // the WAL's index is made anew
			continue
		}
		left := append([]byte(nil), f.synced...)
		if rnd != nil {
			left = f.torn(left, rnd)
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimPrefix(path, from)), left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *file) torn(left []byte, rnd *rand.Rand) []byte {
	for _, e := range f.unsynced {
		if e.action == truncates {
			if rnd.IntN(2) == 0 {
				left = resize(left, e.n)
			}
			continue
		}
		for at := 0; at < len(e.data); at += sector {
			if rnd.IntN(2) == 0 {
				left = put(left, e.off+int64(at), e.data[at:min(at+sector, len(e.data))])
			}
		}
	}
	return left
}

// testPowerLoss replays the file operations of a traced child up to random moments, with what was synced by then, and opens the result:
// everything that had been acknowledged must be there, and nothing by half.
func testPowerLoss(t *testing.T, events []event, dir string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 5))
	first, last := 0, events[len(events)-1].to
	for _, e := range events {
		if e.action == acknowledges {
			first = e.from
			break
		}
	}
	lost := 0
	for i := range powerLosses {
		line := first - 200 + rnd.IntN(last-first+200)
		if i%3 == 0 { // the worst moment: just acknowledged
			line = someAck(events, rnd).from
		}
		acked := -1
		for _, e := range events {
			if e.action == acknowledges && e.from <= line {
				acked = e.n
			}
		}
		d := replay(events, dir, line)
		for _, f := range d.files {
			lost += len(f.unsynced)
		}
		left := t.TempDir()
		var torn *rand.Rand
		if i%2 == 0 {
			torn = rnd
		}
		d.leave(t, dir, left, torn)
		units := checkChild(t, left, acked)
		if t.Failed() {
			t.Fatalf("power lost at line %d of %d (torn: %v): unit %d was acknowledged, %d units are left", line, last, torn != nil, acked, units)
		}
	}
	if lost == 0 {
		t.Error("at no moment was anything unsynced: the test does not test")
	}
	t.Logf("%d writes lost in %d power losses", lost, powerLosses)
}

func someAck(events []event, rnd *rand.Rand) event {
	for {
		if e := events[rnd.IntN(len(events))]; e.action == acknowledges {
			return e
		}
	}
}
