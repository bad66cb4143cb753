package httpd

import (
	"encoding/json"
	"encoding/xml"
	"net/http"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// HostMeta tells programs, above all those in browsers, where else a server can be reached (XEP-0156 §3, RFC 6415).
type HostMeta struct {
	WebSocket string // wss://…
}

type link struct {
	Rel  string `xml:"rel,attr" json:"rel"`
	Href string `xml:"href,attr" json:"href"`
}

// Register adds both forms to a mux.
func (h HostMeta) Register(m *Mux) {
	links := []link{{ns.AltConnectionsWebSocket, h.WebSocket}}
	asXML, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
		Links   []link   `xml:"Link"`
	}{Links: links})
	if err != nil {
		panic(err) // of strings
	}
	asJSON, err := json.Marshal(struct {
		Links []link `json:"links"`
	}{links})
	if err != nil {
		panic(err)
	}
	serve := func(path, kind string, body []byte) {
		m.Handle("GET "+path, Public, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Access-Control-Allow-Origin", "*") // XEP-0156 §3: pages of any origin ask
			_, _ = w.Write(body)
		}))
	}
	serve("/.well-known/host-meta", "application/xrd+xml", append([]byte(xml.Header), asXML...))
	serve("/.well-known/host-meta.json", "application/json", asJSON)
}
