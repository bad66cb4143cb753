package gateway

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func userInfoRequest(id sdk.RemoteUserID) sdk.UserInfoRequest { return sdk.UserInfoRequest{User: id} }

// discoSource answers for bridges and puppets (XEP-0030). Identities: gateway/<network> for the bridge, account or bot for people.
type discoSource struct{ m *Module }

// DiscoInfo implements module.DiscoSource.
func (d discoSource) DiscoInfo(ctx context.Context, _, target jid.JID, node string) (module.DiscoInfo, bool, error) {
	b := d.m.byHost[target.Domain()]
	if b == nil || target.Domain() != b.spec.users() {
		return module.DiscoInfo{}, false, nil
	}
	if node != "" {
		return b.commandInfo(node)
	}
	if !target.HasLocal() {
		b.mu.Lock()
		network := firstOf(b.info.Network, b.spec.Configuration.Name, b.spec.Name)
		b.mu.Unlock()
		return module.DiscoInfo{Identities: []module.Identity{{Category: "gateway", Type: network, Name: b.title()}}}, true, nil
	}
	q, err := b.puppets.byJID(ctx, target)
	if err != nil || q == nil {
		return module.DiscoInfo{}, false, err
	}
	id := module.Identity{Category: "account", Type: "registered", Name: q.name()}
	if q.get().Bot {
		id = module.Identity{Category: "client", Type: "bot", Name: q.name()}
	}
	return module.DiscoInfo{Identities: []module.Identity{id}, Features: []string{ns.VCard}}, true, nil
}

// DiscoItems implements module.DiscoSource.
func (d discoSource) DiscoItems(_ context.Context, asker, target jid.JID, node, _ string, _ int) ([]module.DiscoItem, int, bool, error) {
	b := d.m.byHost[target.Domain()]
	if b == nil || target.HasLocal() || target.Domain() != b.spec.users() {
		return nil, 0, false, nil
	}
	if node == ns.Commands {
		items := b.commandItems(asker)
		return items, len(items), true, nil
	}
	rooms, err := jid.New("", b.spec.rooms(), "")
	if err != nil {
		return nil, 0, false, err
	}
	return []module.DiscoItem{{JID: rooms, Name: "Rooms of " + b.title()}}, 1, true, nil
}
