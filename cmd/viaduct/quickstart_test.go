package main

import (
	"strings"
	"testing"
)

// TestService: ProtectHome hides homes from the service, so its program and its folder are elsewhere.
func TestService(t *testing.T) {
	for name, tc := range map[string]struct {
		exe, dir   string
		start      string // of the unit; "": there is none
		first, all string
	}{
		"installed": {
			"/usr/bin/viaduct", "/etc/viaduct", "/usr/bin/viaduct --config /etc/viaduct/viaduct.yaml serve",
			"useradd ", "systemctl link /etc/viaduct/viaduct.service",
		},
		"built in a home": {
			"/home/ann/viaduct/bin/viaduct", "/etc/viaduct", "/usr/local/bin/viaduct --config /etc/viaduct/viaduct.yaml serve",
			"install -m 755 /home/ann/viaduct/bin/viaduct* /usr/local/bin", "chown -R viaduct: /etc/viaduct",
		},
		"built by root": {
			"/root/viaduct/bin/viaduct", "/srv/chat", "/usr/local/bin/viaduct --config /srv/chat/viaduct.yaml serve",
			"install -m 755 /root/viaduct/bin/viaduct* /usr/local/bin", "chown -R viaduct: /srv/chat",
		},
		"a folder in a home": {"/usr/bin/viaduct", "/home/ann", "", "a service does not look into", "--dir /etc/viaduct"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serviceOf(tc.exe, tc.dir)
			if (s.unit == "") != (tc.start == "") || !strings.Contains(s.unit, tc.start) || (s.file == "") != (s.unit == "") {
				t.Errorf("%q: %s", s.file, s.unit)
			}
			if all := strings.Join(s.steps, "\n"); !strings.HasPrefix(all, tc.first) || !strings.Contains(all, tc.all) {
				t.Errorf("steps:\n%s", all)
			}
		})
	}
}
