package appliance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"

	"github.com/viaduct-xmpp/viaduct/configs"
	"github.com/viaduct-xmpp/viaduct/core/modules/extdisco"
)

// A server with its configuration file's upload and turn: files over HTTPS with its certificate, and a relay for those with its credentials.
func TestFilesAndRelay(t *testing.T) {
	root, err := os.MkdirTemp("", "v") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	c, err := configs.Parse([]byte(`domains: [v.test]
public_url: https://v.test
listen: {c2s: [], c2s_tls: [], s2s: [], s2s_tls: [], http: ["127.0.0.1:0"], https: ["127.0.0.1:0"], admin: [], component: []}
turn: {on: true, listen: ["127.0.0.1:0"], relay_ip: 127.0.0.1}
services: [{type: stun, host: stun.example.org, port: 3478, transport: udp}]
`), filepath.Join(root, "viaduct.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	a, err := New(ctx, Options{Config: c, ExeDir: root, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	_, link, err := a.files.upload.StoreFile(ctx, "bridge.v.test", "a.txt", "text/plain", 5, strings.NewReader("hello"))
	if err != nil || !strings.HasPrefix(link, "https://v.test/upload/") {
		t.Fatalf("link %s, %v", link, err)
	}
	ca, err := os.ReadFile(filepath.Join(c.DataDir, "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	for key, scheme := range map[string]string{keyHTTPS: "https://", keyHTTP: "http://"} {
		tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "v.test", MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+a.Addresses()[key][0]+strings.TrimPrefix(link, "https://v.test"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(b) != "hello" || key == keyHTTPS && resp.ProtoMajor != 2 {
			t.Errorf("%s: %s %d %q, %v", key, resp.Proto, resp.StatusCode, b, err)
		}
		tr.CloseIdleConnections()
	}
	secret, err := a.core.DeriveKey(extdisco.RelayKey)
	if err != nil {
		t.Fatal(err)
	}
	name, password, err := pion.GenerateLongTermTURNRESTCredentials(string(secret), "alice", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []bool{true, false} {
		if !good {
			password = "wrong"
		}
		conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := a.files.relay.Addrs("udp")[0].String()
		cl, err := pion.NewClient(&pion.ClientConfig{STUNServerAddr: addr, TURNServerAddr: addr, Username: name, Password: password, Realm: "v.test", Conn: conn,
			LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled, Writer: io.Discard}})
		if err == nil {
			err = cl.Listen()
		}
		if err != nil {
			t.Fatal(err)
		}
		relayed, err := cl.Allocate()
		if (err == nil) != good {
			t.Errorf("allocate with good credentials %v: %v", good, err)
		}
		if err == nil {
			_ = relayed.Close()
		}
		cl.Close()
		_ = conn.Close()
	}
	if s := services(c); len(s) != 4 || s[0].Type != "stun" || !s[1].Own || s[3].Host != "stun.example.org" {
		t.Errorf("services %+v", s)
	}
}
