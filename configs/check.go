package configs

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub"
)

// reserved are the names under a domain that the server uses itself.
var reserved = []string{"rooms", "upload", "pubsub", "proxy", "echo", "admin", "spaces", "search", "www", "xmpp", "turn", "stun"}

var bridgeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

func (d *decoder) check(c *Config) {
	d.checkDomains(c)
	d.checkStorage(c)
	d.checkTLS(c)
	d.checkListen(&c.Listen)
	d.checkLog(c)
	if err := c.Rooms.Check(); err != nil {
		d.fail(d.seen["rooms"], "rooms: %v", err)
	}
	if line, err := c.Archive.Check(); err != nil {
		d.fail(max(line, d.seen["archive"]), "archive.%v", err)
	}
	if err := c.Rejoin.Check(); err != nil {
		d.fail(d.seen["rejoin"], "rejoin: %v", err)
	}
	if err := c.PubSub.Check(); err != nil {
		d.fail(d.seen["pubsub"], "pubsub: %v", err)
	}
	if err := c.Push.Check(); err != nil {
		d.fail(d.seen["push"], "push: %v", err)
	}
	d.checkBridges(c)
	d.checkLinks(c)
	d.checkFiles(c)
	if u := c.PublicURL; u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
		d.fail(d.seen["public_url"], "public_url must begin with https://")
	}
	for domain, addr := range c.S2S.Hosts {
		d.address(addr, d.seen["s2s.hosts"], "s2s.hosts."+domain, false)
	}
	if c.S2S.Resolver != "" {
		d.address(c.S2S.Resolver, d.seen["s2s.resolver"], "s2s.resolver", false)
	}
}

func (d *decoder) checkDomains(c *Config) {
	line := d.seen["domains"]
	if len(c.Domains) == 0 {
		d.fail(line, "domains: at least one domain is needed, such as domains: [example.org]")
		return
	}
	for i, name := range c.Domains {
		j, err := jid.Parse(name)
		if err != nil || j.HasLocal() || !j.IsBare() {
			d.fail(line, "domains: %q is not a domain", name)
			continue
		}
		c.Domains[i] = j.Domain()
		if slices.Contains(c.Domains[:i], c.Domains[i]) {
			d.fail(line, "domains: %s stands there twice", c.Domains[i])
		}
	}
}

func (d *decoder) checkStorage(c *Config) {
	switch c.Storage.Driver {
	case "sqlite":
		if !c.Storage.DSN.IsZero() {
			d.fail(max(d.seen["storage.dsn"], d.seen["storage.dsn_file"]), "storage.dsn has no meaning with driver sqlite, which keeps its files in data_dir; remove it")
		}
	case "postgres":
		d.fail(d.seen["storage.driver"], "storage.driver: postgres is not in this version; use sqlite")
	default:
		d.fail(d.seen["storage.driver"], "storage.driver: %q is unknown; use sqlite", c.Storage.Driver)
	}
}

func (d *decoder) checkTLS(c *Config) {
	line := d.seen["tls"]
	switch {
	case c.TLS.ACME != nil:
		d.fail(d.seen["tls.acme"], "tls.acme is not in this version; give tls.cert and tls.key, or neither for a certificate that the server makes itself")
	case c.TLS.Cert != "" && c.TLS.Key == "":
		d.fail(line, "tls.cert needs tls.key, the file with its private key")
	case c.TLS.Key != "" && c.TLS.Cert == "":
		d.fail(line, "tls.key needs tls.cert, the file with the certificate")
	}
}

func (d *decoder) checkListen(l *Listen) {
	used := map[string]string{}
	for _, e := range []struct {
		key   string
		addrs []string
	}{
		{"listen.c2s", l.C2S}, {"listen.c2s_tls", l.C2STLS}, {"listen.s2s", l.S2S}, {"listen.s2s_tls", l.S2STLS},
		{"listen.http", l.HTTP}, {"listen.https", l.HTTPS}, {"listen.admin", l.Admin}, {"listen.component", l.Component},
	} {
		for _, a := range e.addrs {
			if !d.address(a, d.seen[e.key], e.key, true) {
				continue
			}
			if other, dup := used[a]; dup && !strings.HasSuffix(a, ":0") {
				d.fail(d.seen[e.key], "%s: %s is used by %s already", e.key, a, other)
			}
			used[a] = e.key
		}
	}
}

func (d *decoder) address(addr string, line int, key string, emptyHost bool) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		d.fail(line, "%s: %q is not host:port; an IPv6 address stands in brackets, as in [::1]:5222", key, addr)
		return false
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		d.fail(line, "%s: %q has no port between 0 and 65535", key, addr)
		return false
	}
	if host == "" && !emptyHost {
		d.fail(line, "%s: %q has no host", key, addr)
		return false
	}
	return true
}

func (d *decoder) checkLog(c *Config) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		d.fail(d.seen["log.level"], "log.level: %q is unknown; use debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		d.fail(d.seen["log.format"], "log.format: %q is unknown; use text or json", c.Log.Format)
	}
}

func (d *decoder) checkBridges(c *Config) {
	names := map[string]int{}
	for i := range c.Bridges {
		b := &c.Bridges[i]
		switch {
		case b.Name == "":
			d.fail(b.Line, "a bridge needs a name; it becomes part of addresses and is for ever")
		case !bridgeName.MatchString(b.Name):
			d.fail(b.Line, "bridge %q: a name has 1 to 32 small letters, digits and hyphens", b.Name)
		case slices.Contains(reserved, b.Name):
			d.fail(b.Line, "bridge %q: the server uses %s.%s itself; choose another name", b.Name, b.Name, b.Domain)
		case names[b.Name] > 0:
			d.fail(b.Line, "bridge %q stands there twice; the first is in line %d", b.Name, names[b.Name])
		}
		names[b.Name] = b.Line
		if b.Plugin == "" {
			d.fail(b.Line, "bridge %q needs plugin: matrix, slack, discord, demo, or a path", b.Name)
		}
		if !slices.Contains(c.Domains, b.Domain) {
			d.fail(b.Line, "bridge %q: domain %s is not one of domains", b.Name, b.Domain)
		}
		if b.Transport != "mtls" && b.Transport != "socket" {
			d.fail(b.Line, "bridge %q: transport %q is unknown; use mtls or socket", b.Name, b.Transport)
		}
		d.checkAllow(b)
	}
}

func (d *decoder) checkAllow(b *Bridge) {
	for _, list := range [][]string{b.Allow.Use, b.Allow.CreateRooms, b.Allow.Link} {
		for _, e := range list {
			if e == "admins" {
				continue
			}
			if j, err := jid.Parse(e); err != nil || !j.IsBare() {
				d.fail(b.Line, "bridge %q: allow: %q is neither a domain nor an address nor \"admins\"", b.Name, e)
			}
		}
	}
}

func (d *decoder) checkLinks(c *Config) {
	rooms, remotes := map[string]int{}, map[LinkRemote]int{}
	for i := range c.Links {
		l := &c.Links[i]
		j, err := jid.Parse(l.Room)
		switch {
		case err != nil || !j.HasLocal() || !j.IsBare():
			d.fail(l.Line, "link: room %q is not the address of a room", l.Room)
		case len(c.Domains) > 0 && !slices.ContainsFunc(c.Domains, func(domain string) bool { return j.Domain() == "rooms."+domain }):
			d.fail(l.Line, "link: room %s is no room of this server; write one such as %s@rooms.%s", l.Room, j.Local(), c.Domains[0])
		case rooms[j.String()] > 0:
			d.fail(l.Line, "link of %s stands there twice; the first is in line %d", l.Room, rooms[j.String()])
		default:
			l.Room = j.String()
			rooms[l.Room] = l.Line
		}
		if len(l.Remotes) == 0 {
			d.fail(l.Line, "link of %s: remotes has no entry", l.Room)
		}
		for _, r := range l.Remotes {
			if r.Room == "" {
				d.fail(l.Line, "link of %s: a remote of %q has no room", l.Room, r.Bridge)
			}
			if remotes[r] > 0 {
				d.fail(l.Line, "link of %s: %s:%s is linked in line %d already; a remote room can be in one link only", l.Room, r.Bridge, r.Room, remotes[r])
			}
			remotes[r] = max(1, l.Line)
			if !slices.ContainsFunc(c.Bridges, func(b Bridge) bool { return b.Name == r.Bridge }) {
				d.fail(l.Line, "link of %s: there is no bridge %q", l.Room, r.Bridge)
			}
		}
	}
}

// Hosts returns the names that the server answers to, beside its domains: what a certificate must have.
func (c *Config) Hosts() []string {
	var out []string
	for _, d := range c.Domains {
		out = append(out, d, "rooms."+d, pubsub.Label+"."+d, "upload."+d)
	}
	for _, b := range c.Bridges {
		host := fmt.Sprintf("%s.%s", b.Name, b.Domain)
		out = append(out, host, "rooms."+host)
	}
	return out
}

// CertificateNames are the names of a certificate that the server makes itself: the hosts, and where links of public_url lead.
func (c *Config) CertificateNames() []string {
	out := c.Hosts()
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" && !slices.Contains(out, u.Hostname()) {
		out = append(out, u.Hostname())
	}
	return out
}
