// Package extdisco tells clients which STUN and TURN servers and other services outside of XMPP they may use (XEP-0215), and makes them credentials
// that end.
//
// What it is not: it runs none of them. A relay of our own is core/turn, which shares a key with this package and nothing else.
//
// Specifications: XEP-0215 1.0.0; draft-uberti-behave-turn-rest-00 for time-limited credentials.
//
// Goroutines: none.
//
//	modules = append(modules, extdisco.New(extdisco.Options{Services: []extdisco.Service{{Type: "stun", Host: "stun.example.org", Port: 3478, Transport: "udp"}}}))
package extdisco

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the draft says so; it is a MAC
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// RelayKey is the purpose of the key that is shared with the server's own relay.
const RelayKey = "relay credentials"

// Service is one external service (XEP-0215 §2).
type Service struct {
	Host      string // "": the domain that is asked
	Port      int
	Type      string // stun, turn, stuns, turns, …
	Transport string // udp, tcp
	Name      string
	// Username and Password are the same for everybody; or
	Username, Password string
	// Secret is shared with the service: names and passwords are made from it and end after TTL; or
	Secret string
	// Own says that the service is the server's relay, whose secret is derived.
	Own bool
	// TTL is how long credentials are good; 12 hours by default.
	TTL time.Duration
}

// Options of the module. Without services it offers nothing.
type Options struct{ Services []Service }

// Keys derives keys from the server's secret; core/server provides it.
type Keys interface {
	DeriveKey(purpose string) ([]byte, error)
}

// maxAsked is how many services one request for credentials may name.
const maxAsked = 16

// Module implements module.Module.
type Module struct {
	o     Options
	d     module.Deps
	keys  Keys
	relay []byte // key of the relay
	names []byte // key of the opaque names
}

// New returns the module.
func New(o Options) *Module { return &Module{o: o} }

// Info implements module.Module.
func (*Module) Info() module.Info {
	return module.Info{Name: "extdisco", Specs: []module.Spec{{ID: "XEP-0215", Version: "1.0.0", Status: "complete",
		Note: "the list is fixed while the server runs, so nothing is pushed"}}}
}

// Register implements module.Module.
func (m *Module) Register(r *module.Registrar) error {
	if len(m.o.Services) == 0 {
		return nil
	}
	m.d = r.Deps
	r.Need(&m.keys)
	r.Feature(module.ScopeServer, ns.ExtDisco) // §6
	return r.IQ(
		module.IQRoute{Scope: module.ScopeServer, Type: stanza.TypeGet, Space: ns.ExtDisco, Local: "services", Handle: m.services},
		module.IQRoute{Scope: module.ScopeServer, Type: stanza.TypeGet, Space: ns.ExtDisco, Local: "credentials", Handle: m.credentials},
	)
}

// Start implements module.Starter.
func (m *Module) Start(context.Context) (err error) {
	if len(m.o.Services) == 0 {
		return nil
	}
	if m.relay, err = m.keys.DeriveKey(RelayKey); err != nil {
		return fmt.Errorf("extdisco: %w", err)
	}
	if m.names, err = m.keys.DeriveKey("names at services"); err != nil {
		return fmt.Errorf("extdisco: %w", err)
	}
	return nil
}

// Stop implements module.Starter.
func (*Module) Stop(context.Context) error { return nil }

// admit: who has no account here uses nothing of what its people may (attacks row 37).
func (m *Module) admit(req *module.Request) error {
	if from := req.IQ.From; !m.d.Hosts.IsAccountDomain(from.Domain()) || !from.HasLocal() {
		return stanza.NewError(stanza.Forbidden, "Only people with an account here may ask this.")
	}
	return nil
}

// services: XEP-0215 §3.1, §3.2.
func (m *Module) services(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	if err := m.admit(req); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.ExtDisco, "services")
	kind := req.Query.Attr("type")
	if kind != "" {
		out.SetAttr("type", kind)
	}
	for i := range m.o.Services {
		if s := &m.o.Services[i]; kind == "" || s.Type == kind {
			n := m.node(s, req)
			if s.Name != "" {
				n.SetAttr("name", s.Name)
			}
			m.sign(n, s, req.IQ.From)
			out.Add(n)
		}
	}
	return out, nil
}

// credentials: XEP-0215 §3.3.
func (m *Module) credentials(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
	if err := m.admit(req); err != nil {
		return nil, err
	}
	out := xmlstream.NewNode(ns.ExtDisco, "credentials")
	asked := 0
	given := map[int]bool{}
	for want := range req.Query.Node().Children(ns.ExtDisco, "service") {
		if asked++; asked > maxAsked || want.Attr("host") == "" || want.Attr("type") == "" { // MUST include both
			return nil, stanza.NewError(stanza.BadRequest, "A service is asked for by host and type.")
		}
		for i := range m.o.Services {
			s := &m.o.Services[i]
			n := m.node(s, req)
			if given[i] || !matches(want, n) || !m.sign(n, s, req.IQ.From) {
				continue
			}
			given[i] = true
			out.Add(n)
		}
	}
	switch {
	case asked == 0:
		return nil, stanza.NewError(stanza.BadRequest, "A service is asked for by host and type.")
	case len(out.Nodes) == 0:
		return nil, stanza.NewError(stanza.ItemNotFound, "There are no credentials for such a service.")
	}
	return out, nil
}

// matches: host and type, and port and transport where they are given.
func matches(want, n *xmlstream.Node) bool {
	for _, k := range []string{"host", "type", "port", "transport"} {
		if v, ok := want.AttrOK(k); ok && !strings.EqualFold(v, n.Attr(k)) {
			return false
		}
	}
	return true
}

func (m *Module) node(s *Service, req *module.Request) *xmlstream.Node {
	host := s.Host
	if host == "" {
		host = req.Target().Domain()
	}
	n := xmlstream.NewNode(ns.ExtDisco, "service", "host", host, "type", s.Type)
	if s.Port > 0 {
		n.SetAttr("port", strconv.Itoa(s.Port))
	}
	if s.Transport != "" {
		n.SetAttr("transport", s.Transport)
	}
	return n
}

// sign adds credentials; false: the service needs none.
func (m *Module) sign(n *xmlstream.Node, s *Service, who jid.JID) bool {
	secret := []byte(s.Secret)
	if s.Own {
		secret = m.relay
	}
	switch {
	case len(secret) > 0:
		ttl := s.TTL
		if ttl <= 0 {
			ttl = 12 * time.Hour
		}
		end := m.d.Clock.Now().Add(ttl).Truncate(time.Second)
		name := strconv.FormatInt(end.Unix(), 10) + ":" + m.opaque(who)
		n.SetAttr("username", name).SetAttr("password", password(secret, name)).SetAttr("expires", end.UTC().Format(time.RFC3339))
	case s.Username != "":
		n.SetAttr("username", s.Username).SetAttr("password", s.Password)
	default:
		return false
	}
	n.SetAttr("restricted", "1")
	return true
}

// opaque is the name of an account at services: the same each time, so that quotas hold, and nobody's address.
func (m *Module) opaque(who jid.JID) string {
	h := hmac.New(sha256.New, m.names)
	h.Write([]byte(who.Bare().String()))
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil))[:20])
}

// password: draft-uberti-behave-turn-rest-00 §2.2.
func password(secret []byte, name string) string {
	h := hmac.New(sha1.New, secret)
	h.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
