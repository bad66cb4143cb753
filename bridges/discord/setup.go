package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Setup implements sdk.Setupper: what has to be clicked, in order.
func (c *Connector) Setup(_ context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	var cfg struct {
		Token string `json:"bot_token"`
	}
	_ = json.Unmarshal(r.JSON, &cfg) // as far as there is a configuration
	app := applicationOf(cfg.Token)
	if id := r.Answers["application_id"]; app == "" && discordid.Valid(id) {
		app = id
	}
	name := r.Name
	if name == "" {
		name = "discord"
	}
	var rights []string
	for _, want := range wantedRights() {
		rights = append(rights, want.name)
	}
	plan := sdk.SetupPlan{
		Config: []sdk.SetupValue{{Key: "bot_token", Value: "", Doc: "the bot's token; or bot_token_file with the path of a file that holds it"}},
		Steps: []string{
			"Open https://discord.com/developers/applications, choose New Application and give it a name.",
			"On the page Bot: choose Reset Token, copy the token into the configuration (bot_token, or a file named by bot_token_file). Whoever has it is the bot.",
			"On the page Bot, under Privileged Gateway Intents, switch on: Presence Intent (presence and status), Server Members Intent (names and lists of members), " +
				"Message Content Intent (without it every message is empty).",
		},
	}
	if app == "" {
		plan.Questions = []sdk.LoginField{{Name: "application_id", Label: "Application ID, from the page General Information"}}
		plan.Steps = append(plan.Steps, "Run this command again with the token in the configuration: it then shows the address with which the bot is invited.")
		return plan, nil
	}
	plan.Steps = append(plan.Steps,
		"Invite the bot to your server with this address: "+inviteURL(app),
		"It asks for: "+strings.Join(rights, ", ")+fmt.Sprintf(" (permissions %d).", invitePermissions()),
		"In private channels give the bot's role View Channel.",
		fmt.Sprintf("Restart the server, run `viaduct bridge test %s`, and join #channel%%server@rooms.%s.%s.", name, name, r.Domain),
	)
	if r.PublicURL == "" {
		plan.Steps = append(plan.Steps, "Set public_url, an https address that Discord reaches: without it XMPP people have no faces on Discord.")
	}
	return plan, nil
}

func inviteURL(app string) string {
	return fmt.Sprintf("https://discord.com/oauth2/authorize?client_id=%s&scope=bot&permissions=%d", app, invitePermissions())
}
