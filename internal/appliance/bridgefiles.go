package appliance

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway/files"
	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/httpd"
)

// Files of bridges, and what plugins serve by HTTP: one path, "/bridge/NAME/…", on the listeners of people's programs.

// bridgeFiles are the files of bridged rooms; nil if files cannot be shared at all.
func bridgeFiles(c *configs.Config) (*files.Files, error) {
	url := c.UploadURL()
	if url == "" || len(c.Bridges) == 0 {
		return nil, nil
	}
	f, err := files.New(files.Options{PublicURL: url, MaxBytes: int64(c.Upload.MaxBytes)})
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	return f, nil
}

// pluginURL is where a network reaches a bridge's plugin; "" if the operator named no public address.
func pluginURL(c *configs.Config, bridge string) string {
	if c.PublicURL == "" || len(c.Listen.HTTP)+len(c.Listen.HTTPS) == 0 {
		return ""
	}
	return strings.TrimSuffix(c.PublicURL, "/") + files.Path + bridge + "/"
}

// startBridgeFiles makes links of bridged files work; the core runs.
func (a *Appliance) startBridgeFiles(ctx context.Context) error {
	f := a.bridges.files
	if f == nil || a.files.upload == nil {
		return nil
	}
	key, err := a.core.DeriveKey("bridged files")
	if err != nil {
		return fmt.Errorf("bridged files: %w", err)
	}
	return f.Start(ctx, files.Deps{Store: a.files.upload, Source: a.bridges.gw, Rows: a.store.Table(files.Table), Journal: a.core.Journal(), Key: key, Log: a.log})
}

// mountBridges serves bridged files, and passes the rest of "/bridge/" on to the plugins.
func (a *Appliance) mountBridges(m *httpd.Mux) {
	if len(a.config.Bridges) == 0 {
		return
	}
	m.Handle(files.Path, httpd.Public, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := a.bridges.files; f != nil && files.Serves(r.URL.Path) {
			f.ServeHTTP(w, r)
			return
		}
		a.bridges.gw.ServePlugin(w, r)
	}))
}
