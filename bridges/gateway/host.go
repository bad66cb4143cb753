package gateway

import (
	"context"
	"io"
	"log/slog"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

var _ sdk.Host = (*instance)(nil)

// Deliver implements sdk.Host.
func (i *instance) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, i, b)
}

// DeliverAsync implements sdk.Host.
func (i *instance) DeliverAsync(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	return i.b.inbox.deliver(ctx, i, b)
}

// Signal implements sdk.Host.
func (i *instance) Signal(s sdk.Signal) {
	if !i.lost.Load() {
		i.b.signal(s)
	}
}

// State implements sdk.Host.
func (i *instance) State() sdk.State { return &stateStore{b: i.b, lost: i.lost.Load} }

// CapabilitiesChanged implements sdk.Host.
func (i *instance) CapabilitiesChanged(ctx context.Context, c sdk.CapabilitiesChange) error {
	if i.lost.Load() {
		return sdk.ErrSessionLost
	}
	return i.b.changeCapabilities(ctx, c)
}

// LoginChanged implements sdk.Host.
func (i *instance) LoginChanged(ctx context.Context, s sdk.LoginStatus) error {
	if i.lost.Load() {
		return sdk.ErrSessionLost
	}
	return i.b.loginChanged(ctx, s)
}

// Upload implements sdk.Host.
func (i *instance) Upload(ctx context.Context, info sdk.Media, body io.Reader) (sdk.Media, error) {
	if i.b.m.o.Media == nil {
		return sdk.Media{}, sdk.Unsupported("storing files")
	}
	return i.b.m.o.Media.Put(ctx, i.b.spec.Name, info, body)
}

// Open implements sdk.Host.
func (i *instance) Open(ctx context.Context, r sdk.MediaRequest) (sdk.MediaContent, error) {
	if c, ok, err := i.b.openFace(ctx, r); ok || err != nil {
		return c, err
	}
	if i.b.m.o.Media == nil {
		return sdk.MediaContent{}, sdk.Unsupported("reading files")
	}
	return i.b.m.o.Media.Open(ctx, i.b.spec.Name, r)
}

// LookupPerson implements sdk.Host.
func (i *instance) LookupPerson(ctx context.Context, q sdk.PersonQuery) (sdk.Sender, error) {
	j, err := jid.Parse(q.Address)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return sdk.Sender{}, sdk.Refuse(sdk.CodeInvalid, "%s is no address of a person", q.Address)
	}
	if !i.b.mayUse(j) {
		return sdk.Sender{}, sdk.Refuse(sdk.CodeForbidden, "%s may not be shown on this network", j)
	}
	if err := i.b.remember(ctx, j); err != nil {
		return sdk.Sender{}, sdk.AsError(err)
	}
	return i.b.sender(ctx, j, "", j.Local(), ""), nil
}

// LookupRoom implements sdk.Host: rooms of this server are offered to networks by links, which name them.
func (i *instance) LookupRoom(ctx context.Context, q sdk.RoomQuery) (sdk.RoomCard, error) {
	j, err := jid.Parse(q.Address)
	if err != nil || !j.IsBare() || !j.HasLocal() {
		return sdk.RoomCard{}, sdk.Refuse(sdk.CodeInvalid, "%s is no address of a room", q.Address)
	}
	row, err := i.b.m.d.Store.Rooms().Get(ctx, j.String())
	if err != nil || !row.Public {
		return sdk.RoomCard{}, sdk.Refuse(sdk.CodeNotFound, "there is no public room %s", j)
	}
	if p, err := i.b.portals.byRoom(ctx, j); err == nil && p != nil {
		return sdk.RoomCard{Address: j.String(), Name: row.Name, Public: true, Portal: p.remote()}, nil
	}
	return sdk.RoomCard{}, sdk.Refuse(sdk.CodeForbidden, "%s is not linked with this network", j)
}

// PublicURL implements sdk.Host.
func (i *instance) PublicURL() string { return i.b.spec.Configuration.PublicURL }

// Log implements sdk.Host.
func (i *instance) Log() slog.Handler { return i.b.log.Handler() }
