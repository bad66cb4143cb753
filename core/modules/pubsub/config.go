package pubsub

import "fmt"

// Who may make nodes on a host.
const (
	CreateLocal  = "local"  // accounts of this server
	CreateAnyone = "anyone" // also people of other servers
	CreateNobody = "nobody"
)

// Config of publish-subscribe; zero values take the defaults.
type Config struct {
	// Create is who may make nodes on pubsub.DOMAIN: local (accounts of this server, the default), anyone or nobody.
	Create string `yaml:"create"`
	// Nodes is how many nodes one account or, on pubsub.DOMAIN, one person may have. Default 1,000.
	Nodes int `yaml:"nodes"`
	// Items is how many items a node may keep. Default 10,000.
	Items int `yaml:"items"`
	// PayloadBytes is the largest payload of an item. Default 128 KiB.
	PayloadBytes int `yaml:"payload_bytes"`
	// Subscriptions is how many subscriptions one person may have on one service. Default 1,000.
	Subscriptions int `yaml:"subscriptions"`
	// Subscribers is how many subscriptions a node may have. Default 100,000.
	Subscribers int `yaml:"subscribers"`
}

// WithDefaults returns the configuration with what is zero filled in.
func (c Config) WithDefaults() Config {
	if c.Create == "" {
		c.Create = CreateLocal
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Nodes, 1000}, {&c.Items, 10000}, {&c.PayloadBytes, 128 << 10}, {&c.Subscriptions, 1000}, {&c.Subscribers, 100000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return c
}

// Check tells what in it cannot be.
func (c Config) Check() error {
	switch c.Create {
	case "", CreateLocal, CreateAnyone, CreateNobody:
		return nil
	}
	return fmt.Errorf("create: %q is unknown; use local, anyone or nobody", c.Create)
}

// Bounds that nobody has reason to change.
const (
	maxName      = 1024 // bytes of a node's name or an item's id
	maxPerSet    = 100  // items of one publication or retraction, entries of one change of a list
	maxPage      = 250  // items, nodes or entries told at once
	maxPageBytes = 192 << 10
	maxWaiting   = 1024 // requests that wait for one node
	maxDepth     = 16   // of a graph of collections
	maxAbove     = 64   // collections above a node
	fanoutSlice  = 500  // receivers for which one slice of notifications is made
	directRows   = 200  // rows that are removed in the unit of a request; more go behind it
)
