package demo

import (
	"context"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Config is the bridge's part of the configuration file.
type Config struct {
	Seed      int          `json:"seed" doc:"the same seed gives the same conversations" default:"1"`
	TalkEvery sdk.Duration `json:"talk_every" doc:"pause between two things that people do by themselves" default:"6s"`
	Silent    bool         `json:"silent" doc:"people only do what they are told" default:"false"`
	Network   string       `json:"network" doc:"host:port on this machine where a demo network is served already; absent: the bridge has its own"`
	Control   string       `json:"control" doc:"host:port on this machine where the bridge serves its own network, for tests; absent: nowhere"`
	Secret    string       `json:"secret" doc:"a word that is never shown: the demo network has no use for it, but real ones have" secret:"true"`
}

// check says what is wrong in one sentence for the administrator.
func (c Config) check() error {
	switch {
	case time.Duration(c.TalkEvery) < 100*time.Millisecond:
		return sdk.Refuse(sdk.CodeInvalid, "talk_every: %s is too short, use 100ms or more", time.Duration(c.TalkEvery))
	case c.Network != "" && c.Control != "":
		return sdk.Refuse(sdk.CodeInvalid, "network and control exclude each other: only the bridge's own network can be controlled")
	case c.Network != "" && !demonet.Loopback(c.Network):
		return sdk.Refuse(sdk.CodeInvalid, "network: %q is no address of this machine, use 127.0.0.1:PORT", c.Network)
	case c.Control != "" && !demonet.Loopback(c.Control):
		return sdk.Refuse(sdk.CodeInvalid, "control: %q is no address of this machine, use 127.0.0.1:PORT", c.Control)
	}
	return nil
}

// Configure implements sdk.Bridge: it decodes and checks, and sends nothing.
func (c *Connector) Configure(_ context.Context, conf sdk.Configuration) error {
	var cfg Config
	if err := sdk.DecodeConfig(conf.JSON, &cfg); err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "%v", err)
	}
	if err := cfg.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg, c.configured = cfg, true
	return nil
}
