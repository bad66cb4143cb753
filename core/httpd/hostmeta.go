package httpd

import (
	"encoding/json"
	"net/http"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// HostMeta tells programs, above all those in browsers, where else a server can be reached (XEP-0156 §3, RFC 6415).
type HostMeta struct {
	WebSocket string // wss://…
}

// nsXRD is the namespace of the XML form, which is no part of any stream.
const nsXRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"

// Register adds both forms to a mux.
func (h HostMeta) Register(m *Mux) {
	link := xmlstream.NewNode(nsXRD, "Link", "rel", ns.AltConnectionsWebSocket, "href", h.WebSocket)
	asXML := xmlstream.AppendNode([]byte("<?xml version='1.0' encoding='UTF-8'?>\n"), xmlstream.NewNode(nsXRD, "XRD").Add(link), "")
	asJSON, err := json.Marshal(map[string][]map[string]string{"links": {{"rel": ns.AltConnectionsWebSocket, "href": h.WebSocket}}})
	if err != nil {
		panic(err) // of strings
	}
	serve := func(path, kind string, body []byte) {
		m.Handle("GET "+path, Public, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Access-Control-Allow-Origin", "*") // XEP-0156 §3: pages of any origin ask
			_, _ = w.Write(body)
		}))
	}
	serve("/.well-known/host-meta", "application/xrd+xml", asXML)
	serve("/.well-known/host-meta.json", "application/json", asJSON)
}
