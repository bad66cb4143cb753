package appliance

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/blob/dir"
	"github.com/viaduct-xmpp/viaduct/core/blob/s3"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/extdisco"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/turn"
)

// fileServices is what serves files and calls.
type fileServices struct {
	upload *upload.Module // nil: files cannot be shared
	bucket *s3.Store      // nil: they lie in a folder
	relay  *turn.Server
}

// fileOptions are those of the modules of files and of services outside.
func (a *Appliance) fileOptions(c *configs.Config, to *modules.Options) error {
	to.ExtDisco.Services = services(c)
	url := c.UploadURL()
	if url == "" {
		if c.Upload.On {
			a.log.Info("files cannot be shared: listen.https has no address, and there is no public_url for listen.http")
		}
		return nil
	}
	u := c.Upload
	o := upload.Options{PublicURL: url, MaxBytes: int64(u.MaxBytes), PerUserBytes: int64(u.PerUserBytes), PerDayBytes: int64(u.PerDayBytes),
		TotalBytes: int64(u.TotalBytes), ExpireAfter: time.Duration(u.ExpireAfter), ProfileBytes: int64(u.ProfileBytes),
		ProfileExpireAfter: time.Duration(u.ProfileExpireAfter), Permanent: u.Permanent}
	for _, k := range u.Classes {
		o.Classes = append(o.Classes, upload.Class{Over: int64(k.OverBytes), After: time.Duration(k.After)})
	}
	if err := a.openFiles(c, &o); err != nil {
		return fmt.Errorf("upload.store: %w", err)
	}
	to.Upload = o
	return nil
}

// openFiles opens the store of files.
func (a *Appliance) openFiles(c *configs.Config, o *upload.Options) (err error) {
	s := c.Upload.Store
	where := s.Dir
	if where == "" {
		where = filepath.Join(c.DataDir, "files")
	}
	if s.Driver == "s3" {
		a.files.bucket, err = s3.Open(s3.Options{Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix, VirtualHost: s.VirtualHost,
			AccessKey: s.AccessKey.Reveal(), SecretKey: s.SecretKey.Reveal(), Spool: filepath.Join(where, "tmp")})
		o.Store = a.files.bucket
		return err
	}
	folder, err := dir.Open(where)
	o.Store = folder
	return err
}

// services are those of the configuration, and the server's own relay.
func services(c *configs.Config) (out []extdisco.Service) {
	if t := c.Turn; t.On {
		add := func(addrs []string, list ...[2]string) {
			for _, a := range addrs {
				_, text, _ := net.SplitHostPort(a) // checked with the configuration
				port, _ := strconv.Atoi(text)
				for _, k := range list {
					out = append(out, extdisco.Service{Host: t.Host, Port: port, Type: k[0], Transport: k[1], Own: k[0] != "stun",
						TTL: time.Duration(t.CredentialsFor)})
				}
			}
		}
		add(t.Listen, [2]string{"stun", "udp"}, [2]string{"turn", "udp"}, [2]string{"turn", "tcp"})
		add(t.ListenTLS, [2]string{"turns", "tcp"})
	}
	for _, s := range c.Services {
		out = append(out, extdisco.Service{Host: s.Host, Port: s.Port, Type: s.Type, Transport: s.Transport, Name: s.Name, Username: s.Username,
			Password: s.Password.Reveal(), Secret: s.Secret.Reveal(), TTL: time.Duration(s.CredentialsFor)})
	}
	return out
}

// startFiles opens what serves files and calls; the core runs.
func (a *Appliance) startFiles(ctx context.Context) error {
	c := a.config
	if b := a.files.bucket; b != nil {
		// People can chat without it, so it only tells.
		a.bg.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			if err := b.Check(ctx); err != nil {
				a.log.Warn("upload.store cannot be used now", "error", err)
			}
		})
	}
	if !c.Turn.On {
		return nil
	}
	return a.startRelay(ctx, c.Turn)
}

func (a *Appliance) startRelay(ctx context.Context, t configs.Turn) error {
	secret, err := a.core.DeriveKey(extdisco.RelayKey)
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	o := turn.Options{UDP: t.Listen, TCP: t.Listen, TLS: t.ListenTLS, Config: a.certs.Config(tlscert.C2S), Realm: a.config.Domains[0], Secret: secret,
		Bind: t.Bind, MinPort: uint16(t.MinPort), MaxPort: uint16(t.MaxPort), //nolint:gosec // checked with the configuration
		PerUser: t.PerUser, BytesPerSecond: int(t.BytesPerSecond), Log: a.log}
	if o.RelayIP, err = netip.ParseAddr(t.RelayIP); err != nil {
		return fmt.Errorf("turn.relay_ip: %w", err)
	}
	for _, p := range t.AllowPeers {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Errorf("turn.allow_peers: %w", err)
		}
		o.AllowPeers = append(o.AllowPeers, prefix)
	}
	a.files.relay, err = turn.Start(ctx, o)
	return err
}

// stopFiles ends what startFiles opened.
func (a *Appliance) stopFiles() (err error) {
	if a.files.relay != nil {
		err = a.files.relay.Stop()
	}
	if a.files.bucket != nil {
		a.files.bucket.Close()
	}
	return err
}

// uploads are the commands about files.
func (a *Appliance) uploads() *admin.Uploads {
	if a.files.upload == nil {
		return &admin.Uploads{} // an interface that holds a nil pointer is not nil
	}
	return &admin.Uploads{Keeper: a.files.upload}
}

// fileFigures are those of the metrics page.
func (a *Appliance) fileFigures(out map[string]float64) {
	if a.files.upload != nil {
		n, bytes := a.files.upload.Usage()
		out["upload_files"], out["upload_bytes"] = float64(n), float64(bytes)
	}
	if a.files.relay != nil {
		out["relay_allocations"] = float64(a.files.relay.Allocations())
	}
}
