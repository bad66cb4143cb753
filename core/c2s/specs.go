package c2s

import "github.com/viaduct-xmpp/viaduct/core/module"

// Specs returns what a client's stream takes part in and no module does, for the reference of specifications.
func Specs() []module.Spec {
	return []module.Spec{
		{ID: "RFC 6120", Version: "2011-03", Status: "complete", Note: "client streams"},
		{ID: "RFC 6121", Version: "2011-03", Status: "complete", Note: "§8: the server's rules for stanzas"},
		{ID: "RFC 7395", Version: "2014-10", Status: "complete", Note: "WebSocket; where it is, by XEP-0156"},
		{ID: "RFC 7622", Version: "2015-09", Status: "complete", Note: "addresses; those of older servers are understood"},
		{ID: "RFC 5802", Version: "2010-07", Status: "complete", Note: "SCRAM-SHA-1 and -PLUS"},
		{ID: "RFC 7677", Version: "2015-11", Status: "complete", Note: "SCRAM-SHA-256 and -PLUS"},
		{ID: "RFC 9266", Version: "2022-07", Status: "complete", Note: "tls-exporter"},
		{ID: "XEP-0198", Version: "1.6.3", Status: "complete", Note: "with resumption, also after a restart"},
		{ID: "XEP-0368", Version: "1.1.0", Status: "partial", Note: "direct TLS for clients"},
		{ID: "XEP-0440", Version: "1.0.0", Status: "complete"},
		{ID: "XEP-0474", Version: "0.5.0", Status: "complete"},
		{ID: "XEP-0478", Version: "0.2.0", Status: "complete", Note: "client streams"},
		{ID: "XEP-0515", Version: "0.1.0", Status: "complete"},
	}
}
