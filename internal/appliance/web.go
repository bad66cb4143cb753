package appliance

import (
	"context"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/httpd"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/transport/websocket"
)

// Keys of the listeners of HTTP for everybody.
const (
	keyHTTP  = "listen.http"
	keyHTTPS = "listen.https"
)

// webStop is how long uploads and downloads may go on when the server stops.
const webStop = 5 * time.Second

// startWeb opens what programs of people reach by HTTP: files, streams over WebSocket, and where these are. The core runs.
func (a *Appliance) startWeb(ctx context.Context) error {
	c := a.config
	a.web = httpd.New(a.log)
	a.web.SetPerIP(c.Limits.HTTPPerIP())
	m := &httpd.Mux{}
	if a.files.upload != nil {
		m.Handle(upload.Path, httpd.Public, a.files.upload)
	}
	a.mountBridges(m)
	m.Handle("GET "+websocket.Path, httpd.Public,
		websocket.Handler(websocket.Options{Carry: a.core.Listeners().Carry, Serve: a.core.C2S().Serve, Limits: c.Limits.WithDefaults().XMLLimits(), Log: a.log}))
	if url, ok := strings.CutPrefix(c.WebURL(), "http"); ok { // https becomes wss
		httpd.HostMeta{WebSocket: "ws" + strings.TrimSuffix(url, "/") + websocket.Path}.Register(m)
	}
	if err := a.web.Listen(ctx, keyHTTP, c.Listen.HTTP, nil, m); err != nil {
		return err
	}
	return a.web.Listen(ctx, keyHTTPS, c.Listen.HTTPS, a.certs.Config(tlscert.HTTPS), m)
}

// stopWeb ends uploads and downloads, before the core that they need.
func (a *Appliance) stopWeb(ctx context.Context) error {
	if a.web == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, webStop)
	defer cancel()
	return a.web.Stop(ctx)
}
