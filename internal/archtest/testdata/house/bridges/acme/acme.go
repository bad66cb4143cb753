// Package acme is a bridge that uses another one.
package acme

import (
	_ "example.org/house/bridges/acme/acmeid"
	_ "example.org/house/bridges/other" // want "bridges/acme imports bridges/other"
	_ "example.org/house/plugins/sdk"
	_ "maunium.net/go/mautrix/id" // want "imports maunium.net/go/mautrix/id" // want "cmd/viaduct links maunium.net/go/mautrix/id"
)
