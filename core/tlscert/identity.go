package tlscert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxNames bounds the subject alternative names that are looked at (attack 18).
const maxNames = 512

// Identities are what a certificate says of its subject. The common name is not
// among them (RFC 9525 §2).
type Identities struct {
	DNS      []string // dNSName, may start with "*."
	SRV      []string // SRVName of RFC 4985, "_xmpp-server.example.org"
	XMPPAddr []string // id-on-xmppAddr of RFC 6120 §13.7.1.4, as written
}

var (
	oidSAN      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidXMPPAddr = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	oidDNSSRV   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}

	errSAN = errors.New("malformed subject alternative names")
)

// ParseIdentities reads the subject alternative names.
func ParseIdentities(cert *x509.Certificate) (Identities, error) {
	var ids Identities
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oidSAN) {
			if err := ids.parse(ext.Value); err != nil {
				return Identities{}, fmt.Errorf("tlscert: identities: %w", err)
			}
		}
	}
	return ids, nil
}

func (ids *Identities) parse(der []byte) error {
	var names cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return errSAN
	}
	for count := 0; !names.Empty(); count++ {
		if count == maxNames {
			return fmt.Errorf("more than %d subject alternative names", maxNames)
		}
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&value, &tag) {
			return errSAN
		}
		switch tag {
		case cbasn1.Tag(2).ContextSpecific(): // dNSName
			ids.DNS = append(ids.DNS, strings.ToLower(string(value)))
		case cbasn1.Tag(0).ContextSpecific().Constructed(): // otherName
			if err := ids.parseOther(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ids *Identities) parseOther(in cryptobyte.String) error {
	var oid asn1.ObjectIdentifier
	var wrapped, value cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&oid) || !in.ReadASN1(&wrapped, cbasn1.Tag(0).ContextSpecific().Constructed()) || !in.Empty() {
		return errSAN
	}
	switch {
	case oid.Equal(oidXMPPAddr):
		if !wrapped.ReadASN1(&value, cbasn1.UTF8String) || !wrapped.Empty() {
			return errSAN
		}
		ids.XMPPAddr = append(ids.XMPPAddr, string(value))
	case oid.Equal(oidDNSSRV):
		if !wrapped.ReadASN1(&value, cbasn1.IA5String) || !wrapped.Empty() {
			return errSAN
		}
		ids.SRV = append(ids.SRV, strings.ToLower(string(value)))
	}
	return nil
}

// Match says whether the identities stand for domain as a server of service
// ("xmpp-server" or "xmpp-client"): by dNSName, or by a SRVName of the service
// (RFC 6120 §13.7.2.1). domain may have U-labels.
func (ids Identities) Match(domain, service string) bool {
	host, err := normalize(domain)
	if err != nil || strings.Contains(host, "*") {
		return false
	}
	for _, n := range ids.DNS {
		if covers(n, host) {
			return true
		}
	}
	for _, n := range ids.SRV { // RFC 4985 §2: no wildcards
		if n == "_"+service+"."+host {
			return true
		}
	}
	return false
}

// Verifier checks the certificates of other servers.
type Verifier struct {
	Roots *x509.CertPool   // nil: the system's
	Clock func() time.Time // default time.Now
}

// Verify checks that the chain leads to a root, for use by a server (attack 19:
// the same certificate serves both directions of a server stream, so the client
// usage is not asked for), and that its leaf stands for domain.
func (v Verifier) Verify(chain []*x509.Certificate, domain, service string) error {
	if len(chain) == 0 {
		return errors.New("tlscert: verify: the peer sent no certificate")
	}
	now := time.Now
	if v.Clock != nil {
		now = v.Clock
	}
	opts := x509.VerifyOptions{
		Roots: v.Roots, Intermediates: x509.NewCertPool(), CurrentTime: now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	ids, err := ParseIdentities(chain[0])
	if err != nil {
		return err
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return fmt.Errorf("tlscert: verify %.200q: %w", domain, err)
	}
	if !ids.Match(domain, service) {
		return fmt.Errorf("tlscert: verify: the certificate is for %.500q, not for %.200q", ids.DNS, domain)
	}
	return nil
}
