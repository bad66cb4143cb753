package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func (w *writer) loadEpochs() error {
	return w.c.query(context.Background(), `SELECT kind, key, epoch FROM epoch`, func(row []driver.Value) error {
		lane := journal.Lane{Kind: journal.LaneKind(integer(row[0])), Key: text(row[1])}
		w.epochs[lane] = uint64(integer(row[2]))
		return nil
	})
}

// epoch is what this transaction knows of a lane.
func (b *batch) epoch(lane journal.Lane) uint64 {
	for _, e := range slices.Backward(b.epochs) {
		if e.lane == lane {
			return e.epoch
		}
	}
	return b.w.epochs[lane]
}

// claim refuses an epoch below the known one and keeps one above it.
func (b *batch) claim(lane journal.Lane, epoch uint64) error {
	known := b.epoch(lane)
	switch {
	case epoch < known:
		return journal.ErrStale
	case epoch == known:
		return nil
	}
	b.epochs = append(b.epochs, claimed{lane, epoch})
	_, err := b.c.exec(`INSERT INTO epoch(kind, key, epoch) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch`,
		int64(lane.Kind), lane.Key, int64(epoch))
	return err
}

func claimEpoch(b *batch, op storage.ClaimEpoch) error { return b.claim(op.Lane, op.Epoch) }

// Epoch implements storage.Store.
func (s *Store) Epoch(ctx context.Context, lane journal.Lane) (epoch uint64, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		v, _, err := c.one(`SELECT epoch FROM epoch WHERE kind = ? AND key = ?`, int64(lane.Kind), lane.Key)
		epoch = uint64(integer(v))
		return err
	})
	return epoch, s.readError("epoch", err)
}
