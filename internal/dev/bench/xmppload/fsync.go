package main

import (
	"flag"
	"os"
	"time"
)

// runFsync appends 4 KiB to a file and syncs it, many times: what one durable
// write costs on this machine at least.
func runFsync(cfg *Config, fs *flag.FlagSet, args []string) ([]*Result, error) {
	dir := fs.String("dir", ".", "directory of the file, which is removed again")
	n := fs.Int("n", 200, "times")
	if err := parse(cfg, fs, args); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(*dir, "fsync")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := &Hist{}
	b := make([]byte, 4096)
	m := startMeter(nil)
	for i := 0; i < *n; i++ {
		t0 := time.Now()
		if _, err := f.Write(b); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		h.Add(int64(time.Since(t0)))
	}
	u := m.Stop()
	fig := map[string]float64{}
	h.Into(fig)
	return []*Result{{Params: map[string]any{"n": *n}, Fig: fig, Env: u.env()}}, nil
}
