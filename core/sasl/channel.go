package sasl

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// BindingType is the unique prefix of a channel-binding type.
type BindingType string

// The channel-binding types. TLSUnique is known so that it can be refused: it
// does not exist in TLS 1.3 and is broken without the extended master secret.
const (
	TLSExporter       BindingType = "tls-exporter"         // RFC 9266
	TLSServerEndPoint BindingType = "tls-server-end-point" // RFC 5929 §4
	TLSUnique         BindingType = "tls-unique"           // RFC 5929 §3
)

// Binding is one type that this stream can be bound with, and its data.
type Binding struct {
	Type BindingType
	Data []byte
}

// Channel is what the mechanisms know of the stream under them.
type Channel struct {
	// Secure is set when nobody on the way can read: TLS, or a trusted proxy
	// on this machine that ends it. Nothing is offered without.
	Secure bool
	// Version is the TLS version as on the wire (0x0304), 0 when unknown.
	Version uint16
	// Bindings are the possible channel bindings, preferred first. Empty when
	// TLS ends elsewhere.
	Bindings []Binding
	// External says whom the lower layer proved the peer to be. authzid is what
	// the peer asks for, or empty; the identity is returned in canonical form.
	// Nil: EXTERNAL is not offered.
	External func(authzid string) (identity string, ok bool)
}

// binding gives the data of a type, or false.
func (c Channel) binding(t BindingType) ([]byte, bool) {
	for _, b := range c.Bindings {
		if b.Type == t && t != TLSUnique && len(b.Data) > 0 {
			return b.Data, true
		}
	}
	return nil, false
}

// FromTLS describes a finished TLS handshake. leaf is the server's certificate:
// our own on the server side, the first peer certificate on the client's; nil
// leaves tls-server-end-point out.
func FromTLS(state *tls.ConnectionState, leaf *x509.Certificate) Channel {
	c := Channel{Secure: true, Version: state.Version}
	if data, err := ExporterData(state); err == nil {
		c.Bindings = append(c.Bindings, Binding{TLSExporter, data})
	}
	if data, err := EndPointHash(leaf); err == nil {
		c.Bindings = append(c.Bindings, Binding{TLSServerEndPoint, data})
	}
	return c
}

// ExporterData is the tls-exporter binding of RFC 9266 §2. Under TLS 1.2 it
// exists only with the extended master secret (§4.2); crypto/tls refuses it
// otherwise.
func ExporterData(state *tls.ConnectionState) ([]byte, error) {
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return nil, fmt.Errorf("sasl: export keying material: %w", err)
	}
	return data, nil
}

// EndPointHash is the tls-server-end-point binding of RFC 5929 §4.1: the hash
// of the certificate by its signature's hash, SHA-256 in place of MD5 and
// SHA-1. A signature without exactly one hash (Ed25519) has no binding.
func EndPointHash(leaf *x509.Certificate) ([]byte, error) {
	if leaf == nil {
		return nil, errors.New("sasl: hash end point: no certificate")
	}
	var h crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil, fmt.Errorf("sasl: hash end point: %v has no single hash", leaf.SignatureAlgorithm)
	}
	sum := h.New()
	sum.Write(leaf.Raw)
	return sum.Sum(nil), nil
}
