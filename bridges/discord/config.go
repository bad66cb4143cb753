package discord

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Config is the bridge's `config:` in the server's configuration.
type Config struct {
	Token    string       `json:"bot_token" doc:"the bot's token, from the Bot page of the developer portal; never a user's token" required:"true" secret:"true"`
	Guilds   []string     `json:"guilds" doc:"ids of the guilds (servers) that are bridged; none: all that the bot is in"`
	Presence bool         `json:"presence" doc:"show members' presence and status; needs the Presence Intent" default:"true"`
	Members  int          `json:"max_members" doc:"guilds with more members are not listed whole" default:"20000"`
	Webhooks int          `json:"webhooks" doc:"webhooks that the bridge makes in a channel, 1 to 5; Discord allows 15 in all" default:"1"`
	MaxGap   int          `json:"max_gap" doc:"messages of one channel that are read back after an outage" default:"5000"`
	Timeout  sdk.Duration `json:"timeout" doc:"longest wait for one answer of Discord" default:"30s"`
	API      string       `json:"api_url" doc:"address of the API" default:"https://discord.com/api/v10"`
	CDN      string       `json:"cdn_url" doc:"address of pictures" default:"https://cdn.discordapp.com"`
}

func decodeConfig(raw []byte) (Config, error) {
	var c Config
	if err := sdk.DecodeConfig(raw, &c); err != nil {
		return c, err
	}
	c.API, c.CDN = strings.TrimSuffix(c.API, "/"), strings.TrimSuffix(c.CDN, "/")
	return c, c.check()
}

func (c Config) check() error {
	if c.Token == "" {
		return fmt.Errorf("bot_token is missing: run `viaduct bridge setup` to learn where to get it")
	}
	if strings.HasPrefix(c.Token, "Bot ") || strings.ContainsAny(c.Token, " \t\n") {
		return fmt.Errorf("bot_token: only the token itself, without %q and spaces", "Bot")
	}
	for _, g := range c.Guilds {
		if !discordid.Valid(g) {
			return fmt.Errorf("guilds: %q is no id of a guild; switch the developer mode on in Discord and copy the server's id", g)
		}
	}
	switch {
	case c.Webhooks < 1 || c.Webhooks > 5:
		return fmt.Errorf("webhooks: 1 to 5 are possible")
	case c.MaxGap < 1 || c.Members < 1:
		return fmt.Errorf("max_gap and max_members: at least 1 is needed")
	case time.Duration(c.Timeout) < time.Second:
		return fmt.Errorf("timeout: at least 1s is needed")
	}
	for key, address := range map[string]string{"api_url": c.API, "cdn_url": c.CDN} {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s %q: an http or https address is needed", key, address)
		}
	}
	return nil
}

// applicationOf reads the application's id out of a token: its first part.
func applicationOf(token string) string {
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(first, "="))
	if err != nil || !discordid.Valid(string(raw)) {
		return ""
	}
	return string(raw)
}

// Configure implements sdk.Bridge.
func (c *Connector) Configure(_ context.Context, conf sdk.Configuration) error {
	cfg, err := decodeConfig(conf.JSON)
	if err != nil {
		return sdk.Refuse(sdk.CodeInvalid, "%v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg, c.conf = cfg, conf
	c.api = newAPI(apiOptions{Base: cfg.API, Token: cfg.Token, Timeout: time.Duration(cfg.Timeout), Now: c.opt.Now, After: c.opt.After, Client: c.client})
	return nil
}
