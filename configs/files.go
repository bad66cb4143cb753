package configs

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time; in the file a number with s, m, h or d, such as 30d; 0 is none.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(strings.TrimSpace(days)); err == nil && n >= 0 && n <= 100*366 {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	} else if v, err := time.ParseDuration(text); err == nil && v >= 0 {
		*d = Duration(v)
		return nil
	}
	return fmt.Errorf("%q is no length of time; write a number with s, m, h or d, such as 30d", text)
}

// Upload is for files that people share (XEP-0363), served by listen.http and listen.https. A limit of 0 is none.
type Upload struct {
	// On lets people upload files. Default: true.
	On bool `yaml:"on"`
	// MaxBytes is the largest file. Default: 100 MiB.
	MaxBytes Size `yaml:"max_bytes"`
	// PerUserBytes is how much one account may have here. Default: 2 GiB.
	PerUserBytes Size `yaml:"per_user_bytes"`
	// PerDayBytes is how much one account may bring in 24 hours. Default: 1 GiB.
	PerDayBytes Size `yaml:"per_day_bytes"`
	// TotalBytes is how much all files together may take. Default: 20 GiB.
	TotalBytes Size `yaml:"total_bytes"`
	// ExpireAfter is how long a file stays; 0: for ever. Default: 30d.
	ExpireAfter Duration `yaml:"expire_after"`
	// Classes are shorter times for larger files.
	Classes []UploadClass `yaml:"classes"`
	// ProfileBytes is how much one account may have of pictures of itself, which stay longer; 0: they are like other files. Default: 16 MiB.
	ProfileBytes Size `yaml:"profile_bytes"`
	// ProfileExpireAfter is how long these stay; 0: for ever. Default: 0.
	ProfileExpireAfter Duration `yaml:"profile_expire_after"`
	// Permanent lets people ask for files that never expire.
	Permanent bool `yaml:"permanent"`
	// Store is where the files lie.
	Store UploadStore `yaml:"store"`
}

// UploadClass is a class of files by size.
type UploadClass struct {
	// OverBytes is the size above which a file belongs to it.
	OverBytes Size `yaml:"over_bytes"`
	// After is how long such a file stays.
	After Duration `yaml:"after"`
}

// UploadStore is where the files lie: a folder or a bucket.
type UploadStore struct {
	// Driver is dir or s3.
	Driver string `yaml:"driver"`
	// Dir is the folder of dir, and of files on their way with s3. Default: files in data_dir.
	Dir string `yaml:"dir"`
	// Endpoint is the address of an S3-compatible store, https://HOST.
	Endpoint string `yaml:"endpoint"`
	// Region is the bucket's region. Default: us-east-1.
	Region string `yaml:"region"`
	// Bucket is the bucket's name.
	Bucket string `yaml:"bucket"`
	// Prefix stands before the names of objects.
	Prefix string `yaml:"prefix"`
	// VirtualHost puts the bucket's name before the host instead of into the path.
	VirtualHost bool `yaml:"virtual_host"`
	// AccessKey is the name that requests are signed with; a secret.
	AccessKey Secret `yaml:"access_key"`
	// SecretKey is what they are signed with; a secret.
	SecretKey Secret `yaml:"secret_key"`
}

// Turn is the server's own relay for calls (STUN, TURN).
type Turn struct {
	// On starts it.
	On bool `yaml:"on"`
	// Listen are its addresses, for UDP and TCP.
	Listen []string `yaml:"listen"`
	// ListenTLS are addresses for TLS, with the server's certificate.
	ListenTLS []string `yaml:"listen_tls"`
	// Host is the name or address that clients are told. Default: their domain.
	Host string `yaml:"host"`
	// RelayIP is the public address of this machine, to which the other side of a call sends.
	RelayIP string `yaml:"relay_ip"`
	// Bind is the local address of relayed calls, if the machine does not have the public one itself. Default: relay_ip.
	Bind string `yaml:"bind"`
	// MinPort is the first port of relayed calls.
	MinPort int `yaml:"min_port"`
	// MaxPort is the last one.
	MaxPort int `yaml:"max_port"`
	// AllowPeers are networks such as 10.1.0.0/16 to which may be relayed although they are private.
	AllowPeers []string `yaml:"allow_peers"`
	// PerUser is how many relayed connections one account may have at once.
	PerUser int `yaml:"per_user"`
	// BytesPerSecond is how much is relayed for one account. Default: 1 MiB.
	BytesPerSecond Size `yaml:"bytes_per_second"`
	// CredentialsFor is how long the credentials are good that clients get. Default: 12h.
	CredentialsFor Duration `yaml:"credentials_for"`
}

// Service is a service outside of this server that clients are told of (XEP-0215).
type Service struct {
	// Type is stun, turn, stuns, turns or another.
	Type string `yaml:"type"`
	// Host is its name or address.
	Host string `yaml:"host"`
	// Port is its port.
	Port int `yaml:"port"`
	// Transport is udp or tcp.
	Transport string `yaml:"transport"`
	// Name is what people are shown.
	Name string `yaml:"name"`
	// Username is a name that is the same for everybody.
	Username string `yaml:"username"`
	// Password is its password; a secret.
	Password Secret `yaml:"password"`
	// Secret is shared with the service (in coturn: static-auth-secret); credentials are made from it that end. A secret.
	Secret Secret `yaml:"secret"`
	// CredentialsFor is how long these are good. Default: 12h.
	CredentialsFor Duration `yaml:"credentials_for"`

	// Line is where the entry begins in the file.
	Line int `yaml:"-"`
}

func defaultUpload() Upload {
	const day = Duration(24 * time.Hour)
	return Upload{On: true, MaxBytes: 100 << 20, PerUserBytes: 2 << 30, PerDayBytes: 1 << 30, TotalBytes: 20 << 30, ExpireAfter: 30 * day,
		ProfileBytes: 16 << 20, Store: UploadStore{Driver: "dir"}}
}

func defaultTurn() Turn {
	return Turn{Listen: []string{":3478"}, MinPort: 49152, MaxPort: 65535, PerUser: 10, BytesPerSecond: 1 << 20, CredentialsFor: Duration(12 * time.Hour)}
}

func (d *decoder) checkFiles(c *Config) {
	d.checkUpload(&c.Upload)
	d.checkTurn(&c.Turn)
	for _, s := range c.Services {
		switch {
		case s.Type == "" || s.Host == "":
			d.fail(s.Line, "a service needs type and host")
		case s.Port < 0 || s.Port > 65535:
			d.fail(s.Line, "service %s: %d is no port", s.Host, s.Port)
		case !s.Secret.IsZero() && s.Username != "":
			d.fail(s.Line, "service %s: secret makes names, so username has no meaning; keep one", s.Host)
		case s.Username != "" && s.Password.IsZero():
			d.fail(s.Line, "service %s: username needs password", s.Host)
		}
	}
}

// maxS3 is what S3 takes in one request.
const maxS3 = 5 << 30

func (d *decoder) checkUpload(u *Upload) {
	s := &u.Store
	switch s.Driver {
	case "dir":
		if s.Endpoint != "" || s.Bucket != "" || !s.AccessKey.IsZero() || !s.SecretKey.IsZero() {
			d.fail(d.seen["upload.store"], "upload.store: endpoint, bucket and keys have a meaning with driver s3 only")
		}
	case "s3":
		if !strings.HasPrefix(s.Endpoint, "https://") && !strings.HasPrefix(s.Endpoint, "http://") {
			d.fail(max(d.seen["upload.store"], d.seen["upload.store.endpoint"]), "upload.store.endpoint must begin with https://")
		}
		if s.Bucket == "" || s.AccessKey.IsZero() || s.SecretKey.IsZero() {
			d.fail(d.seen["upload.store"], "upload.store: driver s3 needs bucket, access_key and secret_key")
		}
		if u.MaxBytes == 0 || u.MaxBytes > maxS3 {
			d.fail(max(d.seen["upload"], d.seen["upload.max_bytes"]), "upload.max_bytes: with driver s3 a file may have 5 GiB")
		}
	default:
		d.fail(d.seen["upload.store.driver"], "upload.store.driver: %q is unknown; use dir or s3", s.Driver)
	}
	for _, k := range u.Classes {
		if k.OverBytes == 0 || k.After == 0 {
			d.fail(d.seen["upload.classes"], "upload.classes: an entry needs over_bytes and after, such as {over_bytes: 20 MiB, after: 7d}")
		}
	}
}

func (d *decoder) checkTurn(t *Turn) {
	if !t.On {
		return
	}
	for _, a := range t.Listen {
		d.address(a, d.seen["turn.listen"], "turn.listen", true)
	}
	for _, a := range t.ListenTLS {
		d.address(a, d.seen["turn.listen_tls"], "turn.listen_tls", true)
	}
	if len(t.Listen)+len(t.ListenTLS) == 0 {
		d.fail(d.seen["turn"], "turn: listen or listen_tls needs an address")
	}
	if ip, err := netip.ParseAddr(t.RelayIP); err != nil || ip.IsUnspecified() {
		d.fail(max(d.seen["turn.on"], d.seen["turn.relay_ip"]), "turn.relay_ip must be the public address of this machine; %q is none", t.RelayIP)
	}
	if t.Bind != "" && net.ParseIP(t.Bind) == nil {
		d.fail(d.seen["turn.bind"], "turn.bind: %q is no address", t.Bind)
	}
	if t.MinPort < 1 || t.MaxPort > 65535 || t.MaxPort < t.MinPort {
		d.fail(max(d.seen["turn.min_port"], d.seen["turn.max_port"]), "turn: ports %d to %d are none", t.MinPort, t.MaxPort)
	}
	for _, p := range t.AllowPeers {
		if _, err := netip.ParsePrefix(p); err != nil {
			d.fail(d.seen["turn.allow_peers"], "turn.allow_peers: %q is no network; write 10.1.0.0/16", p)
		}
	}
}

// UploadURL is what the links of files begin with; "" if there is none, and files cannot be shared.
func (c *Config) UploadURL() string {
	if !c.Upload.On {
		return ""
	}
	return c.WebURL()
}

// WebURL is where people's programs reach listen.http and listen.https, as the configuration says or as follows from it; "" if they cannot.
func (c *Config) WebURL() string {
	switch {
	case len(c.Listen.HTTP)+len(c.Listen.HTTPS) == 0:
		return ""
	case c.PublicURL != "":
		return c.PublicURL
	case len(c.Listen.HTTPS) == 0: // XEP-0363 §4: files go by TLS
		return ""
	}
	_, port, err := net.SplitHostPort(c.Listen.HTTPS[0])
	if err != nil || port == "443" {
		return "https://" + c.Domains[0]
	}
	return "https://" + net.JoinHostPort(c.Domains[0], port)
}
