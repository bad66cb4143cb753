package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// record is what the data directory knows of a running plugin.
type record struct {
	PID   int
	Birth string
	Dir   string // of its sockets
}

// records are kept as DIR/NAME.json.
type records struct{ dir string }

func (r records) path(bridge string) string { return filepath.Join(r.dir, bridge+".json") }

// write notes an instance. It is written before the handshake, so that there is
// no instance that answers the network without being known.
func (r records) write(bridge string, pid int, dir string) error {
	if r.dir == "" {
		return nil
	}
	born, err := birth(pid)
	if err != nil || born == "" {
		return nil // a process that cannot be told from others is not ended by its number
	}
	b, err := json.Marshal(record{PID: pid, Birth: born, Dir: dir})
	if err != nil {
		return fmt.Errorf("record plugin: %w", err)
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("record plugin: %w", err)
	}
	tmp := r.path(bridge) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("record plugin: %w", err)
	}
	if err := os.Rename(tmp, r.path(bridge)); err != nil {
		return fmt.Errorf("record plugin: %w", err)
	}
	return nil
}

func (r records) remove(bridge string) {
	if r.dir != "" {
		_ = os.Remove(r.path(bridge))
	}
}

// endLeftover ends the instance that a killed server left behind, and reports
// whether there was one. Two instances would answer the network twice.
func (r records) endLeftover(ctx context.Context, bridge string) (int, error) {
	if r.dir == "" {
		return 0, nil
	}
	b, err := os.ReadFile(r.path(bridge))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("end left-over plugin: %w", err)
	}
	defer r.remove(bridge)
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil || rec.PID <= 1 || rec.Birth == "" {
		return 0, nil // half-written: it was never connected
	}
	if strings.HasPrefix(filepath.Base(rec.Dir), socketDirPrefix) {
		_ = os.RemoveAll(rec.Dir)
	}
	if born, err := birth(rec.PID); err != nil || born != rec.Birth {
		return 0, nil
	}
	if err := killGroup(rec.PID); err != nil {
		return 0, fmt.Errorf("end left-over plugin %d: %w", rec.PID, err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if born, err := birth(rec.PID); err != nil || born != rec.Birth {
			return rec.PID, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return rec.PID, fmt.Errorf("end left-over plugin %d: %w", rec.PID, ctx.Err())
		}
	}
}
