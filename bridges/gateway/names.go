package gateway

import (
	"crypto/sha256"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

type unit = *journal.Unit

const (
	nsClient = ns.Client
	nsHints  = ns.Hints
)

func plain(s string) richtext.Document { return richtext.FromPlain(s) }

type storageID = storage.MessageID

// shortHash tells two strings apart in an address.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(idText.EncodeToString(sum[:5]))
}
