package grpcbridge

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"time"
)

// pluginHTTP is the plugin's socket for what arrives under /bridge/NAME/.
type pluginHTTP struct {
	path   string
	server *http.Server
	done   chan struct{}
}

func newPluginHTTP(dir string, h http.Handler, log *slog.Logger) (*pluginHTTP, error) {
	path := filepath.Join(dir, "http-"+randomName(6)+".sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	p := &pluginHTTP{path: path, done: make(chan struct{})}
	p.server = &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleLimit,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(peerListener{l})
	}()
	return p, nil
}

func (p *pluginHTTP) close() {
	_ = p.server.Close()
	<-p.done
}

// newProxy passes requests on to a plugin's socket. The path is the plugin's own
// already; the addresses of the client and of the server as the client saw it are
// added as X-Forwarded-* headers, whatever the client claimed.
func newProxy(socket string, log *slog.Logger) (*httputil.ReverseProxy, func()) {
	transport := unixTransport(socket)
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = "plugin"
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			log.Debug("http to the bridge failed", "error", err)
			http.Error(w, "the bridge is away", http.StatusServiceUnavailable)
		},
	}
	return proxy, transport.CloseIdleConnections
}
