package mam

import (
	"context"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// broken is a search whose index panics.
type broken struct{ storage.Searcher }

func (broken) Index(context.Context, int) ([]journal.Op, error) { panic("broken") }

// An index that panics has ended for whoever waits for it: her place among those who ask becomes free.
func TestUpdatingPanics(t *testing.T) {
	var told []bool
	w := &updating{Indexing: storage.NewIndexing(broken{}, 1), done: func(behind bool) { told = append(told, behind) }}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was hidden from the journal, which logs it")
			}
		}()
		if u, err := w.Next(t.Context(), time.Millisecond, nil); u != nil || err != nil {
			t.Error(u, err)
		}
	}()
	if len(told) != 1 || !told[0] {
		t.Errorf("told %v", told)
	}
}
