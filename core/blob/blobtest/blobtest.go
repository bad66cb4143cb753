// Package blobtest is what every store of core/blob must pass, whatever keeps the bodies.
//
// What it is not: a test of what only one store can do wrong (a disk that is full, a bucket that answers 503); those stand with the store.
//
// Goroutines: those of the tests, which end with them.
//
//	func TestStore(t *testing.T) { blobtest.Run(t, func(t *testing.T) blob.Store { … }) }
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/blob"
)

// Run runs the suite; open returns an empty store for each test.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s blob.Store)
	}{
		{"what is put can be read", putAndRead},
		{"any part can be read", seek},
		{"a claim that refuses keeps nothing", refusedClaim},
		{"a reader that fails keeps nothing", brokenReader},
		{"a context that ends keeps nothing", endedContext},
		{"the same bytes are one body", sameBytes},
		{"deleted is gone", deleted},
		{"keys are checked", badKeys},
		{"walk goes in order and from anywhere", walk},
		{"many at once", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// KeyOf returns the key of some bytes.
func KeyOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Body returns n bytes that are not all alike; seed makes them differ.
func Body(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i) ^ seed
	}
	return b
}

// Put puts a body and returns its key.
func Put(t testing.TB, s blob.Store, body []byte) string {
	t.Helper()
	var got string
	err := s.Put(context.Background(), bytes.NewReader(body), func(key string, size int64) error {
		if size != int64(len(body)) {
			t.Errorf("claimed with size %d of %d", size, len(body))
		}
		got = key
		return nil
	})
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if got != KeyOf(body) {
		t.Fatalf("key %s, want %s", got, KeyOf(body))
	}
	return got
}

// Read returns a body.
func Read(t testing.TB, s blob.Store, key string) []byte {
	t.Helper()
	f, size, err := s.Open(context.Background(), key)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatalf("read: %v", err)
	}
	if int64(len(b)) != size {
		t.Fatalf("%d bytes, and %d were promised", len(b), size)
	}
	return b
}

// Keys returns the keys that a walk shows.
func Keys(t testing.TB, s blob.Store, after string) []string {
	t.Helper()
	var out []string
	err := s.Walk(context.Background(), after, func(key string, _ int64, _ time.Time) error {
		out = append(out, key)
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return out
}

func missing(t *testing.T, s blob.Store, key string) {
	t.Helper()
	f, _, err := s.Open(context.Background(), key)
	if err == nil {
		_ = f.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of what is not there: %v", err)
	}
}

func accept(string, int64) error { return nil }

func putAndRead(t *testing.T, s blob.Store) {
	missing(t, s, KeyOf(nil))
	for _, n := range []int{0, 1, 1000, 1 << 20, 3<<20 + 7} {
		body := Body(n, byte(n))
		if got := Read(t, s, Put(t, s, body)); !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back changed", n)
		}
	}
}

func seek(t *testing.T, s blob.Store) {
	body := Body(100_000, 3)
	key := Put(t, s, body)
	f, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	for _, c := range []struct {
		offset int64
		whence int
		at     int64
	}{{5000, io.SeekStart, 5000}, {-10, io.SeekEnd, 99_990}, {0, io.SeekEnd, 100_000}, {17, io.SeekStart, 17}, {-3, io.SeekCurrent, 24}} {
		at, err := f.Seek(c.offset, c.whence)
		if err != nil || at != c.at {
			t.Fatalf("seek %d from %d: %d, %v; want %d", c.offset, c.whence, at, err, c.at)
		}
		want := body[at:min(at+10, int64(len(body)))]
		got := make([]byte, len(want))
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("10 bytes from %d: %v, %v", at, got, err)
		}
		if len(want) == 0 {
			if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("read at the end: %d, %v", n, err)
			}
		}
	}
	if at, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Errorf("a seek before the start went to %d", at)
	}
}

func refusedClaim(t *testing.T, s blob.Store) {
	no := errors.New("no")
	body := Body(1000, 5)
	if err := s.Put(t.Context(), bytes.NewReader(body), func(string, int64) error { return no }); !errors.Is(err, no) {
		t.Errorf("put: %v", err)
	}
	missing(t, s, KeyOf(body))
	if k := Keys(t, s, ""); len(k) > 0 {
		t.Errorf("the store has %v", k)
	}
}

func brokenReader(t *testing.T, s blob.Store) {
	broken := errors.New("broken")
	err := s.Put(t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), func(string, int64) error {
		t.Error("claimed")
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	missing(t, s, KeyOf([]byte("half")))
}

func endedContext(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), strings.NewReader("more"))
	if err := s.Put(ctx, r, accept); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if k := Keys(t, s, ""); len(k) > 0 {
		t.Errorf("the store has %v", k)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func sameBytes(t *testing.T, s blob.Store) {
	body := Body(2000, 9)
	Put(t, s, body)
	key := Put(t, s, body)
	if got := Read(t, s, key); !bytes.Equal(got, body) {
		t.Error("the body is changed")
	}
	if k := Keys(t, s, ""); !slices.Equal(k, []string{key}) {
		t.Errorf("the store has %v", k)
	}
}

func deleted(t *testing.T, s blob.Store) {
	key, other := Put(t, s, Body(10, 1)), Put(t, s, Body(10, 2))
	for range 2 { // the second finds nothing
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	missing(t, s, key)
	Read(t, s, other)
	if got := Put(t, s, Body(10, 1)); len(Read(t, s, got)) != 10 {
		t.Error("it cannot be put again")
	}
}

func badKeys(t *testing.T, s blob.Store) {
	good := Put(t, s, Body(10, 1))
	for _, key := range []string{"", "x", "../../etc/passwd", strings.ToUpper(good), good + "0", good[:63] + "/", "../" + good[3:], good[:62] + "..", good[:63] + "\x00"} {
		if f, _, err := s.Open(t.Context(), key); err == nil {
			_ = f.Close()
			t.Errorf("%q was opened", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("%q was deleted", key)
		}
	}
	Read(t, s, good)
}

func walk(t *testing.T, s blob.Store) {
	var keys []string
	for i := range 30 {
		keys = append(keys, Put(t, s, Body(100+i, byte(i))))
	}
	slices.Sort(keys)
	if got := Keys(t, s, ""); !slices.Equal(got, keys) {
		t.Errorf("walk shows %d keys: %v", len(got), got)
	}
	if got := Keys(t, s, keys[11]); !slices.Equal(got, keys[12:]) {
		t.Errorf("walk behind a key shows %d keys", len(got))
	}
	if got := Keys(t, s, "8"); !slices.IsSorted(got) || len(got) == 30 && keys[0] < "8" {
		t.Errorf("walk behind a part of a key shows %d", len(got))
	}
	stop := errors.New("stop")
	n := 0
	err := s.Walk(t.Context(), "", func(_ string, size int64, written time.Time) error {
		if n++; size < 100 || size >= 130 || written.IsZero() {
			t.Errorf("a body of %d bytes, written %v", size, written)
		}
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("walk ended after %d: %v", n, err)
	}
}

func concurrent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			body := Body(50_000, byte(i%4)) // each four times
			if err := s.Put(t.Context(), bytes.NewReader(body), accept); err != nil {
				t.Errorf("put: %v", err)
				return
			}
			if got := Read(t, s, KeyOf(body)); !bytes.Equal(got, body) {
				t.Error("the body is changed")
			}
		})
	}
	wg.Wait()
	if n := len(Keys(t, s, "")); n != 4 {
		t.Errorf("the store has %d bodies", n)
	}
}
