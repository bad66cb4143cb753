// Package sdk is what the author of a bridge sees, and what the server's gateway
// sees of a bridge: a neutral contract between one foreign network and one XMPP
// server. It knows nothing of launching, processes or gRPC (plugins/grpcbridge
// does), and depends on nothing but the standard library and richtext.
//
// A bridge implements [Bridge] and as many of the small role interfaces
// ([Editor], [Reactor], [HistorySource], [LoginFlow] ...) as its network allows.
// The server gives it a [Host]. Two rules carry the whole:
//
//   - Towards the server: what the network pushed is handed over with
//     [Host.Deliver] and acknowledged to the network only after Deliver has
//     returned without an error. Then it is on disk, with the cursor, once.
//   - Towards the network: every operation has an [OpID] that stays the same over
//     retries, crashes and restarts. A bridge makes it the network's idempotency
//     key where there is one, and reconciles where there is none ([OpHeader]).
//
// Calls of one portal come one after the other, in order; those of different
// portals come at the same time. A bridge owns the goroutines it starts and ends
// them when the context given to [Bridge.Start] is done or [Bridge.Drain] is
// called. No value of this package is shared after it was handed over.
//
// The contract only grows: enums are open (an unknown number is to be treated as
// the zero value), an event or operation of an unknown sort is answered
// [CodeUnsupported], never dropped.
//
//	type Connector struct{ host sdk.Host }
//
//	func (c *Connector) Send(ctx context.Context, op *sdk.SendMessage) (sdk.Delivered, error) {
//		id, err := c.api.Post(ctx, op.Portal.Room, op.Content.Body.Plain(), string(op.ID))
//		if err != nil {
//			return sdk.Delivered{}, sdk.RetryAfter(time.Second, err)
//		}
//		return sdk.DeliveredAs(sdk.RemoteMessageID(id), time.Now()), nil
//	}
package sdk
