package dir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/blob"
	"github.com/viaduct-xmpp/viaduct/core/blob/blobtest"
)

func open(t *testing.T, root string) *Store {
	t.Helper()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "files")) })
}

func files(t *testing.T, root string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What a dead process left unfinished is removed, what it finished stays.
func TestUnfinishedIsRemovedAtTheStart(t *testing.T) {
	root := filepath.Join(t.TempDir(), "files")
	s := open(t, root)
	key := blobtest.Put(t, s, blobtest.Body(100, 1))
	if err := os.WriteFile(filepath.Join(root, tmpName, "put-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, root)
	blobtest.Read(t, s, key)
	if got := files(t, root); len(got) != 1 || filepath.Base(got[0]) != key {
		t.Errorf("the folder has %v", got)
	}
	if info, err := os.Stat(s.path(key)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Nothing is confirmed that is not on the disk: each sync is awaited and its failure is the caller's.
func TestSyncs(t *testing.T) {
	root := filepath.Join(t.TempDir(), "files")
	s := open(t, root)
	var synced []string
	s.sync = func(f *os.File) error {
		synced = append(synced, f.Name())
		return f.Sync()
	}
	key := blobtest.Put(t, s, blobtest.Body(100, 1))
	if len(synced) != 3 || filepath.Dir(synced[0]) != filepath.Join(root, tmpName) || synced[1] != root || synced[2] != s.folder(key) {
		t.Errorf("synced %v", synced)
	}
	broken := errors.New("broken disk")
	for at := 1; at <= 2; at++ { // the file, the folder of a key whose folder is there
		n := 0
		s.sync = func(*os.File) error {
			if n++; n == at {
				return broken
			}
			return nil
		}
		if err := s.Put(t.Context(), bytes.NewReader(blobtest.Body(100, 1)), func(string, int64) error { return nil }); !errors.Is(err, broken) {
			t.Errorf("sync %d fails: %v", at, err)
		}
	}
	if got := files(t, filepath.Join(root, tmpName)); len(got) > 0 {
		t.Errorf("temporary files stay: %v", got)
	}
}

// A body that lost its end (a file system that broke its word) is written again.
func TestWrongSizeIsReplaced(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "files"))
	body := blobtest.Body(100, 1)
	key := blobtest.Put(t, s, body)
	if err := os.Truncate(s.path(key), 50); err != nil {
		t.Fatal(err)
	}
	blobtest.Put(t, s, body)
	if got := blobtest.Read(t, s, key); !bytes.Equal(got, body) {
		t.Errorf("%d bytes", len(got))
	}
}
