package host

import (
	"os"
	"strings"
)

// environment is what a plugin gets of the server's: where programs, zones and
// certificates are, how to reach the network, and nothing that could be a secret.
func environment() []string {
	var out []string
	for _, name := range []string{
		"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"NO_PROXY", "no_proxy", "GODEBUG", "GOTRACEBACK",
	} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		// A proxy's address may hold a password, which would be readable in /proc.
		if v, ok := os.LookupEnv(name); ok && !strings.Contains(v, "@") {
			out = append(out, name+"="+v)
		}
	}
	return out
}
