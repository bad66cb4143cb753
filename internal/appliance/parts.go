package appliance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/adhoc"
	"github.com/viaduct-xmpp/viaduct/core/modules/mam"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/modules/offline"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
	"github.com/viaduct-xmpp/viaduct/core/modules/register"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
	"github.com/viaduct-xmpp/viaduct/core/modules/upload"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

// openStore opens the store; what can be wrong with a directory is said in a line with what to do.
func openStore(ctx context.Context, c *configs.Config, log *slog.Logger) (*sqlite.Store, error) {
	s, err := sqlite.Open(ctx, sqlite.Options{Dir: c.DataDir, Log: log})
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, storage.ErrLocked), errors.Is(err, storage.ErrTooNew), errors.Is(err, sqlite.ErrCorrupt):
		return nil, fmt.Errorf("data_dir: %w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("data_dir: %s cannot be written by this user; give it to the user or choose another one (%w)", c.DataDir, err)
	case errors.Is(err, syscall.ENOSPC):
		return nil, fmt.Errorf("data_dir: the disk of %s is full; make room and start again (%w)", c.DataDir, err)
	}
	return nil, fmt.Errorf("data_dir: %w", err)
}

// openCerts loads the certificate of the configuration, or has one made.
func openCerts(ctx context.Context, c *configs.Config, log *slog.Logger) (*tlscert.Store, error) {
	var src tlscert.Source = tlscert.SelfSigned{Dir: filepath.Join(c.DataDir, "tls"), Log: log}
	names := c.CertificateNames()
	if c.TLS.Cert != "" {
		src, names = tlscert.Files{{CertFile: c.TLS.Cert, KeyFile: c.TLS.Key}}, c.Hosts()
	}
	certs, err := tlscert.Open(ctx, tlscert.Options{Source: src, Names: names, Log: log})
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if missing := certs.Missing(c.Hosts()); len(missing) > 0 {
		log.Warn("the certificate lacks names; clients will not trust the server under them", "names", strings.Join(missing, ", "))
	}
	if c.TLS.Cert == "" {
		log.Warn("the certificate is self-signed: clients ask whether to trust it; get one for the server's names and give tls.cert and tls.key",
			"names", strings.Join(c.CertificateNames(), ", "), "ca", filepath.Join(c.DataDir, "tls", "ca.crt"))
	}
	return certs, nil
}

// assemble makes the core with its modules and the bridges.
func (a *Appliance) assemble(ctx context.Context) (err error) {
	c := a.config
	reg, kept := register.Options{Open: c.Registration.Open}, offline.Options{}
	if c.Limits.Off {
		reg.PerAddress = math.MaxInt32
		kept.MaxMessages, kept.MaxBytes = math.MaxInt32, math.MaxInt32
	}
	if a.bridges, err = newBridges(a); err != nil {
		return err
	}
	rooms := muc.Options{Hosts: a.bridges.rooms(), NoArchive: !c.Archive.Rooms}
	c.Rooms.Apply(&rooms)
	if c.Limits.Off {
		rooms.PerAccount, rooms.JoinsPerMinute, rooms.Shows.Size, rooms.Renames.Size = -1, -1, -1, -1
	}
	mo := modules.Options{Archive: c.Archive.Options(), MAM: mam.Options{NoSearch: !c.Archive.Search}, Register: reg, Offline: kept, MUC: rooms, PubSub: c.PubSub,
		Push: c.Push.Options(), Rejoin: c.Rejoin.Options(), AdHoc: adhoc.Options{Source: adminCommands{a}}}
	if err := a.fileOptions(c, &mo); err != nil {
		return err
	}
	list := modules.List(mo)
	for _, m := range list {
		switch m := m.(type) {
		case *muc.Module:
			a.muc = m
		case *pubsub.Module:
			a.pubsub = m
		case *mam.Module:
			a.mam = m
		case *upload.Module:
			if mo.Upload.Store != nil {
				a.files.upload = m
			}
		case *push.Module:
			if c.Push.On {
				a.push = m
			}
		case *register.Module:
			a.sign = m
		case *rejoin.Module:
			a.rejoin = m
		}
	}
	list = append(list, a.bridges.modules()...)
	a.core, err = server.New(ctx, server.Options{
		Domains: c.Domains, Store: a.store, Certs: a.certs, Modules: list, C2S: c.Limits, Iterations: a.o.Iterations,
		Listen: server.Listen{C2S: c.Listen.C2S, C2SDirect: c.Listen.C2STLS}, Log: a.log, Version: Version()["version"],
	})
	return err
}

// measure puts the figures of the parts on the metrics page.
func (a *Appliance) measure() {
	a.pages.Check("server", a.core.Ready)
	a.pages.Expose(func(ctx context.Context) map[string]float64 {
		out := map[string]float64{"sessions": float64(a.core.Sessions().Count())}
		stats, err := a.store.Stats(ctx)
		if err != nil {
			a.log.Warn("figures of the store", "error", err)
		}
		for k, v := range stats {
			out["store_"+k] = v
		}
		a.bridges.figures(ctx, out)
		a.fileFigures(out)
		a.rejoin.Figures(out)
		if a.push != nil {
			a.push.Figures(out)
		}
		return out
	})
}

// passwordAlphabet has no letters that look alike.
const passwordAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// generatePassword returns 20 characters, 100 bits.
func generatePassword() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = passwordAlphabet[b[i]%32]
	}
	return string(b)
}
