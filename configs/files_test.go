package configs

import (
	"strings"
	"testing"
	"time"
)

func TestFiles(t *testing.T) {
	c, err := Parse([]byte(`domains: [example.org]
upload:
  max_bytes: 10 MiB
  expire_after: 7d
  classes: [{over_bytes: 1 MiB, after: 36h}]
  store: {driver: s3, endpoint: "https://s3.example.net", bucket: files, access_key: id, secret_key: made-up}
turn: {on: true, relay_ip: 203.0.113.5, allow_peers: [10.1.0.0/16]}
services: [{type: turn, host: turn.example.org, port: 3478, transport: udp, secret: made-up, credentials_for: 1h}]
`), "/etc/viaduct.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	u := c.Upload
	if u.MaxBytes != 10<<20 || time.Duration(u.ExpireAfter) != 7*24*time.Hour || len(u.Classes) != 1 || time.Duration(u.Classes[0].After) != 36*time.Hour ||
		u.PerUserBytes != 2<<30 || u.Store.SecretKey.Reveal() != "made-up" || c.Services[0].Secret.Reveal() != "made-up" || c.Turn.MaxPort != 65535 {
		t.Errorf("read %+v %+v", c.Upload, c.Turn)
	}
	if got := c.UploadURL(); got != "https://example.org:5443" {
		t.Errorf("links begin with %s", got)
	}
}

func TestUploadURL(t *testing.T) {
	for name, x := range map[string]struct {
		text, want string
	}{
		"default":        {"", "https://a.example:5443"},
		"port 443":       {"listen: {https: [\":443\"]}", "https://a.example"},
		"given":          {"public_url: https://files.a.example", "https://files.a.example"},
		"off":            {"upload: {on: false}", ""},
		"not encrypted":  {"listen: {https: []}", ""},
		"behind a proxy": {"listen: {https: []}\npublic_url: https://a.example", "https://a.example"},
		"no listener":    {"listen: {https: [], http: []}\npublic_url: https://a.example", ""},
	} {
		c, err := Parse([]byte("domains: [a.example]\n"+x.text), "viaduct.yaml", nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := c.UploadURL(); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func TestFileMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"upload: {expire_after: soon}":                                           "is no length of time",
		"upload: {expire_after: -1d}":                                            "is no length of time",
		"upload: {store: {driver: tape}}":                                        `"tape" is unknown; use dir or s3`,
		"upload: {store: {bucket: x}}":                                           "have a meaning with driver s3 only",
		"upload: {store: {driver: s3, endpoint: \"https://x\"}}":                 "needs bucket, access_key and secret_key",
		"upload: {store: {driver: s3, endpoint: x}}":                             "must begin with https://",
		"upload: {classes: [{after: 1d}]}":                                       "an entry needs over_bytes and after",
		"turn: {on: true}":                                                       "turn.relay_ip must be the public address",
		"turn: {on: true, relay_ip: 0.0.0.0}":                                    "turn.relay_ip must be the public address",
		"turn: {on: true, relay_ip: 203.0.113.5, allow_peers: [10.1]}":           "is no network",
		"turn: {on: true, relay_ip: 203.0.113.5, min_port: 9, max_port: 8}":      "ports 9 to 8 are none",
		"turn: {on: true, relay_ip: 203.0.113.5, listen: []}":                    "needs an address",
		"services: [{type: turn}]":                                               "a service needs type and host",
		"services: [{type: turn, host: x, username: a}]":                         "username needs password",
		"services: [{type: turn, host: x, username: a, password: b, secret: c}]": "keep one",
	} {
		_, err := Parse([]byte("domains: [a.example]\n"+text), "viaduct.yaml", nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "viaduct.yaml:2:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
