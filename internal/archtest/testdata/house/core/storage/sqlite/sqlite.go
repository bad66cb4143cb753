// Package sqlite is a backend that knows another one.
package sqlite

import (
	_ "example.org/house/core/journal"
	_ "example.org/house/core/storage/postgres" // want "core/storage/sqlite imports core/storage/postgres"
	_ "modernc.org/sqlite"
)
