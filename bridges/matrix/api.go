package matrix

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"
)

// homeserver makes requests to the homeserver as any user of the bridge.
// It retries nothing: order and pauses are the host's to keep.
type homeserver struct {
	base    *url.URL
	token   string
	client  *http.Client
	timeout time.Duration
	log     *slog.Logger
}

func newHomeserver(c Config, token string, transport http.RoundTripper, log *slog.Logger) (*homeserver, error) {
	base, err := mautrix.ParseAndNormalizeBaseURL(c.Homeserver)
	if err != nil {
		return nil, err
	}
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 16
		t.MaxConnsPerHost = 64
		transport = t
	}
	return &homeserver{base: base, token: token, client: &http.Client{Transport: transport}, timeout: time.Duration(c.Timeout), log: log}, nil
}

// as gives the API as a user.
func (h *homeserver) as(user id.UserID) *mautrix.Client {
	return &mautrix.Client{
		HomeserverURL: h.base, UserID: user, AccessToken: h.token, UserAgent: "viaduct-matrix",
		Client: h.client, SetAppServiceUserID: true, IgnoreRateLimit: true,
		ResponseSizeLimit: 128 << 20,
		ResponseHook: func(req *http.Request, resp *http.Response, err error, took time.Duration) {
			status := 0
			if resp != nil {
				status = resp.StatusCode
			}
			h.log.Debug("request to the homeserver", "method", req.Method, "path", req.URL.Path, "as", string(user), "status", status, "took", took, "failed", err != nil)
		},
	}
}

// limited bounds one request, within ctx.
func (h *homeserver) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, h.timeout)
}

// close drops idle connections.
func (h *homeserver) close() { h.client.CloseIdleConnections() }
