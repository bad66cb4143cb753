package configs

import (
	"fmt"
	"path/filepath"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Resolve checks the config of the bridge against its plugin's schema and returns what the plugin gets: JSON with every secret in its own key.
// file is the configuration file, for the names in problems and for relative paths of secrets; env is as in Load.
func (b *Bridge) Resolve(schema sdk.Schema, file string, env func(string) (string, bool)) ([]byte, Problems) {
	out, bad := schema.Resolve(b.Config.JSON(), sdk.SecretSource{
		ReadFile: func(_, name string) (string, error) { return readSecret(resolve(filepath.Dir(file), name)) },
		Env: func(path string) (string, bool) {
			if env == nil {
				return "", false
			}
			return env(b.EnvName(path))
		},
	})
	return out, b.problems(bad, file)
}

// EnvName returns the variable of a secret of this bridge: "bot_token" of acme is VIADUCT_BRIDGE_ACME_BOT_TOKEN.
func (b *Bridge) EnvName(path string) string { return EnvName("bridge." + b.Name + "." + path) }

func (b *Bridge) problems(bad []sdk.ConfigProblem, file string) Problems {
	var out Problems
	for _, p := range bad {
		line := b.Config.Line(p.Path)
		if line == 0 {
			line = b.Line
		}
		out = append(out, Problem{file, line, fmt.Sprintf("bridge %q: config.%s", b.Name, p)})
	}
	return out
}
