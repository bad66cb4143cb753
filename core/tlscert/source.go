package tlscert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Source yields the certificates of a server. The answer is never empty, has
// Leaf filled in, and its first certificate is served to who names no host or an
// unknown one. names are normalised hosts without wildcards. A Source may take
// long (ACME); Load is not called concurrently.
type Source interface {
	Load(ctx context.Context, names []string) ([]tls.Certificate, error)
}

// Pair is a certificate file (PEM, the leaf first, then its chain) and its key.
type Pair struct {
	CertFile, KeyFile string
}

// Files is the Source of an operator's own files, read anew at every Load.
type Files []Pair

// Load implements Source.
func (f Files) Load(ctx context.Context, _ []string) ([]tls.Certificate, error) {
	if len(f) == 0 {
		return nil, errors.New("tlscert: no certificate files")
	}
	certs := make([]tls.Certificate, 0, len(f))
	for _, p := range f {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("tlscert: load: %w", err)
		}
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

func (p Pair) load() (tls.Certificate, error) {
	certPEM, err := os.ReadFile(p.CertFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.cert: %w", err)
	}
	keyPEM, err := os.ReadFile(p.KeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.key: %w", err)
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.cert %s with tls.key %s: %w", p.CertFile, p.KeyFile, err)
	}
	return withLeaf(c)
}

// withLeaf parses the leaf if the platform's settings left it out.
func withLeaf(c tls.Certificate) (tls.Certificate, error) {
	if c.Leaf != nil {
		return c, nil
	}
	if len(c.Certificate) == 0 {
		return c, errors.New("tlscert: an empty chain")
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return c, fmt.Errorf("tlscert: parse leaf: %w", err)
	}
	c.Leaf = leaf
	return c, nil
}
