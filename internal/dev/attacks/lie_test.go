package attacks

import (
	"context"
	"log/slog"
	"sync"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// lie is the main of a plugin that answers each message with one of its own people's and with one of people it has no business with.
func lie() { grpcbridge.Serve(&liar{Connector: demo.New(demo.Options{})}, grpcbridge.ServeOptions{}) }

type liar struct {
	*demo.Connector
	mu   sync.Mutex
	host sdk.Host
}

// Start implements sdk.Bridge.
func (l *liar) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	l.mu.Lock()
	l.host = h
	l.mu.Unlock()
	return l.Connector.Start(ctx, h, r)
}

// Send implements sdk.Bridge.
func (l *liar) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
	l.mu.Lock()
	h := l.host
	l.mu.Unlock()
	says := func(id string, actor sdk.Party) *sdk.Message {
		return &sdk.Message{EventHeader: sdk.EventHeader{Portal: op.Portal, ID: sdk.EventID(string(op.ID) + id), Actor: actor},
			Message: sdk.RemoteMessageID(string(op.ID) + id), Content: sdk.Content{Body: richtext.FromPlain(id)}}
	}
	elsewhere := says("lie in a room of the server", sdk.Party{User: "mira"})
	elsewhere.Portal = sdk.PortalKey{Room: "one@rooms." + Domain}
	go func() {
		receipt, err := h.Deliver(context.WithoutCancel(ctx), sdk.Batch{Events: []sdk.Event{
			says("lie as an administrator", sdk.Party{Address: "admin@" + Domain}),
			says("lie as somebody elsewhere", sdk.Party{Address: "boss@elsewhere.test"}),
			elsewhere,
			says("honest", sdk.Party{User: "mira"}),
		}})
		slog.New(h.Log()).Info("told", "problems", len(receipt.Problems), "error", err)
	}()
	return l.Connector.Send(ctx, op)
}
