package gateway

import (
	"bytes"
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// codec writes and reads the ids of the room's messages as clients see them (XEP-0359): under the secret of the room, which is another one after
// the room was destroyed and made again.
func (p *portal) codec(ctx context.Context) (*stanzaid.Codec, error) {
	row, err := p.b.m.d.Store.Rooms().Get(ctx, p.room().String())
	if err != nil {
		return nil, fmt.Errorf("gateway: secret of %s: %w", p.room(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids != nil && bytes.Equal(p.secret, row.Secret) {
		return p.ids, nil
	}
	c, err := stanzaid.NewCodec(row.Secret)
	if err != nil {
		return nil, fmt.Errorf("gateway: secret of %s: %w", p.room(), err)
	}
	p.ids, p.secret = c, row.Secret
	return c, nil
}

// wireID is the id of a message of the room for clients, "" if it cannot be had.
func (p *portal) wireID(ctx context.Context, id storage.MessageID) string {
	c, err := p.codec(ctx)
	if err != nil {
		p.b.log.Warn("a message's id cannot be written", "error", err)
		return ""
	}
	return c.Encode(p.room().String(), int64(id))
}

// decodeID is the reverse.
func (p *portal) decodeID(ctx context.Context, id string) (storage.MessageID, bool) {
	if p.room().IsZero() {
		return 0, false
	}
	c, err := p.codec(ctx)
	if err != nil {
		return 0, false
	}
	n, ok := c.Decode(p.room().String(), id)
	return storage.MessageID(n), ok
}
