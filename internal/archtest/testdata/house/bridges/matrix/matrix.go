// Package matrix may use mautrix, but not all of it.
package matrix

import (
	_ "maunium.net/go/mautrix/crypto/olm" // want "imports maunium.net/go/mautrix/crypto/olm"
	_ "maunium.net/go/mautrix/event"
)
