package storage

import "github.com/viaduct-xmpp/viaduct/core/journal"

// ClaimEpoch makes a node the owner of a lane: from then on a unit of the lane with a lower epoch fails with journal.ErrStale. The claim
// itself fails so if a higher epoch is known. A unit with a higher epoch than the known one claims it by being committed. On a single node
// all epochs are 0 and nothing is kept.
type ClaimEpoch struct {
	Lane  journal.Lane
	Epoch uint64
}

// JournalOp marks the type as a row operation.
func (ClaimEpoch) JournalOp() {}
