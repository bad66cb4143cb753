package grpcbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ClientOptions are the host's choices for one instance of a plugin.
type ClientOptions struct {
	Server    string        // name and version of the server
	SocketDir string        // a directory of this instance, mode 0700, with a short path
	Window    int           // events the plugin may have undelivered (1024; at least sdk.MaxBatch)
	Timeout   time.Duration // for calls whose caller sets no deadline (60 s)
	Log       *slog.Logger
}

// Client is a running plugin as the host sees it: an sdk.Remote. It is made by
// Connect or NewClient, used once, and must be closed.
type Client struct {
	opt   ClientOptions
	codec *codec
	rpc   pb.BridgeClient
	media *mediaServer
	info  sdk.Info
	can   map[sdk.Ability]bool
	web   http.Handler

	ctx     context.Context // ends when the instance is gone
	cancel  context.CancelCauseFunc
	work    sync.WaitGroup
	signals *sdk.SignalQueue
	closeFn []func()

	mu      sync.Mutex
	session *hostSession
}

var _ sdk.Remote = (*Client)(nil)

// NewClient greets the plugin at the other end of conn. The connection stays the
// caller's.
func NewClient(ctx context.Context, conn grpc.ClientConnInterface, opt ClientOptions) (*Client, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Window <= 0 {
		opt.Window = 1024
	}
	if opt.Timeout <= 0 {
		opt.Timeout = defaultTimeout
	}
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	media, err := newMediaServer(c, opt.SocketDir, opt.Log)
	if err != nil {
		return nil, err
	}
	cl := &Client{opt: opt, codec: c, rpc: pb.NewBridgeClient(conn), media: media, can: map[sdk.Ability]bool{}, signals: sdk.NewSignalQueue(1024)}
	cl.ctx, cl.cancel = context.WithCancelCause(context.Background())
	if err := cl.hello(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("greet plugin: %w", err)
	}
	return cl, nil
}

func (c *Client) hello(ctx context.Context) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	reply, err := c.rpc.Hello(ctx, &pb.HelloRequest{
		Protocol: ProtocolVersion, Server: c.opt.Server, MediaSocket: c.media.path, SocketDir: c.opt.SocketDir,
	})
	if err != nil {
		return fromTransport(ctx, err)
	}
	if c.info, err = decode[sdk.Info](c.codec, reply.GetInfo()); err != nil {
		return invalid(err)
	}
	if err := c.info.Addresses.Validate(); err != nil {
		return invalid(err)
	}
	for _, a := range reply.GetAbilities() {
		c.can[sdk.Ability(a)] = true
	}
	if socket := reply.GetHttpSocket(); socket != "" {
		proxy, closeIdle := newProxy(socket, c.opt.Log)
		c.web = proxy
		c.closeFn = append(c.closeFn, closeIdle)
	}
	return nil
}

// Close gives the instance up: streams end, what is under way is answered with
// sdk.ErrSessionLost. It does not end the process.
func (c *Client) Close() {
	c.cancel(sdk.ErrSessionLost)
	c.work.Wait()
	c.media.close()
	for _, f := range c.closeFn {
		f()
	}
}

// Info implements sdk.Remote.
func (c *Client) Info() sdk.Info { return c.info }

// Can implements sdk.Remote.
func (c *Client) Can(a sdk.Ability) bool { return c.can[a] }

// Done implements sdk.Remote.
func (c *Client) Done() <-chan struct{} { return c.ctx.Done() }

// Err implements sdk.Remote.
func (c *Client) Err() error { return context.Cause(c.ctx) }

// Start implements sdk.Remote: it opens the streams and starts the bridge.
func (c *Client) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	c.mu.Lock()
	if c.session != nil {
		c.mu.Unlock()
		return errors.New("start plugin: started already")
	}
	c.session = newHostSession(c.ctx, c.codec, h, c.opt.Log, c.opt.Window)
	session := c.session
	c.mu.Unlock()
	if err := c.open(session, h); err != nil {
		c.cancel(err)
		return fmt.Errorf("open streams: %w", err)
	}
	_, err := request(ctx, c, r, c.rpc.Start)
	return err
}

// open opens the three streams and starts their goroutines. When the durable
// one breaks, the instance is gone.
func (c *Client) open(session *hostSession, h sdk.Host) error {
	durable, err := c.rpc.Session(session.ctx)
	if err != nil {
		return fromTransport(c.ctx, err)
	}
	signals, err := c.rpc.Signals(session.ctx)
	if err != nil {
		return fromTransport(c.ctx, err)
	}
	requests, err := c.rpc.Calls(session.ctx)
	if err != nil {
		return fromTransport(c.ctx, err)
	}
	c.work.Go(func() { c.cancel(session.run(durable)) })
	c.work.Go(func() { pumpSignals(session.ctx, c.codec, c.signals, signals.Send) })
	c.work.Go(func() { _ = readSignals(c.codec, signals.Recv, h.Signal) })
	calls := newHostCalls(c.codec, h, c.media, c.opt.Log)
	c.work.Go(func() { _ = calls.run(session.ctx, requests) })
	return nil
}

// Submit implements sdk.Remote.
func (c *Client) Submit(ctx context.Context, op sdk.Op, done func(sdk.Delivered, error)) error {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session == nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Temporary: true, Text: "the bridge is not started"}
	}
	return session.submit(ctx, op, done)
}

// Signal implements sdk.Remote.
func (c *Client) Signal(s sdk.Signal) { c.signals.Put(s) }

// ServeHTTP implements http.Handler: the path is the plugin's own, without
// "/bridge/NAME".
func (c *Client) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case c.web == nil:
		http.NotFound(w, r)
	case c.ctx.Err() != nil:
		http.Error(w, "the bridge is away", http.StatusServiceUnavailable)
	default:
		c.web.ServeHTTP(w, r)
	}
}

// bound ends a call with its caller, with the instance, or after the default time.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	cancelTimeout := func() {}
	if _, ok := ctx.Deadline(); !ok {
		ctx, cancelTimeout = context.WithTimeout(ctx, c.opt.Timeout)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(sdk.ErrSessionLost) })
	return ctx, func() { stop(); cancel(nil); cancelTimeout() }
}
