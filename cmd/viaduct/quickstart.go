package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/admin"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/internal/appliance"
)

const quickstartConfig = `# Viaduct's configuration. Every key: docs/config.md. Check it: viaduct check config
domains: [%[1]s]
public_url: https://%[1]s
data_dir: data

# A real certificate for the names below; without one the server makes its own and clients ask whether to trust it.
# %[2]s
#tls: {cert: /etc/viaduct/cert.pem, key: /etc/viaduct/key.pem}

# Let people make accounts themselves? Otherwise: viaduct user add NAME@%[1]s
registration: {open: false}

# Bridges to other networks; what to do on their side: viaduct bridge setup matrix
#bridges:
#  - name: matrix
#    plugin: matrix
#    config: {homeserver: "https://matrix.%[1]s", registration_file: matrix-registration.yaml, listen: "127.0.0.1:29317"}
`

const quickstartUnit = `[Unit]
Description=Viaduct, an XMPP server with bridges
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=%s --config %s serve
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
User=viaduct
UMask=0077
AmbientCapabilities=CAP_NET_BIND_SERVICE
NoNewPrivileges=true
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
ReadWritePaths=%s
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
`

func (p *program) quickstartCommand() *cobra.Command {
	var domain, dir string
	cmd := &cobra.Command{
		Use:   "quickstart --domain D [--dir DIR]",
		Short: "write a configuration and say what else a real server needs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.quickstart(cmd.Context(), domain, dir)
		},
	}
	cmd.Flags().StringVar(&domain, "domain", "", "the domain of the accounts, such as example.org")
	cmd.Flags().StringVar(&dir, "dir", ".", "where to write")
	return cmd
}

func (p *program) quickstart(ctx context.Context, domain, dir string) error {
	d, err := jid.Parse(domain)
	if err != nil || domain == "" || d.HasLocal() || !d.IsBare() {
		return fmt.Errorf("--domain: %q is not a domain; give the one of the accounts, such as --domain example.org", domain)
	}
	domain, dir = d.Domain(), absolute(dir)
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	names := []string{domain, "*." + domain}
	file := filepath.Join(dir, "viaduct.yaml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeOnce(file, fmt.Sprintf(quickstartConfig, domain, strings.Join(names, ", "))); err != nil {
		return err
	}
	as := serviceOf(exe, dir)
	wrote := file
	if as.unit != "" {
		if err := writeOnce(as.file, as.unit); err != nil {
			return err
		}
		wrote += " and " + as.file
	}
	c, err := configs.Load(file, p.env)
	if err != nil {
		return err
	}
	who := "admin@" + domain
	res, err := appliance.RunStopped(ctx, appliance.Options{Config: c, File: file, Env: p.env}, admin.Call{Name: "user add", Args: []string{who}, Flags: map[string]string{"admin": "true"}}, nil)
	if err != nil {
		return err
	}
	data, ok := res.Data.(map[string]any)
	if !ok {
		return errors.New("quickstart: the account's password is missing in the result")
	}
	return p.show(admin.Result{
		Data: map[string]any{"config": file, "unit": as.file, "admin": who, "password": data["password"], "certificate_names": names, "dns": records(domain)},
		Text: fmt.Sprintf("Wrote %s.\n\nFirst administrator; this password is shown only now:\n  %s\n  %s\n\nDNS records, with your server's name for HOST:\n  %s\n\nThe certificate needs these names (a bridge NAME adds *.NAME.%s):\n  %s\n\nStart it:\n  %s --config %s serve\n\nOr as a service, as root:\n  %s",
			wrote, who, data["password"], strings.Join(records(domain), "\n  "), domain, strings.Join(names, ", "), exe, file,
			strings.Join(as.steps, "\n  ")),
	})
}

// service is how the server runs by itself: a unit of systemd, and what to do with it.
type service struct {
	file, unit string // none for a folder in a home
	steps      []string
}

// serviceOf makes a service of a program and the folder with the configuration. It runs as a user of its own, who must own what it reads and
// writes and does not see homes, so that it needs a program elsewhere.
func serviceOf(exe, dir string) service {
	if inHome(dir) {
		return service{steps: []string{
			"a service does not look into people's homes: run quickstart with --dir /etc/viaduct",
		}}
	}
	var steps []string
	if inHome(exe) {
		const to = "/usr/local/bin"
		steps = append(steps, "install -m 755 "+filepath.Dir(exe)+"/viaduct* "+to)
		exe = filepath.Join(to, "viaduct")
	}
	file := filepath.Join(dir, "viaduct.service")
	return service{
		file: file, unit: fmt.Sprintf(quickstartUnit, exe, filepath.Join(dir, "viaduct.yaml"), dir),
		steps: append(steps,
			"useradd --system --no-create-home viaduct",
			"chown -R viaduct: "+dir,
			"systemctl link "+file,
			"systemctl enable --now viaduct",
		),
	}
}

// inHome tells whether ProtectHome= of the unit hides a path.
func inHome(path string) bool {
	return slices.ContainsFunc([]string{"/home/", "/root/", "/run/user/"}, func(home string) bool {
		return strings.HasPrefix(path+"/", home)
	})
}

// records are the DNS records of a server (RFC 6120 §3.2.1, XEP-0368 §3). Those for other servers come with federation: a record must not point to
// a port that nothing listens on.
func records(domain string) []string {
	return []string{
		"_xmpp-client._tcp." + domain + ".   IN SRV 5 0 5222 HOST.",
		"_xmpps-client._tcp." + domain + ".  IN SRV 5 0 5223 HOST.",
		"rooms." + domain + ".               IN CNAME HOST.",
	}
}

// writeOnce writes a file that must not exist.
func writeOnce(name, text string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already; nothing was overwritten", name)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
