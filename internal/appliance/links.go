package appliance

import (
	"context"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// linkSpecs are the links of a configuration as the gateway sees them.
func linkSpecs(c *configs.Config) ([]gateway.LinkSpec, error) {
	var out []gateway.LinkSpec
	for _, l := range c.Links {
		room, err := jid.Parse(l.Room)
		if err != nil { // it was checked when it was read
			return nil, fmt.Errorf("links: %w", err)
		}
		s := gateway.LinkSpec{Room: room}
		for _, r := range l.Remotes {
			s.Remotes = append(s.Remotes, gateway.RemoteName{Bridge: r.Bridge, Room: r.Room})
		}
		out = append(out, s)
	}
	return out, nil
}

// linksTimeout bounds what a reload waits for: the networks are not asked.
const linksTimeout = time.Minute

// setLinks applies the links of a changed file.
func (b *bridges) setLinks(next *configs.Config) error {
	specs, err := linkSpecs(next)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), linksTimeout)
	defer cancel()
	return b.gw.SetLinks(ctx, specs)
}

// admins are the administrators of the server, who are told of what only they can mend.
func (b *bridges) admins(ctx context.Context) []jid.JID {
	var out []jid.JID
	for p := (storage.Page{Limit: 500}); ; {
		list, err := b.a.core.Accounts().List(ctx, "", p)
		if err != nil {
			b.a.log.Warn("the administrators were not read", "error", err)
			return out
		}
		for _, a := range list {
			p.After = a.JID
			if j, err := jid.Parse(a.JID); err == nil && a.Admin && !a.Disabled {
				out = append(out, j)
			}
		}
		if len(list) < p.Limit {
			return out
		}
	}
}
