package matrix

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Config is the bridge's `config:` in the server's configuration.
type Config struct {
	Homeserver       string       `json:"homeserver" doc:"URL of the homeserver's client API, e.g. http://127.0.0.1:8008" required:"true"`
	RegistrationFile string       `json:"registration_file" doc:"the application service's registration, as written by viaduct bridge setup matrix; the homeserver reads the same file" required:"true"`
	Listen           string       `json:"listen" doc:"host:port on which the homeserver reaches the bridge; \"\" if it uses public_url" default:"127.0.0.1:29317"`
	URL              string       `json:"url" doc:"the address of listen as the homeserver sees it; goes into the registration; default http:// and listen"`
	ServerName       string       `json:"server_name" doc:"server name in the homeserver's user ids; default: asked for, and checked"`
	Prefix           string       `json:"user_prefix" doc:"what the ids of XMPP people begin with; for ever" default:"_xmpp_"`
	BotName          string       `json:"bot_name" doc:"display name of the bridge's bot" default:"XMPP bridge"`
	AcceptInvites    bool         `json:"accept_invites" doc:"the bot joins rooms that it is invited to" default:"true"`
	Timeout          sdk.Duration `json:"timeout" doc:"longest wait for one answer of the homeserver" default:"30s"`
	Verify           sdk.Duration `json:"verify_every" doc:"how often active rooms are read back for what was never pushed" default:"2m"`
	MaxGap           int          `json:"max_gap" doc:"events of one room that are read back after an outage" default:"20000"`
	Presence         bool         `json:"presence" doc:"carry presence in both directions" default:"true"`
	Ephemeral        string       `json:"ephemeral" doc:"how typing, receipts and presence are learnt: pushed by the homeserver, by the bot's sync (Dendrite), or auto" default:"auto" enum:"auto,push,sync"`
}

// decodeConfig reads and checks the configuration, without traffic or files.
func decodeConfig(raw []byte) (Config, error) {
	var c Config
	if err := sdk.DecodeConfig(raw, &c); err != nil {
		return Config{}, err
	}
	if c.URL == "" && c.Listen != "" {
		c.URL = "http://" + c.Listen
	}
	return c, c.check()
}

func (c Config) check() error {
	if err := checkURL("homeserver", c.Homeserver); err != nil {
		return err
	}
	if c.URL != "" {
		if err := checkURL("url", c.URL); err != nil {
			return err
		}
	}
	switch {
	case c.RegistrationFile == "":
		return errors.New("registration_file is missing: run `viaduct bridge setup matrix`, it writes one")
	case c.Prefix == "" || strings.Trim(c.Prefix, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "":
		return fmt.Errorf("user_prefix %q: lower-case letters, digits and . _ - are possible", c.Prefix)
	case c.ServerName != "" && !matrixid.ValidServer(c.ServerName):
		return fmt.Errorf("server_name %q is no server name", c.ServerName)
	case c.MaxGap < 1:
		return errors.New("max_gap: at least 1 is needed")
	case time.Duration(c.Timeout) < time.Second || time.Duration(c.Verify) < time.Second:
		return errors.New("timeout and verify_every: at least 1s is needed")
	}
	return nil
}

func checkURL(key, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s %q: an http or https URL is needed", key, value)
	}
	return nil
}
