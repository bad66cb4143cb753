package tlscert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Store.
type Options struct {
	Source Source
	Names  []string         // the hosts this server serves; U-labels are taken
	Clock  func() time.Time // default time.Now
	Log    *slog.Logger     // default discards
	// Every is how often Run reloads. Default one hour.
	Every time.Duration
}

// Store serves certificates by name. It is safe for concurrent use.
type Store struct {
	opts Options

	mu    sync.Mutex // one Reload at a time
	names []string   // guarded by mu

	current atomic.Pointer[bundle]
}

// bundle is what is served between two reloads; it is never changed.
type bundle struct {
	certs  []*tls.Certificate
	byName map[string][]*tls.Certificate // dNSNames as they are, wildcards with their star
}

// Open loads the certificates.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Source == nil {
		return nil, errors.New("tlscert: open: no source")
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Every == 0 {
		opts.Every = time.Hour
	}
	s := &Store{opts: opts}
	if _, err := s.SetNames(ctx, opts.Names); err != nil {
		return nil, err
	}
	return s, nil
}

// SetNames changes the list of hosts and reloads.
func (s *Store) SetNames(ctx context.Context, names []string) (changed bool, err error) {
	names, err = normalizeAll(names)
	if err != nil {
		return false, fmt.Errorf("tlscert: names: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err = s.reload(ctx, names)
	if err == nil {
		s.names = names
	}
	return changed, err
}

// Reload asks the source anew. On an error everything stays as it was; the
// error says why. changed tells whether other certificates are served now.
func (s *Store) Reload(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload(ctx, s.names)
}

func (s *Store) reload(ctx context.Context, names []string) (bool, error) {
	certs, err := s.opts.Source.Load(ctx, names)
	if err != nil {
		return false, err
	}
	next, err := newBundle(certs)
	if err != nil {
		return false, err
	}
	old := s.current.Load()
	if err := s.acceptable(old, next); err != nil {
		return false, err
	}
	if old != nil && old.equal(next) {
		return false, nil
	}
	s.current.Store(next)
	return true, nil
}

// acceptable refuses to replace a certificate that is valid by one that is not.
// At start there is nothing better to serve; Problems says so.
func (s *Store) acceptable(old, next *bundle) error {
	now := s.opts.Clock()
	if old == nil || !validAt(old.certs[0].Leaf, now) {
		return nil
	}
	for _, c := range next.certs {
		if !validAt(c.Leaf, now) {
			return fmt.Errorf("tlscert: the new certificate for %s is valid from %s to %s, not now: the old one stays",
				strings.Join(c.Leaf.DNSNames, ", "), c.Leaf.NotBefore.Format(time.RFC3339), c.Leaf.NotAfter.Format(time.RFC3339))
		}
	}
	return nil
}

func validAt(leaf *x509.Certificate, now time.Time) bool {
	return !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
}

func newBundle(certs []tls.Certificate) (*bundle, error) {
	if len(certs) == 0 {
		return nil, errors.New("tlscert: the source gave no certificate")
	}
	b := &bundle{byName: make(map[string][]*tls.Certificate)}
	for i := range certs {
		c := &certs[i]
		if c.Leaf == nil {
			return nil, errors.New("tlscert: the source gave a certificate without a parsed leaf")
		}
		b.certs = append(b.certs, c)
		for _, n := range c.Leaf.DNSNames {
			n = strings.ToLower(n)
			b.byName[n] = append(b.byName[n], c)
		}
		for _, a := range c.Leaf.IPAddresses {
			b.byName[a.String()] = append(b.byName[a.String()], c)
		}
	}
	return b, nil
}

func (b *bundle) equal(o *bundle) bool {
	if len(b.certs) != len(o.certs) {
		return false
	}
	for i := range b.certs {
		if len(b.certs[i].Certificate) != len(o.certs[i].Certificate) {
			return false
		}
		for j, der := range b.certs[i].Certificate {
			if !bytes.Equal(der, o.certs[i].Certificate[j]) {
				return false
			}
		}
	}
	return true
}

// candidates are the certificates for a normalised host, exact names first.
func (b *bundle) candidates(host string) []*tls.Certificate {
	if c := b.byName[host]; len(c) > 0 {
		return c
	}
	if label, rest, ok := strings.Cut(host, "."); ok && label != "" {
		return b.byName["*."+rest]
	}
	return nil
}

// Recorder is implemented by a connection that wants to know which certificate
// it served: crypto/tls does not tell, and tls-server-end-point needs it.
type Recorder interface {
	ServedLeaf(leaf *x509.Certificate)
}

// GetCertificate is for tls.Config: it chooses by server name, prefers what the
// client can use, and falls back to the first certificate (clients name SRV
// targets, addresses, or nothing).
func (s *Store) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.choose(hello)
	if r, ok := hello.Conn.(Recorder); ok {
		r.ServedLeaf(c.Leaf)
	}
	return c, nil
}

func (s *Store) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	b := s.current.Load()
	candidates := b.candidates(strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")))
	if len(candidates) == 0 {
		candidates = b.certs
	}
	if len(candidates) > 1 {
		for _, c := range candidates {
			if hello.SupportsCertificate(c) == nil {
				return c
			}
		}
	}
	return candidates[0]
}

// Certificate gives the certificate for a host, for use as a client.
func (s *Store) Certificate(host string) *tls.Certificate {
	b := s.current.Load()
	if n, err := normalize(host); err == nil {
		if c := b.candidates(n); len(c) > 0 {
			return c[0]
		}
	}
	return b.certs[0]
}

// Missing gives those of names that no certificate which is valid now covers,
// as they were given.
func (s *Store) Missing(names []string) []string {
	b, now := s.current.Load(), s.opts.Clock()
	var missing []string
	for _, name := range names {
		host, err := normalize(name)
		if err != nil || !b.covers(host, now) {
			missing = append(missing, name)
		}
	}
	return missing
}

func (b *bundle) covers(host string, now time.Time) bool {
	addr := net.ParseIP(host)
	for _, c := range b.certs {
		if !validAt(c.Leaf, now) {
			continue
		}
		for _, n := range c.Leaf.DNSNames {
			if addr == nil && covers(strings.ToLower(n), host) {
				return true
			}
		}
		for _, a := range c.Leaf.IPAddresses {
			if addr != nil && a.Equal(addr) {
				return true
			}
		}
	}
	return false
}

// Status is one served certificate, for people.
type Status struct {
	Names      []string
	Issuer     string
	NotAfter   time.Time
	SelfSigned bool   // made by SelfSigned, or its own issuer
	Problem    string // empty, or what is wrong and what to do
}

// Status describes what is served.
func (s *Store) Status() []Status {
	_, own := s.opts.Source.(SelfSigned)
	now := s.opts.Clock()
	var out []Status
	for _, c := range s.current.Load().certs {
		st := Status{
			Names: c.Leaf.DNSNames, Issuer: c.Leaf.Issuer.String(), NotAfter: c.Leaf.NotAfter,
			SelfSigned: own || bytes.Equal(c.Leaf.RawIssuer, c.Leaf.RawSubject),
		}
		switch {
		case now.Before(c.Leaf.NotBefore):
			st.Problem = "not valid yet: check the clock of this machine"
		case now.After(c.Leaf.NotAfter):
			st.Problem = "has expired: renew it and reload"
		case !own && now.Add(7*24*time.Hour).After(c.Leaf.NotAfter):
			st.Problem = "expires within a week: renew it and reload"
		}
		out = append(out, st)
	}
	return out
}

// Run reloads from time to time until ctx ends, so that a file renewed by
// another program and a self-signed certificate about to end are replaced.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(s.opts.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := s.Reload(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.opts.Log.Error("could not reload certificates, the old ones stay", "error", err)
		case changed:
			s.opts.Log.Info("reloaded certificates")
		}
	}
}
