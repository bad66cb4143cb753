package tlscert

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	leafLife    = 397 * 24 * time.Hour // what browsers take at most
	renewBefore = 30 * 24 * time.Hour
	caLife      = 10 * 365 * 24 * time.Hour

	caFile     = "ca.pem"          // authority, certificate and key, 0600
	caCertFile = "ca.crt"          // its certificate alone, to give to people
	leafFile   = "self-signed.pem" // leaf's key, leaf, authority, 0600
)

// SelfSigned is the Source of a server without a certificate: it makes a small
// authority that is limited to the server's names, and a leaf below it. Both
// stay in Dir and are the same after a restart. The leaf is made anew, with the
// key it has, when a name is added or 30 days before it ends; the authority when
// a name lies outside of its limits.
//
// People who want to trust the server import Dir/ca.crt.
type SelfSigned struct {
	Dir   string           // made if missing, 0700
	Clock func() time.Time // default time.Now
	Log   *slog.Logger     // default discards
}

// CAFile is the path of the authority's certificate.
func (s SelfSigned) CAFile() string { return filepath.Join(s.Dir, caCertFile) }

// Load implements Source.
func (s SelfSigned) Load(_ context.Context, names []string) ([]tls.Certificate, error) {
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	names, err := normalizeAll(names)
	if err != nil {
		return nil, fmt.Errorf("tlscert: self-signed: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("tlscert: self-signed: no names")
	}
	if slices.Contains(names, "localhost") { // people and tests reach it by address as well
		names, _ = normalizeAll(append(names, "127.0.0.1", "::1"))
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("tlscert: self-signed: %w", err)
	}
	leaf, err := s.load(withWildcards(names))
	if err != nil {
		return nil, fmt.Errorf("tlscert: self-signed: %w", err)
	}
	return []tls.Certificate{leaf}, nil
}

func (s SelfSigned) load(names []string) (tls.Certificate, error) {
	old, err := s.read(leafFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	ca, err := s.authority(names)
	if err != nil {
		return tls.Certificate{}, err
	}
	var key crypto.Signer
	if old != nil {
		if s.usable(old.Leaf, names, renewBefore) && old.Leaf.CheckSignatureFrom(ca.Leaf) == nil {
			return *old, nil
		}
		key, _ = old.PrivateKey.(crypto.Signer) // pins to the key stay good
	}
	now := s.Clock()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	template.DNSNames, template.IPAddresses = splitNames(names)
	made, err := issue(template, key, ca)
	if err != nil {
		return tls.Certificate{}, err
	}
	s.Log.Info("made a self-signed certificate", "names", names, "until", template.NotAfter)
	return made, s.write(leafFile, made, 0o600)
}

// authority gives the stored authority, or makes one.
func (s SelfSigned) authority(names []string) (tls.Certificate, error) {
	limits := roots(names)
	old, err := s.read(caFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if old != nil && old.Leaf.IsCA && s.Clock().Add(leafLife).Before(old.Leaf.NotAfter) && permits(old.Leaf, limits) {
		return *old, s.export(*old)
	}
	now := s.Clock()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Viaduct authority for " + limits[0]}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true,
	}
	var addrs []net.IP
	template.PermittedDNSDomains, addrs = splitNames(limits)
	for _, a := range addrs {
		template.PermittedIPRanges = append(template.PermittedIPRanges, hostNet(a))
	}
	if len(addrs) == 0 {
		template.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	}
	made, err := issue(template, nil, tls.Certificate{})
	if err != nil {
		return tls.Certificate{}, err
	}
	s.Log.Info("made a certificate authority", "limited_to", limits, "file", s.CAFile())
	if err := s.write(caFile, made, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return made, s.export(made)
}

// export keeps the file for people beside the authority.
func (s SelfSigned) export(ca tls.Certificate) error {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})
	if have, err := os.ReadFile(s.CAFile()); err == nil && bytes.Equal(have, text) {
		return nil
	}
	return writeFile(s.CAFile(), text, 0o644)
}

// usable: it covers the names and does not end too soon.
func (s SelfSigned) usable(leaf *x509.Certificate, names []string, before time.Duration) bool {
	dns, addrs := splitNames(names)
	for _, n := range dns {
		if !slices.Contains(leaf.DNSNames, n) {
			return false
		}
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(leaf.IPAddresses, a.Equal) {
			return false
		}
	}
	now := s.Clock()
	return now.After(leaf.NotBefore) && now.Add(before).Before(leaf.NotAfter)
}

// permits: every limit lies inside the authority's name constraints.
func permits(ca *x509.Certificate, limits []string) bool {
	dns, addrs := splitNames(limits)
	for _, n := range dns {
		if !slices.Contains(ca.PermittedDNSDomains, n) {
			return false
		}
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(ca.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(a) }) {
			return false
		}
	}
	return true
}

func splitNames(names []string) (dns []string, addrs []net.IP) {
	for _, n := range names {
		if a := net.ParseIP(n); a != nil {
			addrs = append(addrs, a)
		} else {
			dns = append(dns, n)
		}
	}
	return dns, addrs
}

func hostNet(a net.IP) *net.IPNet {
	if v4 := a.To4(); v4 != nil {
		a = v4
	}
	return &net.IPNet{IP: a, Mask: net.CIDRMask(len(a)*8, len(a)*8)}
}

// issue signs template with ca, or with its own key when ca is empty. The chain
// holds the authority, so that a client that knows it can build the path.
func issue(template *x509.Certificate, key crypto.Signer, ca tls.Certificate) (tls.Certificate, error) {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return tls.Certificate{}, fmt.Errorf("make key: %w", err)
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make serial number: %w", err)
	}
	template.SerialNumber = serial
	parent, signer := template, crypto.PrivateKey(key)
	if ca.Leaf != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign certificate: %w", err)
	}
	return withLeaf(tls.Certificate{Certificate: append([][]byte{der}, ca.Certificate...), PrivateKey: key})
}

// read gives nil when there is no such file, or one that holds no certificate:
// then a new one is made. That it cannot be read at all is an error.
func (s SelfSigned) read(name string) (*tls.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(text, text)
	if err == nil {
		c, err = withLeaf(c)
	}
	if err != nil {
		s.Log.Warn("the stored certificate is damaged, making a new one", "file", name, "error", err)
		return nil, nil
	}
	return &c, nil
}

// write puts key and chain into one file, so that they change together.
func (s SelfSigned) write(name string, c tls.Certificate, mode fs.FileMode) error {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, cert := range c.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	return writeFile(filepath.Join(s.Dir, name), text, mode)
}

// writeFile replaces path whole or not at all.
func writeFile(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
