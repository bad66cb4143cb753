package grpcbridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// closing tells when a body is closed.
type closing struct {
	io.Reader
	closed chan struct{}
}

func (c closing) Close() error { close(c.closed); return nil }

// file is a content with a range cut out of data.
func file(data []byte, r sdk.Range) (sdk.MediaContent, chan struct{}) {
	part := data[r.Offset:]
	if r.Length > 0 {
		part = part[:r.Length]
	}
	closed := make(chan struct{})
	return sdk.MediaContent{
		Body: closing{bytes.NewReader(part), closed}, Type: "image/png", Name: "ä b.png", Size: int64(len(data)), Range: r,
	}, closed
}

func TestUpload(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	host := newFakeHost()
	host.uploads = func(_ context.Context, info sdk.Media, body io.Reader) (sdk.Media, error) {
		got, err := io.ReadAll(body)
		if err != nil {
			return sdk.Media{}, sdk.Refuse(sdk.CodeInvalid, "broken body: %v", err)
		}
		if string(got) == "virus" {
			return sdk.Media{}, sdk.Refuse(sdk.CodeBlocked, "not wanted")
		}
		if !bytes.Equal(got, data) {
			return sdk.Media{}, errors.New("other bytes")
		}
		info.ID = "stored"
		return info, nil
	}
	r := newRig(t, rigOptions{host: host})
	for _, size := range []int64{int64(len(data)), -1} {
		m, err := r.remote.Upload(t.Context(), sdk.Media{Name: "f", Type: "image/png", Size: size}, bytes.NewReader(data))
		if err != nil || m.ID != "stored" || m.Type != "image/png" {
			t.Errorf("size %d: %+v, %v", size, m, err)
		}
	}
	if _, err := r.remote.Upload(t.Context(), sdk.Media{Size: 5}, strings.NewReader("virus")); codeOf(err) != sdk.CodeBlocked {
		t.Errorf("refusal: %v", err)
	}
	for name, announced := range map[string]int64{"fewer": 20, "more": 5} {
		if m, err := r.remote.Upload(t.Context(), sdk.Media{Size: announced}, strings.NewReader("0123456789")); err == nil {
			t.Errorf("%s bytes than announced: %+v", name, m)
		}
	}
}

func TestOpen(t *testing.T) {
	data := []byte("0123456789")
	host := newFakeHost()
	host.opens = func(_ context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
		if req.ID == "gone" {
			return sdk.MediaContent{}, sdk.ErrNotFound
		}
		c, _ := file(data, req.Range)
		if req.ID == "endless" {
			c.Size = -1
		}
		if req.ID == "torn" {
			c.Size = 20
		}
		return c, nil
	}
	r := newRig(t, rigOptions{host: host})
	for _, tc := range []struct {
		name string
		req  sdk.MediaRequest
		want string
		size int64
	}{
		{"whole", sdk.MediaRequest{ID: "f"}, "0123456789", 10},
		{"a range", sdk.MediaRequest{ID: "f", Range: sdk.Range{Offset: 2, Length: 3}}, "234", 10},
		{"to the end", sdk.MediaRequest{ID: "f", Range: sdk.Range{Offset: 8}}, "89", 10},
		{"of unknown size, but short", sdk.MediaRequest{ID: "endless"}, "0123456789", 10},
		{"a range of unknown size", sdk.MediaRequest{ID: "endless", Range: sdk.Range{Offset: 4}}, "456789", -1},
	} {
		c, err := r.remote.Open(t.Context(), tc.req)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got, err := io.ReadAll(c.Body)
		_ = c.Body.Close()
		if err != nil || string(got) != tc.want || c.Size != tc.size || c.Type != "image/png" || c.Name != "ä b.png" || c.Range.Offset != tc.req.Range.Offset {
			t.Errorf("%s: %q %+v %v", tc.name, got, c, err)
		}
	}
	if _, err := r.remote.Open(t.Context(), sdk.MediaRequest{ID: "gone"}); !errors.Is(err, sdk.ErrNotFound) {
		t.Error(err)
	}
	if c, err := r.remote.Open(t.Context(), sdk.MediaRequest{ID: "torn"}); err == nil {
		if got, err := io.ReadAll(c.Body); err == nil {
			t.Errorf("a torn file read as whole: %q", got)
		}
		_ = c.Body.Close()
	}
}

func TestFetch(t *testing.T) {
	data := bytes.Repeat([]byte("abcdefghij"), 300_000)
	bridge := newFakeBridge()
	closed := make(chan chan struct{}, 10)
	bridge.media = func(_ context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
		switch req.ID {
		case "gone":
			return sdk.MediaContent{}, sdk.Refuse(sdk.CodeNotFound, "expired")
		case "panic":
			panic("oops")
		}
		c, done := file(data, req.Range)
		if req.ID == "short" {
			c.Size++
		}
		if req.ID == "unknown" {
			c.Size = -1
		}
		closed <- done
		return c, nil
	}
	r := newRig(t, rigOptions{bridge: bridge})
	for _, tc := range []struct {
		name string
		req  sdk.MediaRequest
		want []byte
		size int64
	}{
		{"whole", sdk.MediaRequest{ID: "f"}, data, int64(len(data))},
		{"a range", sdk.MediaRequest{ID: "f", Range: sdk.Range{Offset: 10, Length: 5}}, []byte("abcde"), int64(len(data))},
		{"of unknown size", sdk.MediaRequest{ID: "unknown"}, data, -1},
	} {
		c, err := r.client.FetchMedia(t.Context(), tc.req)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		got, err := io.ReadAll(c.Body)
		if err != nil || !bytes.Equal(got, tc.want) || c.Size != tc.size || c.Range != tc.req.Range || c.Type != "image/png" {
			t.Errorf("%s: %d bytes, %+v, %v", tc.name, len(got), c, err)
		}
		_ = c.Body.Close()
		<-<-closed
	}
	if _, err := r.client.FetchMedia(t.Context(), sdk.MediaRequest{ID: "gone"}); codeOf(err) != sdk.CodeNotFound {
		t.Error(err)
	}
	if _, err := r.client.FetchMedia(t.Context(), sdk.MediaRequest{ID: "panic"}); err == nil {
		t.Error("a panic is a file")
	}
	c, err := r.client.FetchMedia(t.Context(), sdk.MediaRequest{ID: "short"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c.Body); err == nil {
		t.Error("a short file read as whole")
	}
	_ = c.Body.Close()
	<-<-closed
	// Whoever stops reading stops the transfer, and the source is closed.
	c, err = r.client.FetchMedia(t.Context(), sdk.MediaRequest{ID: "f"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_ = c.Body.Close()
	<-<-closed
	// So does a caller whose context ends.
	ctx, cancel := context.WithCancel(t.Context())
	c, err = r.client.FetchMedia(ctx, sdk.MediaRequest{ID: "f"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, c.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}
	_ = c.Body.Close()
	<-<-closed
	if n := len(r.client.media.tokens); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
}

func TestATokenIsForOneTransfer(t *testing.T) {
	host := newFakeHost()
	host.opens = func(_ context.Context, req sdk.MediaRequest) (sdk.MediaContent, error) {
		c, _ := file([]byte("x"), req.Range)
		return c, nil
	}
	r := newRig(t, rigOptions{host: host})
	token, err := r.client.media.expectOpen(host, sdk.MediaRequest{ID: "f"})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: unixTransport(r.client.media.path)}
	defer client.CloseIdleConnections()
	status := func(method, path string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://host"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/open/" + strings.Repeat("0", 48), 404},
		{"PUT", "/fetch/" + token, 404}, // another kind of transfer
		{"PUT", "/open/" + token, 405},
		{"GET", "/open/" + token, 200},
		{"GET", "/open/" + token, 404},
		{"GET", "/", 404},
	} {
		if got := status(tc.method, tc.path); got != tc.want {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, got, tc.want)
		}
	}
	if info, err := os.Stat(r.client.media.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestTooManyTransfers(t *testing.T) {
	r := newRig(t, rigOptions{})
	for range transfersAtATime {
		if _, err := r.client.media.expectOpen(r.host, sdk.MediaRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.client.media.expectOpen(r.host, sdk.MediaRequest{}); codeOf(err) != sdk.CodeRateLimited {
		t.Fatal(err)
	}
}

func TestRanges(t *testing.T) {
	for h, want := range map[string]sdk.Range{
		"bytes=0-": {}, "bytes=5-": {Offset: 5}, "bytes=5-9": {Offset: 5, Length: 5},
	} {
		if got, ok := parseRange(h); !ok || got != want {
			t.Errorf("%s: %+v", h, got)
		}
	}
	for _, h := range []string{"", "bytes", "bytes=-5", "bytes=5", "bytes=9-5", "bytes=a-b", "items=1-2", "bytes=1-2,4-5"} {
		if got, ok := parseRange(h); ok {
			t.Errorf("%q is %+v", h, got)
		}
	}
}

func TestPeerIsUs(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := dialUnix(t.Context(), path)
		if err == nil {
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	}()
	conn, err := peerListener{l}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if uid, err := peerUID(conn.(*net.UnixConn)); err != nil || uid != os.Getuid() && uid != -1 {
		t.Fatal(uid, err)
	}
	if _, err := dialUnix(t.Context(), path+"x"); err == nil {
		t.Fatal("connected to nothing")
	}
}
