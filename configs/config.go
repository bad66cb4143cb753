package configs

import (
	"github.com/viaduct-xmpp/viaduct/core/c2s"
	"github.com/viaduct-xmpp/viaduct/core/modules/archive"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
	"github.com/viaduct-xmpp/viaduct/core/modules/push"
	"github.com/viaduct-xmpp/viaduct/core/modules/rejoin"
)

// Config is the whole configuration.
type Config struct {
	// Domains are the domains whose accounts live here; the first is the default.
	Domains []string `yaml:"domains"`
	// PublicURL is what the links of uploads, avatars and host-meta are built on. Default: https, the first domain and the first https port.
	PublicURL string `yaml:"public_url"`
	// DataDir is where everything that is kept lies, relative to this file.
	DataDir string `yaml:"data_dir"`
	// Storage says what keeps the data.
	Storage Storage `yaml:"storage"`
	// TLS is the server's certificate. Without it the server makes one for its names, which clients do not trust by themselves.
	TLS TLS `yaml:"tls"`
	// Listen are the addresses, each a list of host:port; [] switches a listener off.
	Listen Listen `yaml:"listen"`
	// S2S is for connections to other servers.
	S2S S2S `yaml:"s2s"`
	// Registration is for accounts that people make themselves.
	Registration Registration `yaml:"registration"`
	// PubSub is for publish-subscribe, on pubsub.DOMAIN and on accounts.
	PubSub pubsub.Config `yaml:"pubsub"`
	// Push is for waking the devices of people through the services of their apps.
	Push push.Config `yaml:"push"`
	// Archive says which messages are kept.
	Archive archive.Config `yaml:"archive"`
	// Rooms is for the group chats of people.
	Rooms muc.Config `yaml:"rooms"`
	// Rejoin keeps people of this server in rooms of others that lose them without a word.
	Rejoin rejoin.Config `yaml:"rejoin"`
	// Upload is for files that people share.
	Upload Upload `yaml:"upload"`
	// Turn is the server's own relay for calls.
	Turn Turn `yaml:"turn"`
	// Services are those outside of this server that clients are told of.
	Services []Service `yaml:"services"`
	// Log is the server's log.
	Log Log `yaml:"log"`
	// PluginDir is where plugins are looked for, after the folder of the server's executable.
	PluginDir string `yaml:"plugin_dir"`
	// Limits protect the server; the defaults are safe.
	Limits c2s.Config `yaml:"limits"`
	// Bridges connect other networks, each through a plugin of its own process.
	Bridges []Bridge `yaml:"bridges"`
	// Links tie one room of this server to rooms of other networks.
	Links []Link `yaml:"links"`
}

// Storage says what keeps the data.
type Storage struct {
	// Driver is sqlite.
	Driver string `yaml:"driver"`
	// DSN is how to reach a database server; a secret.
	DSN Secret `yaml:"dsn"`
}

// TLS is where the certificate comes from: files or ACME.
type TLS struct {
	// Cert is the file with the certificate and its chain (PEM).
	Cert string `yaml:"cert"`
	// Key is the file with the private key (PEM).
	Key string `yaml:"key"`
	// ACME gets the certificate from an authority such as Let's Encrypt.
	ACME *ACME `yaml:"acme"`
}

// ACME is how a certificate is got from an authority.
type ACME struct {
	// Email is told to the authority.
	Email string `yaml:"email"`
}

// Listen are the listeners.
type Listen struct {
	// C2S is for clients that switch to TLS (STARTTLS).
	C2S []string `yaml:"c2s"`
	// C2STLS is for clients that begin with TLS (XEP-0368).
	C2STLS []string `yaml:"c2s_tls"`
	// S2S is for other servers.
	S2S []string `yaml:"s2s"`
	// S2STLS is for other servers that begin with TLS.
	S2STLS []string `yaml:"s2s_tls"`
	// HTTP is for a reverse proxy: WebSocket, BOSH, uploads, invitations, host-meta.
	HTTP []string `yaml:"http"`
	// HTTPS is the same, with the server's own certificate.
	HTTPS []string `yaml:"https"`
	// Admin is for the admin page and API, health and metrics; keep it off public addresses.
	Admin []string `yaml:"admin"`
	// Component is for external components (XEP-0114).
	Component []string `yaml:"component"`
}

// S2S is for connections to other servers; all optional.
type S2S struct {
	// Resolver is a DNS server of one's own, host:port.
	Resolver string `yaml:"resolver"`
	// CAFile has further trust anchors (PEM).
	CAFile string `yaml:"ca_file"`
	// Hosts are fixed addresses of domains, for tests and private networks.
	Hosts map[string]string `yaml:"hosts"`
}

// Registration is for accounts that people make themselves (XEP-0077).
type Registration struct {
	// Open lets anybody who reaches the server make an account.
	Open bool `yaml:"open"`
}

// Log is the server's log.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
	// File is where the log goes instead of standard error.
	File string `yaml:"file"`
}

// Bridge is one connection to another network.
type Bridge struct {
	// Name is the bridge's name and for ever: its people are at NAME.DOMAIN, its rooms at rooms.NAME.DOMAIN.
	Name string `yaml:"name"`
	// Plugin is the network (viaduct-PLUGIN beside the server's executable or in plugin_dir), or a path.
	Plugin string `yaml:"plugin"`
	// Domain is the domain it belongs to. Default: the first.
	Domain string `yaml:"domain"`
	// Allow says who may do what. Default: the accounts of this server.
	Allow Allow `yaml:"allow"`
	// Transport is mtls, or socket for plugins whose gRPC cannot do go-plugin's mutual TLS.
	Transport string `yaml:"transport"`
	// Limits override the platform's rates.
	Limits BridgeLimits `yaml:"limits"`
	// Config is the plugin's own configuration.
	Config Raw `yaml:"config"`

	// Line is where the entry begins in the file.
	Line int `yaml:"-"`
}

// Allow says who may do what on a bridge. An entry is a domain, a bare JID, or "admins".
type Allow struct {
	// Use is who may see and join what the bridge brings.
	Use []string `yaml:"use"`
	// CreateRooms is who may have rooms made on the other network.
	CreateRooms []string `yaml:"create_rooms"`
	// Link is who may link rooms.
	Link []string `yaml:"link"`
}

// BridgeLimits bound what a plugin may use; 0 is the default.
type BridgeLimits struct {
	// MemoryBytes is how much resident memory the plugin's process may use before it is restarted.
	MemoryBytes Size `yaml:"memory_bytes"`
	// EventsPerSecond is how many events the plugin may deliver each second over a while.
	EventsPerSecond int `yaml:"events_per_second"`
	// OperationsPerSecond is how many operations the platform is asked for each second at most.
	OperationsPerSecond int `yaml:"operations_per_second"`
}

// Link ties one room to rooms of other networks.
type Link struct {
	// Room is the room's address here.
	Room string `yaml:"room"`
	// Remotes are the rooms there.
	Remotes []LinkRemote `yaml:"remotes"`

	// Line is where the entry begins in the file.
	Line int `yaml:"-"`
}

// LinkRemote is one room of another network.
type LinkRemote struct {
	// Bridge is the bridge's name.
	Bridge string `yaml:"bridge"`
	// Room is the room's address on that network.
	Room string `yaml:"room"`
}

// Default returns the embedded configuration: domain localhost, data in ./viaduct-data, a certificate of its own, the demo bridge on.
func Default() *Config {
	c := base()
	c.Domains = []string{"localhost"}
	c.DataDir = "viaduct-data"
	c.Bridges = []Bridge{{Name: "demo", Plugin: "demo", Domain: "localhost", Transport: "mtls"}}
	return c
}

// base is what a file starts from: the defaults of every key.
func base() *Config {
	return &Config{
		DataDir: "viaduct-data",
		Storage: Storage{Driver: "sqlite"},
		Listen: Listen{
			C2S: []string{":5222"}, C2STLS: []string{":5223"}, S2S: []string{":5269"}, S2STLS: []string{":5270"},
			HTTP: []string{"127.0.0.1:5280"}, HTTPS: []string{":5443"}, Admin: []string{"127.0.0.1:5281"}, Component: []string{"127.0.0.1:5347"},
		},
		Archive: archive.DefaultConfig(),
		Rooms:   muc.Config{}.WithDefaults(),
		Rejoin:  rejoin.Config{}.WithDefaults(),
		PubSub:  pubsub.Config{}.WithDefaults(),
		Push:    push.DefaultConfig(),
		Upload:  defaultUpload(),
		Turn:    defaultTurn(),
		Log:     Log{Level: "info", Format: "text"},
		Limits:  c2s.Config{}.WithDefaults(),
	}
}
