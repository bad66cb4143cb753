package matrix

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
	"maunium.net/go/mautrix/appservice"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
)

// botLocalpart is the bot's: outside of the ghosts' namespace, because it is no person.
const botLocalpart = "xmppbridge"

// newRegistration makes a registration with random tokens.
func newRegistration(name, url string, ns matrixid.Namespace) *appservice.Registration {
	limited := false
	return &appservice.Registration{
		ID: "viaduct-" + name, URL: url, AppToken: token(), ServerToken: token(),
		SenderLocalpart: botLocalpart, RateLimited: &limited,
		Namespaces: appservice.Namespaces{
			UserIDs:     appservice.NamespaceList{{Regex: ns.UserRegex(), Exclusive: true}},
			RoomAliases: appservice.NamespaceList{{Regex: ns.AliasRegex(), Exclusive: true}},
		},
		EphemeralEvents: true, SoruEphemeralEvents: true,
	}
}

// token has 256 bits, in letters and digits.
func token() string { return rand.Text() + rand.Text() }

// readRegistration reads and checks the file that the homeserver reads too.
func readRegistration(path string) (*appservice.Registration, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("registration_file %s does not exist: run `viaduct bridge setup matrix`, it writes one", path)
		}
		return nil, fmt.Errorf("registration_file: %w", err)
	}
	var r appservice.Registration
	if err := yaml.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("registration_file %s: %w", path, err)
	}
	switch {
	case r.AppToken == "" || r.ServerToken == "":
		return nil, fmt.Errorf("registration_file %s: as_token or hs_token is missing", path)
	case r.ID == "" || r.SenderLocalpart == "":
		return nil, fmt.Errorf("registration_file %s: id or sender_localpart is missing", path)
	}
	return &r, nil
}

// checkNamespace says what is wrong with the namespaces for our ghosts.
func checkNamespace(r *appservice.Registration, ns matrixid.Namespace) error {
	probe := ns.Person("probe@example.org").UserID
	for _, n := range r.Namespaces.UserIDs {
		re, err := regexp.Compile("^(?:" + strings.TrimPrefix(n.Regex, "^") + ")")
		if err == nil && re.MatchString(probe) {
			return nil
		}
	}
	return fmt.Errorf("no users namespace of the registration has %s: write the file anew with `viaduct bridge setup matrix` (user_prefix, server_name) and restart the homeserver", probe)
}

// serverOf reads the server name from a registration that we wrote ourselves, for
// a start while the homeserver is away.
func serverOf(r *appservice.Registration, prefix string) string {
	for _, n := range r.Namespaces.UserIDs {
		quoted, ok := strings.CutPrefix(n.Regex, "@"+regexp.QuoteMeta(prefix)+".*:")
		if server := strings.ReplaceAll(quoted, `\`, ""); ok && matrixid.ValidServer(server) {
			return server
		}
	}
	return ""
}
