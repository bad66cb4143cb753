package grpcbridge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// mediaClient is the plugin's end of the media socket.
type mediaClient struct {
	http *http.Client
}

// newMediaClient makes a connection for each transfer: on a kept one net/http
// would repeat a request that failed, and its token is for once.
func newMediaClient(socket string) *mediaClient {
	transport := unixTransport(socket)
	transport.DisableKeepAlives = true
	return &mediaClient{http: &http.Client{Transport: transport}}
}

// unixTransport is HTTP over one unix socket.
func unixTransport(socket string) *http.Transport {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dialUnix(ctx, socket) },
		MaxIdleConnsPerHost: 4,
		DisableCompression:  true,
	}
}

func (m *mediaClient) close() { m.http.CloseIdleConnections() }

func (m *mediaClient) upload(ctx context.Context, token string, info *pb.Media, body io.Reader) (*pb.Media, error) {
	resp, err := m.put(ctx, "/upload/"+token, info.GetType(), info.GetSize(), body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out pb.Media
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, sdk.RetryAfter(0, fmt.Errorf("upload: %w", err))
	}
	if err := protojson.Unmarshal(raw, &out); err != nil {
		return nil, sdk.RetryAfter(0, fmt.Errorf("upload: %w", err))
	}
	return &out, nil
}

// push sends the bytes of a file that the host asked for.
func (m *mediaClient) push(ctx context.Context, token string, c sdk.MediaContent) error {
	resp, err := m.put(ctx, "/fetch/"+token, c.Type, contentLength(c), c.Body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (m *mediaClient) put(ctx context.Context, path, mediaType string, size int64, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://host"+path, io.NopCloser(body))
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	return m.do(req)
}

// open reads a file of the host's.
func (m *mediaClient) open(ctx context.Context, token string) (sdk.MediaContent, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://host/open/"+token, nil)
	if err != nil {
		return sdk.MediaContent{}, err
	}
	resp, err := m.do(req) //nolint:bodyclose // its body is given to the caller
	if err != nil {
		return sdk.MediaContent{}, err
	}
	return readHead(resp), nil
}

func (m *mediaClient) do(req *http.Request) (*http.Response, error) {
	resp, err := m.http.Do(req)
	if err != nil {
		return nil, sdk.RetryAfter(0, fmt.Errorf("media socket: %w", err))
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var e pb.Error
	if protojson.Unmarshal(raw, &e) != nil {
		return nil, &sdk.Error{Code: sdk.CodeProtocol, Temporary: true, Err: fmt.Errorf("media socket: %s", resp.Status)}
	}
	return nil, fromPBError(&e)
}
