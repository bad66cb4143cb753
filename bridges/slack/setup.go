package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// manifestName is the file that setup writes.
const manifestName = "slack-manifest.yaml"

// Setup implements sdk.Setupper: it writes the manifest of the app that the workspace
// makes for itself. An app of one's own is not subject to the limits that Slack put on
// the history for apps which are handed around.
func (c *Connector) Setup(_ context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	name := strings.TrimSpace(r.Answers["app_name"])
	if name == "" {
		name = "Viaduct"
	}
	if strings.ContainsAny(name, "\"\\\n\r\t") || len([]rune(name)) > 35 {
		return sdk.SetupPlan{}, sdk.Refuse(sdk.CodeInvalid, "slack: app_name: at most 35 characters, without quotation marks")
	}
	bridge := r.Name
	if bridge == "" {
		bridge = "slack"
	}
	steps := []string{
		"Open https://api.slack.com/apps, \"Create New App\", \"From a manifest\", choose the workspace and paste " + manifestName + ".",
		"\"Basic Information\", \"App-Level Tokens\": generate one with the scope connections:write. It begins with xapp- and is `app_token`.",
		"\"Install App\": install it into the workspace (an owner may have to approve). The \"Bot User OAuth Token\" begins with xoxb- and is `bot_token`.",
		"Put both into the bridge's `config:` in viaduct.yaml, or into files named by `bot_token_file` and `app_token_file`, readable by the server only.",
		"Restart Viaduct, then run `viaduct bridge test " + bridge + "`.",
		"In a private channel that shall be bridged write /invite @" + strings.ToLower(strings.ReplaceAll(name, " ", "-")) + "; public channels the bot enters by itself.",
	}
	if r.PublicURL == "" {
		steps = append(steps, "Set `public_url` in viaduct.yaml if XMPP people shall appear on Slack with their faces: Slack fetches pictures from a public https address.")
	}
	return sdk.SetupPlan{
		Files: []sdk.SetupFile{{Name: manifestName, Content: []byte(manifest(name))}},
		Config: []sdk.SetupValue{
			{Key: "bot_token", Value: "xoxb-…", Doc: "Bot User OAuth Token"},
			{Key: "app_token", Value: "xapp-…", Doc: "App-Level Token with connections:write"},
		},
		Steps: steps,
	}, nil
}

// manifest is the app's description as Slack takes it.
func manifest(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# App of the Viaduct bridge. Paste it at https://api.slack.com/apps, \"From a manifest\".\n")
	fmt.Fprintf(&b, "display_information:\n  name: \"%s\"\n  description: \"Joins channels with XMPP rooms\"\n", name)
	fmt.Fprintf(&b, "features:\n  app_home:\n    messages_tab_enabled: true\n    messages_tab_read_only_enabled: false\n")
	fmt.Fprintf(&b, "  bot_user:\n    display_name: \"%s\"\n    always_online: true\n", name)
	b.WriteString("oauth_config:\n  scopes:\n    bot:\n")
	var names []string
	for _, s := range scopes() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	for _, n := range names {
		b.WriteString("      - " + n + "\n")
	}
	b.WriteString("settings:\n  event_subscriptions:\n    bot_events:\n")
	for _, e := range botEvents() {
		b.WriteString("      - " + e + "\n")
	}
	b.WriteString("  interactivity:\n    is_enabled: false\n  org_deploy_enabled: false\n  socket_mode_enabled: true\n  token_rotation_enabled: false\n")
	return b.String()
}

// Test implements sdk.Bridge.
func (c *Connector) Test(ctx context.Context) (sdk.Report, error) {
	var report sdk.Report
	if c.api == nil {
		return report, sdk.Refuse(sdk.CodeInvalid, "slack: test: not configured")
	}
	add := func(name string, status sdk.CheckStatus, found, fix string) {
		report.Checks = append(report.Checks, sdk.Check{Name: name, Status: status, Found: found, Fix: fix})
	}
	if self, ok := c.testBot(ctx, add); ok {
		testScopes(self, add)
	}
	c.testSocket(ctx, add)
	if strings.HasPrefix(c.publicURL, "https://") {
		add("public_url", sdk.CheckOK, "Slack can fetch the faces of XMPP people", "")
	} else {
		add("public_url", sdk.CheckWarning, "there is none with https: XMPP people have no faces on Slack", "set `public_url` to a public https address")
	}
	if c.plain.Load() {
		add("names", sdk.CheckWarning, "Slack refused names of our own: they stand in the text", "add the scope chat:write.customize, install the app again, restart the bridge")
	}
	return report, nil
}

type addCheck func(name string, status sdk.CheckStatus, found, fix string)

func (c *Connector) testBot(ctx context.Context, add addCheck) (*identity, bool) {
	self, err := c.whoAmI(ctx)
	if err == nil {
		add("bot_token", sdk.CheckOK, "the bot is @"+self.Name+" ("+self.User+") in "+self.Domain+" ("+self.Team+")", "")
		return self, true
	}
	e := sdk.AsError(err)
	fix := "check the network between here and " + c.conf.APIURL
	if e.Code == sdk.CodeBadCredentials || e.Code == sdk.CodeInvalid {
		fix = "copy the Bot User OAuth Token anew from \"Install App\" of the app"
	}
	add("bot_token", sdk.CheckFailed, e.Error(), fix)
	return nil, false
}

// testScopes names each right that is missing, with what is lost.
func testScopes(self *identity, add addCheck) {
	const fix = "add it under \"OAuth & Permissions\" (or paste the manifest again) and install the app again"
	if len(self.Scopes) == 0 {
		add("scopes", sdk.CheckWarning, "Slack does not say which the app has", "")
		return
	}
	missing := 0
	for _, s := range scopes() {
		if slices.Contains(self.Scopes, s.name) {
			continue
		}
		missing++
		status := sdk.CheckWarning
		if s.needed {
			status = sdk.CheckFailed
		}
		add("scope "+s.name, status, "missing: "+s.lost, fix)
	}
	if missing == 0 {
		add("scopes", sdk.CheckOK, fmt.Sprintf("all %d are there", len(scopes())), "")
	}
}

// testSocket asks for a connection without opening it.
func (c *Connector) testSocket(ctx context.Context, add addCheck) {
	_, _, err := c.api.openSocket(ctx)
	var api slackgo.SlackErrorResponse
	switch {
	case err == nil:
		add("app_token", sdk.CheckOK, "Socket Mode is on", "")
	case errors.As(err, &api) && (api.Err == "missing_scope" || api.Err == "not_allowed_token_type" || strings.Contains(unsigned, " "+api.Err+" ")):
		add("app_token", sdk.CheckFailed, api.Err, "generate an App-Level Token with the scope connections:write under \"Basic Information\"")
	case errors.As(err, &api):
		add("app_token", sdk.CheckFailed, api.Err, "switch Socket Mode on in the app's settings")
	default:
		e := sdk.AsError(explain("no connection", err))
		add("app_token", sdk.CheckFailed, e.Error(), "check the network between here and "+c.conf.APIURL)
	}
}
