package sqlite_test

import (
	"context"
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/storage/storagetest"
)

func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	storagetest.Run(t, storagetest.Backend{
		Open: func(t *testing.T, dir string) storage.Store {
			t.Helper()
			s, err := sqlite.Open(context.Background(), sqlite.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Restore: func(t *testing.T, dir string, from io.Reader) {
			t.Helper()
			if err := sqlite.Restore(context.Background(), sqlite.RestoreOptions{Dir: dir, From: from}); err != nil {
				t.Fatal(err)
			}
		},
	})
}
