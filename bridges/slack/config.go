package slack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Config is the bridge's `config:` in the server's configuration.
type Config struct {
	BotToken      string       `json:"bot_token" doc:"the app's Bot User OAuth Token, xoxb-…" secret:"true" required:"true"`
	AppToken      string       `json:"app_token" doc:"an App-Level Token with the scope connections:write, xapp-…" secret:"true" required:"true"`
	Replies       string       `json:"replies" doc:"how an answer to a message shows on Slack: with a quotation, or in a thread of that message" default:"quote" enum:"quote,thread"`
	AcceptInvites bool         `json:"accept_invites" doc:"a channel that the bot is invited to becomes a room at once" default:"true"`
	MaxGap        int          `json:"max_gap" doc:"messages of one channel that are read back after an outage" default:"2000"`
	PresencePolls int          `json:"presence_polls" doc:"questions for somebody's presence in a minute, at most; 0: never ask" default:"20"`
	Timeout       sdk.Duration `json:"timeout" doc:"longest wait for one answer of Slack" default:"30s"`
	APIURL        string       `json:"api_url" doc:"address of the Web API; another one only for GovSlack and tests" default:"https://slack.com/api/"`
}

// decodeConfig reads and checks the configuration, without traffic.
func decodeConfig(raw []byte) (Config, error) {
	var c Config
	if err := sdk.DecodeConfig(raw, &c); err != nil {
		return Config{}, err
	}
	if !strings.HasSuffix(c.APIURL, "/") {
		c.APIURL += "/"
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case !strings.HasPrefix(c.BotToken, "xoxb-"):
		return errors.New("bot_token: a Bot User OAuth Token is needed, it begins with xoxb-")
	case !strings.HasPrefix(c.AppToken, "xapp-"):
		return errors.New("app_token: an App-Level Token is needed, it begins with xapp-")
	case c.MaxGap < 1 || c.MaxGap > 100_000:
		return errors.New("max_gap: between 1 and 100000")
	case c.PresencePolls < 0 || c.PresencePolls > 50:
		return errors.New("presence_polls: between 0 and 50, which is Slack's limit")
	case time.Duration(c.Timeout) < time.Second:
		return errors.New("timeout: at least a second")
	case c.Replies != "quote" && c.Replies != "thread":
		return errors.New("replies: quote or thread")
	}
	u, err := url.Parse(c.APIURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("api_url: %q is no web address", c.APIURL)
	}
	return nil
}
