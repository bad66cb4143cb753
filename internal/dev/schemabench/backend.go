package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// measureBackend writes the same messages through core/storage/sqlite, with and without the keys of retries, and with a session that
// acknowledges: what the chosen layout costs together with everything around it.
func measureBackend(s settings) error {
	for _, mode := range []struct {
		name         string
		dedupe, acks bool
	}{{"backend", false, false}, {"backend", true, false}, {"backend-acked", true, true}} {
		if err := measureStore(s, mode.name, mode.dedupe, mode.acks); err != nil {
			return err
		}
	}
	return nil
}

func measureStore(s settings, name string, dedupe, acks bool) error {
	ctx := context.Background()
	dir := filepath.Join(s.dir, fmt.Sprint(name, "-", dedupe))
	store, err := sqlite.Open(ctx, sqlite.Options{Dir: dir, WALSoft: s.soft, WALLimit: s.limit})
	if err != nil {
		return err
	}
	defer store.Close()
	w := newWorkload(s)
	var group []*journal.Unit
	write := func(total, size int) error {
		for written := 0; written < total; written += size {
			group = group[:0]
			messages := w.group(min(size, total-written))
			for i := range messages {
				group = append(group, unitOf(&messages[i], dedupe, acks))
			}
			for _, err := range store.Commit(ctx, group) {
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := write(s.preload, 4096); err != nil {
		return err
	}
	cpu, start := cpuSeconds(), time.Now()
	if err := write(s.messages, s.group); err != nil {
		return err
	}
	wall, used := time.Since(start), cpuSeconds()-cpu
	stats, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	kind := "none"
	if dedupe {
		kind = "time"
	}
	report(s, name, kind, 4096, used, wall, stats["db_bytes"]+stats["wal_bytes"])
	fmt.Printf("    checkpoints %.0f in %.2f s, of which the writer was held %.0f times for %.0f ms\n",
		stats["checkpoints"], stats["checkpoint_seconds"], stats["checkpoints_held"], 1000*stats["checkpoint_held_seconds"])
	return nil
}

func unitOf(m *message, dedupe, acks bool) *journal.Unit {
	u := journal.NewUnit(journal.Lane{})
	id, from, to := storage.MessageID(m.id), jid(m.from), jid(m.to)
	if dedupe {
		u.Add(storage.Dedupe{Scope: from, Key: [16]byte(m.key), ID: m.id, At: id.Time()})
	}
	u.Add(storage.PutMessage{ID: id, Body: m.body},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: from, ID: id, Peer: to}},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: to, ID: id, Peer: from}})
	if acks { // the recipient's session has acknowledged what it got half a group ago
		u.Add(storage.PutRef{Ref: storage.Ref{Kind: storage.Unacked, Owner: "session of " + to, ID: id}},
			storage.SessionIn{ID: "session of " + from, H: uint32(m.id)},
			storage.SessionOut{ID: "session of " + to, H: uint32(m.id), Through: id - 128})
	}
	return u
}
