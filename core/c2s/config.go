package c2s

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Config is the limits of client streams: limits in the configuration file. A value of 0 takes the default.
type Config struct {
	// Off switches the limits of rates and numbers off, for measuring. Sizes of stanzas and the login deadline stay.
	Off bool `yaml:"off"`
	// ConnectionsPerIP is how many client connections one address may have at once. Default 200.
	ConnectionsPerIP int `yaml:"connections_per_ip"`
	// HTTPConnectionsPerIP is how many connections for HTTP one address may have at once, and how many requests under way through a proxy on this machine
	// (which names the address in X-Forwarded-For). Connections of this machine, and those without TLS of private networks, where proxies are, are not
	// counted. Default 100.
	HTTPConnectionsPerIP int `yaml:"http_connections_per_ip"`
	// AuthSeconds is how long a connection may take to log in. Default 30.
	AuthSeconds int `yaml:"auth_seconds"`
	// StanzaBytes is the largest stanza of a client. Default 256 KiB; at least 10,000 (RFC 6120 §13.12).
	StanzaBytes int `yaml:"stanza_bytes"`
	// StanzasPerSecond is how many stanzas a client may send each second over a while; above it the server reads slower. Default 100.
	StanzasPerSecond int `yaml:"stanzas_per_second"`
	// BytesPerSecond is the same for bytes. Default 256 KiB.
	BytesPerSecond int `yaml:"bytes_per_second"`
	// SessionsPerUser is how many clients of one account may be logged in at once. Default 50.
	SessionsPerUser int `yaml:"sessions_per_user"`
	// SMQueueBytes is how much is kept in memory for a client that does not acknowledge (XEP-0198). Default 1 MiB.
	SMQueueBytes int `yaml:"sm_queue_bytes"`
	// SMQueueStanzas is the same in stanzas. Default 4,096.
	SMQueueStanzas int `yaml:"sm_queue_stanzas"`
	// SMResumeSeconds is how long a broken connection can be resumed (XEP-0198). Default 600.
	SMResumeSeconds int `yaml:"sm_resume_seconds"`
	// PingSeconds is after how much silence a client is asked whether it is still there. Default 300.
	PingSeconds int `yaml:"ping_seconds"`
	// PongSeconds is how long it may then take to show a sign of life. Default 60.
	PongSeconds int `yaml:"pong_seconds"`
}

// minStanzaBytes is what every server has to take (RFC 6120 §13.12).
const minStanzaBytes = 10000

// unlimited is a number that no queue reaches.
const unlimited = 1 << 30

// WithDefaults returns the configuration with the defaults filled in.
func (c Config) WithDefaults() Config {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.ConnectionsPerIP, 200}, {&c.HTTPConnectionsPerIP, 100}, {&c.AuthSeconds, 30}, {&c.StanzaBytes, 256 << 10}, {&c.StanzasPerSecond, 100},
		{&c.BytesPerSecond, 256 << 10}, {&c.SessionsPerUser, 50}, {&c.SMQueueBytes, 1 << 20}, {&c.SMQueueStanzas, 4096},
		{&c.SMResumeSeconds, 600}, {&c.PingSeconds, 300}, {&c.PongSeconds, 60},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	c.StanzaBytes = max(c.StanzaBytes, minStanzaBytes)
	return c
}

// SessionLimits is what the configuration means for core/session.
func (c Config) SessionLimits() session.Limits {
	c = c.WithDefaults()
	l := session.Limits{
		PerUser: c.SessionsPerUser, QueueBytes: c.SMQueueBytes, QueueStanzas: c.SMQueueStanzas,
		ResumeTime: time.Duration(c.SMResumeSeconds) * time.Second,
	}
	if c.Off {
		l.PerUser, l.QueueBytes, l.QueueStanzas, l.SpoolStanzas = unlimited, unlimited, unlimited, unlimited
	}
	return l
}

// HTTPPerIP is what the configuration means for core/httpd; 0 is any number.
func (c Config) HTTPPerIP() int {
	if c.Off {
		return 0
	}
	return c.WithDefaults().HTTPConnectionsPerIP
}

// XMLLimits are those of an authenticated stream.
func (c Config) XMLLimits() xmlstream.Limits {
	l := xmlstream.C2S
	l.MaxBytes = c.StanzaBytes
	return l
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
