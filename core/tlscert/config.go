package tlscert

import "crypto/tls"

// Service is what a TLS configuration is for.
type Service uint8

// The services.
const (
	C2S       Service = iota // after <starttls/> of a client
	C2SDirect                // TLS from the first byte, XEP-0368
	S2S                      // after <starttls/> of a server
	S2SDirect
	HTTPS
)

// ALPN names of XEP-0368 §2.
const (
	ALPNClient = "xmpp-client"
	ALPNServer = "xmpp-server"
)

type serviceInfo struct {
	alpn       []string
	askForCert bool
	tickets    bool
}

func (s Service) info() serviceInfo {
	switch s {
	case C2SDirect:
		return serviceInfo{alpn: []string{ALPNClient}}
	case S2S:
		return serviceInfo{askForCert: true}
	case S2SDirect:
		return serviceInfo{alpn: []string{ALPNServer}, askForCert: true}
	case HTTPS:
		return serviceInfo{alpn: []string{"h2", "http/1.1"}, tickets: true}
	case C2S:
	}
	return serviceInfo{}
}

// Config makes the configuration for listening. It follows every reload.
//
// Streams have no session tickets: they are long, and a resumed handshake shows
// no certificate, so tls-server-end-point would have nothing to bind to. A
// client certificate is asked for on server streams but never required and not
// checked here: crypto/tls would insist on the client usage that public
// authorities no longer issue (attack 19). See Verifier.
func (s *Store) Config(svc Service) *tls.Config {
	info := svc.info()
	cfg := baseConfig()
	cfg.GetCertificate = s.GetCertificate
	cfg.NextProtos = info.alpn
	cfg.SessionTicketsDisabled = !info.tickets
	if info.askForCert {
		cfg.ClientAuth = tls.RequestClientCert
	}
	return cfg
}

// Outgoing makes the configuration for a stream from local to remote. The
// chain is NOT verified by the handshake, because a server stream may go on to
// dialback: the caller must ask a Verifier and act on the answer.
func (s *Store) Outgoing(local, remote string, direct bool) *tls.Config {
	cfg := baseConfig()
	cfg.ServerName = remote
	if n, err := normalize(remote); err == nil {
		cfg.ServerName = n
	}
	cfg.InsecureSkipVerify = true
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return s.Certificate(local), nil
	}
	if direct {
		cfg.NextProtos = []string{ALPNServer}
	}
	return cfg
}

// baseConfig: RFC 7590 and RFC 9325. Records are not split to the path's MTU:
// a stream writes what has gathered as one record.
func baseConfig() *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		CurvePreferences:            []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
		DynamicRecordSizingDisabled: true,
	}
}
