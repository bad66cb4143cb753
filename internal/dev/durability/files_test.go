package durability

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/internal/dev/programtest"
)

const (
	webURL = "https://" + domain
	// halfSize is the size of a file of which only half is sent.
	halfSize = 512 << 10
)

// uploader uploads one file after the other, each once.
type uploader struct {
	name  string
	next  int
	acked []upload // answered with 201
	open  []upload // not answered
}

type upload struct {
	get   string
	token string
}

// body is what the file has: from 1 byte to 64 KiB, and every eighth up to 1 MiB. Who knows the token knows it.
func (u upload) body() []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(u.token))            // it never fails
	rng := rand.New(rand.NewPCG(h.Sum64(), 2)) //nolint:gosec // no secret
	size := 1 + rng.IntN(64<<10)
	if rng.IntN(8) == 0 {
		size *= 16
	}
	return noise(h.Sum64(), size)
}

func noise(seed uint64, size int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return b
}

// web is a client that trusts the server's own authority, and finds the server at the port it has this time.
func (s *services) web(srv *programtest.Server) *http.Client {
	s.t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.site.Dir, "data", "tls", "ca.crt"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		s.t.Fatal("the authority has no certificate")
	}
	var d net.Dialer
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, srv.HTTPS)
		},
	}}
}

// slot asks for a slot (XEP-0363 §4).
func (u *uploader) slot(ctx context.Context, c *Client, token string, size int) (put, get string, err error) {
	n, err := c.Ask(ctx, token, fmt.Sprintf("<iq type='get' id='%s' to='upload.%s'><request xmlns='%s' filename='%s.bin' size='%d'/></iq>", token, domain, ns.Upload, token, size))
	if err != nil {
		return "", "", err
	}
	slot := n.Child(ns.Upload, "slot")
	if slot == nil || slot.Child(ns.Upload, "put") == nil || slot.Child(ns.Upload, "get") == nil {
		return "", "", fmt.Errorf("%w: no slot: %s", errRefused, n)
	}
	return slot.Child(ns.Upload, "put").Attr("url"), slot.Child(ns.Upload, "get").Attr("url"), nil
}

// put sends a file and returns the status of the answer.
func put(ctx context.Context, web *http.Client, url string, r io.Reader, size int) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, r)
	if err != nil {
		return 0, err
	}
	req.ContentLength = int64(size)
	resp, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// upload uploads files until the connection ends.
func (s *services) upload(u *uploader, addr string, web *http.Client, progress func()) {
	c, _, err := Dial(s.ctx, addr, u.name, domain, password, "u", "", 0)
	if err != nil {
		return // killed while logging in
	}
	defer c.Ended(s.ctx)
	for {
		up := upload{token: body(u.name, u.next)}
		u.next++
		b := up.body()
		url, get, err := u.slot(s.ctx, c, up.token, len(b))
		if err != nil {
			if errors.Is(err, errRefused) {
				s.t.Error(err)
			}
			return
		}
		up.get = get
		status, err := put(s.ctx, web, url, bytes.NewReader(b), len(b))
		switch {
		case err != nil:
			u.open = append(u.open, up)
			return
		case status != http.StatusCreated:
			s.t.Errorf("PUT %s: %d", up.token, status)
			return
		}
		u.acked = append(u.acked, up)
		s.uploaded.Add(1)
		progress()
	}
}

// hang sends the first half of a file and no more; begun is closed when it is on its way.
func (s *services) hang(u *uploader, addr string, web *http.Client, begun chan<- struct{}) {
	c, _, err := Dial(s.ctx, addr, u.name, domain, password, "u", "", 0)
	if err != nil {
		close(begun)
		s.t.Errorf("%s: %v", u.name, err)
		return
	}
	defer c.Ended(s.ctx)
	up := upload{token: body(u.name, u.next)}
	u.next++
	url, get, err := u.slot(s.ctx, c, up.token, halfSize)
	if err != nil {
		close(begun)
		s.t.Error(err)
		return
	}
	up.get = get
	u.open = append(u.open, up)
	r, w := io.Pipe()
	go func() {
		defer close(begun)
		_, _ = w.Write(noise(uint64(u.next), halfSize/2)) // it ends with the request
	}()
	if status, err := put(s.ctx, web, url, r, halfSize); err == nil {
		s.t.Errorf("half a file was answered: %d", status)
	}
}

// get reads a file; nil if there is none.
func (s *services) get(ctx context.Context, web *http.Client, up upload) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, up.get, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := web.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		s.t.Errorf("GET %s: %v", up.token, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil
	case resp.StatusCode != http.StatusOK:
		s.t.Errorf("GET %s: %d", up.token, resp.StatusCode)
	}
	return b
}

// judgeFiles reads all files: what was answered with 201 is there, what was not is there whole or not at all, and of what was half sent there is nothing.
func (s *services) judgeFiles(ctx context.Context, srv *programtest.Server) {
	web := s.web(srv)
	defer web.CloseIdleConnections()
	acked, whole := 0, 0
	for _, u := range s.uploaders {
		acked += len(u.acked)
		for _, up := range u.acked {
			if got := s.get(ctx, web, up); !bytes.Equal(got, up.body()) {
				s.t.Errorf("lost: %s was answered with 201 and has %d bytes that are not what was sent", up.token, len(got))
			}
		}
		for _, up := range u.open {
			got := s.get(ctx, web, up)
			if got != nil && !bytes.Equal(got, up.body()) {
				s.t.Errorf("half: %s was not answered and has %d bytes that are not what was sent", up.token, len(got))
			}
			if got != nil {
				whole++
			}
		}
	}
	for _, up := range s.halfway.open {
		if got := s.get(ctx, web, up); got != nil {
			s.t.Errorf("half: %s was half sent and %d bytes are served", up.token, len(got))
		}
	}
	s.t.Logf("files: %d answered with 201, %d not answered and there; %d bodies, %d unfinished ones were left by kills and removed",
		acked, whole, len(s.bodies.whole), s.bodies.unfinished)
	if s.bodies.unfinished == 0 {
		s.t.Error("no kill came while a body was being written: that proves little")
	}
	if len(s.bodies.whole) < acked+whole {
		s.t.Errorf("%d bodies for %d files", len(s.bodies.whole), acked+whole)
	}
}

// bodies looks at the folder of the files from outside.
type bodies struct {
	root       string
	whole      map[string]bool // names whose bodies were found whole
	unfinished int             // found in tmp after kills
}

func newBodies(site *programtest.Site) *bodies {
	return &bodies{root: filepath.Join(site.Dir, "data", "files"), whole: map[string]bool{}}
}

func (b *bodies) walk(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fn(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countUnfinished counts what a killed server was writing.
func (b *bodies) countUnfinished(t *testing.T) {
	t.Helper()
	b.walk(t, func(path string) {
		if filepath.Base(filepath.Dir(path)) == "tmp" {
			b.unfinished++
		}
	})
}

// check: after a start every file of the folder is what its name says, and there is no other.
func (b *bodies) check(t *testing.T) {
	t.Helper()
	b.walk(t, func(path string) {
		name := filepath.Base(path)
		if b.whole[name] {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			return
		}
		if sum := sha256.Sum256(data); fmt.Sprintf("%x", sum) != name {
			t.Errorf("after a start %s has %d bytes that are not the body of its name", path, len(data))
			return
		}
		b.whole[name] = true
	})
}
