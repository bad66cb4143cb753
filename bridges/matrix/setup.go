package matrix

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// setupDefaults fill in what need not be asked for.
const (
	defaultListen = "127.0.0.1:29317"
	defaultPrefix = "_xmpp_"
)

// Setup implements sdk.Setupper: it makes the registration file and says what to
// do with it. It asks for the homeserver's URL; the homeserver tells its server
// name itself. One that does not answer yet gets namespaces for any server name,
// which mean the same to it: only users of its own can match.
func (c *Connector) Setup(ctx context.Context, r sdk.SetupRequest) (sdk.SetupPlan, error) {
	var conf Config
	if len(r.JSON) > 0 {
		if err := sdk.DecodeConfig(r.JSON, &conf); err != nil {
			return sdk.SetupPlan{}, sdk.Refuse(sdk.CodeInvalid, "matrix: %v", err)
		}
	}
	take := func(key, fallback string, into *string) {
		if v := strings.TrimSpace(r.Answers[key]); v != "" {
			*into = v
		}
		if *into == "" {
			*into = fallback
		}
	}
	take("homeserver", "", &conf.Homeserver)
	take("listen", defaultListen, &conf.Listen)
	take("user_prefix", defaultPrefix, &conf.Prefix)
	take("server_name", "", &conf.ServerName)
	take("url", "http://"+conf.Listen, &conf.URL)
	if plan := questions(conf); len(plan.Questions) > 0 {
		return plan, nil
	}
	if conf.ServerName == "" {
		conf.ServerName = c.askServerName(ctx, conf.Homeserver)
	}
	if conf.RegistrationFile == "" {
		conf.RegistrationFile = registrationName(r.Name)
	}
	conf.MaxGap = 1
	conf.Timeout, conf.Verify = sdk.Duration(1e9), sdk.Duration(1e9)
	if err := conf.check(); err != nil {
		return sdk.SetupPlan{}, sdk.Refuse(sdk.CodeInvalid, "matrix: %v", err)
	}
	ns := matrixid.Namespace{Prefix: conf.Prefix, Server: conf.ServerName}
	raw, err := yaml.Marshal(newRegistration(r.Name, conf.URL, ns))
	if err != nil {
		return sdk.SetupPlan{}, fmt.Errorf("matrix: write the registration: %w", err)
	}
	file := sdk.SetupFile{Name: filepath.Base(conf.RegistrationFile), Content: raw, Secret: true}
	return sdk.SetupPlan{Files: []sdk.SetupFile{file}, Config: planConfig(conf), Steps: steps(conf)}, nil
}

func registrationName(name string) string {
	if name == "" {
		name = "matrix"
	}
	return name + "-registration.yaml"
}

func questions(conf Config) sdk.SetupPlan {
	var plan sdk.SetupPlan
	if conf.Homeserver == "" {
		plan.Questions = append(plan.Questions, sdk.LoginField{Name: "homeserver", Label: "URL of the homeserver's client API, as this machine reaches it", Required: true, Default: "http://127.0.0.1:8008"})
	}
	return plan
}

// askServerName asks a homeserver for its name (GET /_matrix/key/v2/server), "" if it does not tell.
func (c *Connector) askServerName(ctx context.Context, homeserver string) string {
	transport := c.opt.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(homeserver, "/")+"/_matrix/key/v2/server", nil)
	if err != nil {
		return ""
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		ServerName string `json:"server_name"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer)
	if err != nil || resp.StatusCode != http.StatusOK || !matrixid.ValidServer(answer.ServerName) {
		return ""
	}
	return answer.ServerName
}

func planConfig(conf Config) []sdk.SetupValue {
	values := []sdk.SetupValue{
		{Key: "homeserver", Value: conf.Homeserver, Doc: "the homeserver's client API"},
		{Key: "registration_file", Value: conf.RegistrationFile, Doc: "the file that was written; the homeserver reads a copy of it"},
		{Key: "listen", Value: conf.Listen, Doc: "where the homeserver reaches the bridge"},
		{Key: "url", Value: conf.URL, Doc: "listen, as the homeserver sees it"},
		{Key: "user_prefix", Value: conf.Prefix, Doc: "what the ids of XMPP people begin with; never change it"},
	}
	if conf.ServerName != "" {
		values = append(values, sdk.SetupValue{Key: "server_name", Value: conf.ServerName, Doc: "what stands after the colon in user ids"})
	}
	return values
}

func steps(conf Config) []string {
	file := conf.RegistrationFile
	return []string{
		"Copy " + file + " to the homeserver's machine, readable by the homeserver only: its tokens open every room of the bridge.",
		"Synapse: in homeserver.yaml add the line  app_service_config_files: [\"/path/to/" + file + "\"]  and restart Synapse.",
		"Dendrite: in dendrite.yaml add, under app_service_api:, the line  config_files: [\"/path/to/" + file + "\"]  and restart Dendrite.",
		"The homeserver must reach " + conf.URL + "; if it runs on another machine or in a container, change `listen` and `url`, and `url` in " + file + ".",
		"Have the lines above in `bridges:` of viaduct.yaml, restart Viaduct, then run `viaduct bridge test` with the bridge's name.",
	}
}

// Test implements sdk.Bridge.
func (c *Connector) Test(ctx context.Context) (sdk.Report, error) {
	var report sdk.Report
	add := func(name string, status sdk.CheckStatus, found, fix string) {
		report.Checks = append(report.Checks, sdk.Check{Name: name, Status: status, Found: found, Fix: fix})
	}
	if c.hs == nil {
		return report, sdk.Refuse(sdk.CodeInvalid, "matrix: test: not configured")
	}
	c.testServer(ctx, add)
	if err := c.connectQuietly(ctx, add); err == nil {
		c.testPing(ctx, add)
		c.testEphemeral(add)
	}
	return report, nil
}

type addCheck func(name string, status sdk.CheckStatus, found, fix string)

func (c *Connector) testServer(ctx context.Context, add addCheck) {
	ctx, cancel := c.hs.limited(ctx)
	defer cancel()
	api := c.hs.as("")
	api.SetAppServiceUserID = false
	v, err := api.Versions(ctx)
	if err != nil {
		add("homeserver", sdk.CheckFailed, explain("no answer", err).Error(), "check `homeserver` ("+c.conf.Homeserver+") and that it runs")
		return
	}
	latest := "none"
	if len(v.Versions) > 0 {
		latest = v.GetLatest().String()
	}
	add("homeserver", sdk.CheckOK, "answers, Matrix "+latest, "")
}

func (c *Connector) connectQuietly(ctx context.Context, add addCheck) error {
	bot, err := c.whoAmI(ctx)
	if err != nil {
		fix := "the homeserver does not know the registration: add it to its configuration and restart it"
		if sdk.AsError(err).Code == sdk.CodeUnavailable {
			fix = "the homeserver is away or overloaded"
		}
		add("as_token", sdk.CheckFailed, err.Error(), fix)
		return err
	}
	add("as_token", sdk.CheckOK, "the bridge is "+string(bot), "")
	server := matrixid.Server(string(bot))
	if c.conf.ServerName != "" && c.conf.ServerName != server {
		add("server_name", sdk.CheckFailed, "the homeserver is "+server, "set `server_name: "+server+"` and write the registration anew")
	}
	ns := matrixid.Namespace{Prefix: c.conf.Prefix, Server: server}
	if err := checkNamespace(c.reg, ns); err != nil {
		add("namespace", sdk.CheckFailed, err.Error(), "write the registration anew with `viaduct bridge setup matrix`")
		return err
	}
	add("namespace", sdk.CheckOK, ns.UserRegex(), "")
	return nil
}

// testPing is the round trip: the homeserver calls the bridge while it is asked.
func (c *Connector) testPing(ctx context.Context, add addCheck) {
	err := c.askPing(ctx)
	switch {
	case err == nil:
		add("round trip", sdk.CheckOK, "the homeserver reaches "+c.reg.URL, "")
	case errcode(err) == "M_UNRECOGNIZED" || isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusMethodNotAllowed):
		add("round trip", sdk.CheckWarning, "this homeserver knows no ping (Dendrite): write a message in a bridged room to see whether it arrives", "")
	default:
		add("round trip", sdk.CheckFailed, err.Error(), "the homeserver must reach "+c.reg.URL+": check `listen`, `url`, the `url` in its copy of the registration, hs_token, and a firewall between")
	}
}

func (c *Connector) testEphemeral(add addCheck) {
	switch {
	case !c.reg.EphemeralEvents && !c.reg.SoruEphemeralEvents:
		add("typing and presence", sdk.CheckWarning, "the registration does not ask for them", "add `receive_ephemeral: true` to the registration on both sides, restart the homeserver")
	case c.reg.RateLimited == nil || *c.reg.RateLimited:
		add("rate limits", sdk.CheckWarning, "the homeserver limits the bridge like a user", "add `rate_limited: false` to the registration on both sides, restart the homeserver")
	case c.noShow.Load():
		add("presence", sdk.CheckWarning, "the homeserver takes no presence", "enable presence there, if people shall see who is online")
	}
}
