package s3

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/blob"
	"github.com/viaduct-xmpp/viaduct/core/blob/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(t *testing.T, f *fake) Options {
	return Options{Endpoint: f.srv.URL, Region: fakeRegion, Bucket: fakeBucket, AccessKey: fakeID, SecretKey: fakeSecret,
		Spool: filepath.Join(t.TempDir(), "spool"), Retries: 2}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	for name, prefix := range map[string]string{"whole bucket": "", "prefix": "chat/files/"} {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blob.Store {
				f := newFake(t)
				f.objects["another/object"] = []byte("of somebody else")
				o := options(t, f)
				o.Prefix = prefix
				t.Cleanup(func() {
					if _, ok := f.objects["another/object"]; !ok {
						t.Error("an object that is no body is gone")
					}
					if left, err := os.ReadDir(o.Spool); err != nil || len(left) > 0 {
						t.Errorf("the spool has %v, %v", left, err)
					}
				})
				return open(t, o)
			})
		})
	}
}

func TestCheck(t *testing.T) {
	f := newFake(t)
	good := options(t, f)
	if err := open(t, good).Check(t.Context()); err != nil {
		t.Errorf("a good bucket: %v", err)
	}
	for name, change := range map[string]func(o *Options){
		"secret": func(o *Options) { o.SecretKey = "wrong" },
		"id":     func(o *Options) { o.AccessKey = "wrong" },
		"bucket": func(o *Options) { o.Bucket = "other" },
	} {
		o := good
		change(&o)
		s := open(t, o)
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("wrong %s: no error", name)
		}
		if err := s.Put(t.Context(), strings.NewReader("x"), func(string, int64) error { return nil }); err == nil {
			t.Errorf("wrong %s: put is accepted", name)
		}
	}
	for _, endpoint := range []string{"", "s3.example.net", "ftp://s3.example.net", "https://s3.example.net/path"} {
		o := good
		o.Endpoint = endpoint
		if _, err := Open(o); err == nil {
			t.Errorf("endpoint %q is accepted", endpoint)
		}
	}
}

// A body that is there already is not sent again.
func TestSameBytesAreSentOnce(t *testing.T) {
	f := newFake(t)
	s := open(t, options(t, f))
	for range 3 {
		blobtest.Put(t, s, blobtest.Body(1000, 1))
	}
	if n := f.count("PUT"); n != 1 {
		t.Errorf("%d puts", n)
	}
}

// firstTimes makes the first n requests of a method fail.
func firstTimes(n int, method string, fail func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	left := make(chan struct{}, n)
	for range n {
		left <- struct{}{}
	}
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method {
			return false
		}
		select {
		case <-left:
			_, _ = io.Copy(io.Discard, r.Body)
			fail(w)
			return true
		default:
			return false
		}
	}
}

func status(code int, name string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { s3error(w, code, name) }
}

func reset(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestFaults(t *testing.T) {
	body := blobtest.Body(100_000, 4)
	for _, c := range []struct {
		name   string
		method string
		times  int
		fail   func(http.ResponseWriter)
		works  bool
	}{
		{"500 once", "PUT", 1, status(500, "InternalError"), true},
		{"503 once", "PUT", 1, status(503, "SlowDown"), true},
		{"reset once", "PUT", 1, reset, true},
		{"500 for ever", "PUT", 9, status(500, "InternalError"), false},
		{"reset for ever", "PUT", 9, reset, false},
		{"403", "PUT", 1, status(403, "AccessDenied"), false},
		{"head 503 once", "HEAD", 1, status(503, "SlowDown"), true},
		{"head 403", "HEAD", 9, status(403, "AccessDenied"), false},
	} {
		t.Run("put "+c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			s := open(t, options(t, f))
			f.set(firstTimes(c.times, c.method, c.fail))
			err := s.Put(t.Context(), bytes.NewReader(body), func(string, int64) error { return nil })
			if (err == nil) != c.works {
				t.Fatalf("put: %v", err)
			}
			f.set(nil)
			if c.works {
				if got := blobtest.Read(t, s, blobtest.KeyOf(body)); !bytes.Equal(got, body) {
					t.Error("the body is changed")
				}
			} else if _, _, err := s.Open(t.Context(), blobtest.KeyOf(body)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was refused is there: %v", err)
			}
			if left, err := os.ReadDir(s.o.Spool); err != nil || len(left) > 0 {
				t.Errorf("the spool has %v, %v", left, err)
			}
		})
	}
}

// head sets what the answer to a GetObject has.
func head(w http.ResponseWriter, size string) {
	w.Header().Set("Content-Length", size)
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
}

// A download whose connection breaks goes on where it was.
func TestReadGoesOn(t *testing.T) {
	f := newFake(t)
	s := open(t, options(t, f))
	body := blobtest.Body(300_000, 4)
	key := blobtest.Put(t, s, body)
	half := func(w http.ResponseWriter) {
		head(w, "300000")
		_, _ = w.Write(body[:100_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	f.set(firstTimes(1, "GET", half))
	if got := blobtest.Read(t, s, key); !bytes.Equal(got, body) {
		t.Error("the body is changed")
	}
	if r := f.asked(); len(r) != 3 || !strings.HasPrefix(r[2], "bytes=") || r[2] == "bytes=0-" {
		t.Errorf("ranges %q", r)
	}
	f.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	o, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close() //nolint:errcheck // read only
	if n, err := o.Read(make([]byte, 10)); err == nil || n > 0 {
		t.Errorf("read of what always breaks: %d, %v", n, err)
	}
}

// A store that hangs is not waited for.
func TestSlow(t *testing.T) {
	f := newFake(t)
	o := options(t, f)
	o.Timeout, o.Retries = 100*time.Millisecond, 1
	s := open(t, o)
	key := blobtest.Put(t, s, blobtest.Body(1000, 1))
	for _, begins := range []bool{false, true} {
		f.set(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			if begins {
				head(w, "1000")
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done() // until the client gives up
			return true
		})
		body, _, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := body.Read(make([]byte, 10)); err == nil || n > 0 {
			t.Errorf("read: %d, %v", n, err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.count("GET") < maxBreaks {
		t.Errorf("requests: %v", f.seen)
	}
}

func TestListFails(t *testing.T) {
	f := newFake(t)
	s := open(t, options(t, f))
	for i := range 20 { // three pages
		blobtest.Put(t, s, blobtest.Body(10, byte(i)))
	}
	f.set(nil)
	keys := blobtest.Keys(t, s, "")
	if n := f.count("GET"); n != 3 || len(keys) != 20 || !slices.IsSorted(keys) {
		t.Errorf("%d keys with %d requests", len(keys), n)
	}
	f.set(firstTimes(9, "GET", status(403, "AccessDenied")))
	if err := s.Walk(t.Context(), "", func(string, int64, time.Time) error { return nil }); err == nil {
		t.Error("a listing that is refused is no error")
	}
}
