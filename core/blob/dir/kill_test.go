package dir

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/blob/blobtest"
)

const childEnv = "VIADUCT_BLOB_CHILD"

// child puts bodies until it is killed, and says each key once Put has returned.
func child(root string) {
	s, err := Open(root)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	for i := uint32(0); ; i++ {
		body := binary.LittleEndian.AppendUint32(blobtest.Body(int(i%7)*9000+10, byte(i)), i)
		key := ""
		if err := s.Put(context.Background(), bytes.NewReader(body), func(k string, _ int64) error { key = k; return nil }); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(key)
	}
}

// kill -9 leaves no half body under a key, and none is lost whose Put has returned.
func TestKill(t *testing.T) {
	if root := os.Getenv(childEnv); root != "" {
		child(root)
	}
	for round := range 3 {
		root := filepath.Join(t.TempDir(), "files")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), childEnv+"="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if said = append(said, lines.Text()); len(said) == 20+round*13 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		s, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		err = s.Walk(t.Context(), "", func(key string, _ int64, _ time.Time) error {
			there[key] = true
			if got := blobtest.KeyOf(blobtest.Read(t, s, key)); got != key {
				t.Errorf("under %s lies a body with the hash %s", key, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range said {
			if !there[key] {
				t.Errorf("%s was confirmed and is lost", key)
			}
		}
		if n := len(files(t, root)); n != len(there) || len(said) < 20 {
			t.Errorf("%d files, %d bodies, %d confirmed", n, len(there), len(said))
		}
	}
}
