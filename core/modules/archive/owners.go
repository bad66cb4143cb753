package archive

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const (
	ownersPerPage  = 200
	ownersPerSlice = 20 // are looked at before others have their turn
)

// owners goes over all archives once.
type owners struct {
	messages storage.Messages
	kinds    []storage.RefKind // that are left, the first is under way
	after    string
	page     []string // that are left of the page
	last     bool     // the page is the last of its kind
}

func newOwners(m storage.Messages) *owners {
	return &owners{messages: m, kinds: []storage.RefKind{storage.Archive, storage.Room}}
}

// next returns the next archive; ok is false at the end.
func (o *owners) next(ctx context.Context) (kind storage.RefKind, owner string, ok bool, err error) {
	for len(o.page) == 0 {
		if len(o.kinds) == 0 {
			return 0, "", false, nil
		}
		if o.last {
			o.kinds, o.after, o.last = o.kinds[1:], "", false
			continue
		}
		if o.page, err = o.messages.Owners(ctx, o.kinds[0], storage.Page{After: o.after, Limit: ownersPerPage}); err != nil {
			return 0, "", false, fmt.Errorf("archive: list archives: %w", err)
		}
		o.last = len(o.page) < ownersPerPage
		if len(o.page) > 0 {
			o.after = o.page[len(o.page)-1]
		}
	}
	owner = o.page[0]
	o.page = o.page[1:]
	return o.kinds[0], owner, true, nil
}
