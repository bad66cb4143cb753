package grpcbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
)

// ProtocolVersion is the major version of the contract: bridge/v1.
const ProtocolVersion = 1

// pluginName is what is dispensed.
const pluginName = "bridge"

// handshake lets a plugin started by hand say what it is; it guards nothing.
func handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{
		MagicCookieKey:   "VIADUCT_BRIDGE_PLUGIN",
		MagicCookieValue: "8f1f6f0e-bridge",
	}
}

// ConfigOptions are what the host decides for a plugin's launch.
type ConfigOptions struct {
	// MTLS secures the socket by certificates made for this launch; without it
	// the peer's user is checked, for plugins that cannot do go-plugin's TLS.
	MTLS      bool
	SocketDir string // as ClientOptions.SocketDir; the plugin's gRPC socket lies there too
	Log       *slog.Logger
}

// ClientConfig is the part of a go-plugin configuration that belongs to the
// protocol. The host adds Cmd or RunnerFunc and SecureConfig.
func ClientConfig(opt ConfigOptions) *goplugin.ClientConfig {
	cfg := &goplugin.ClientConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: {pluginName: &glue{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         opt.MTLS,
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: opt.SocketDir},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
			grpc.WithDisableServiceConfig(),
		},
	}
	if opt.Log != nil {
		cfg.Logger = NewHCLog(opt.Log)
	}
	if !opt.MTLS {
		cfg.GRPCDialOptions = append(cfg.GRPCDialOptions, grpc.WithTransportCredentials(peerCredentials{}))
	}
	return cfg
}

// Connect greets the plugin behind a started go-plugin client.
func Connect(ctx context.Context, proto goplugin.ClientProtocol, opt ClientOptions) (*Client, error) {
	raw, err := proto.Dispense(pluginName)
	if err != nil {
		return nil, fmt.Errorf("connect to plugin: %w", err)
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, errors.New("connect to plugin: it does not speak gRPC")
	}
	return NewClient(ctx, conn, opt)
}

// glue registers the service on one side and hands out the connection on the other.
type glue struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server // in the plugin
}

// GRPCServer implements goplugin.GRPCPlugin.
func (g *glue) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterBridgeServer(s, g.server)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin.
func (g *glue) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
