package roster

import (
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// size is what a roster holds. What others put there, requests that wait for a decision, has bounds of its own: it takes no room from the contacts.
type size struct {
	listed, others           int // items
	listedBytes, othersBytes int
}

// sizeOf is what one item counts; its request counts as what others put there.
func sizeOf(it *storage.RosterItem) size {
	n := len(it.Contact) + len(it.Name)
	for _, g := range it.Groups {
		n += len(g)
	}
	if it.Listed {
		return size{listed: 1, listedBytes: n, othersBytes: len(it.PendingIn)}
	}
	return size{others: 1, othersBytes: n + len(it.PendingIn)}
}

func (s size) grownFrom(was size) bool {
	return s.listed > was.listed || s.others > was.others || s.listedBytes > was.listedBytes || s.othersBytes > was.othersBytes
}

func (a *account) size() size {
	var sum size
	for _, it := range a.items {
		s := sizeOf(&it)
		sum.listed, sum.others = sum.listed+s.listed, sum.others+s.others
		sum.listedBytes, sum.othersBytes = sum.listedBytes+s.listedBytes, sum.othersBytes+s.othersBytes
	}
	return sum
}

// fits tells whether the rosters that have grown are within their bounds, however they have grown: a subscription makes an item too (attacks row 28),
// and everything that is in a roster is sent at each login and kept in memory.
func (up *update) fits() error {
	for i := range up.changes {
		c := &up.changes[i]
		now, was := sizeOf(&c.now), size{}
		if c.was.Version != 0 {
			was = sizeOf(&c.was)
		}
		if c.removed || !now.grownFrom(was) {
			continue
		}
		o, all := &up.m.o, c.a.size()
		if all.listed > o.MaxItems || all.others > o.MaxItems {
			return stanza.NewError(stanza.ResourceConstraint, fmt.Sprintf("A contact list has at most %d entries.", o.MaxItems))
		}
		if all.listedBytes > o.MaxBytes || all.othersBytes > o.MaxBytes {
			return stanza.NewError(stanza.ResourceConstraint, fmt.Sprintf("A contact list has at most %d bytes.", o.MaxBytes))
		}
	}
	return nil
}
