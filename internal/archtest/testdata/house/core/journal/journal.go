// Package journal reaches up to a backend.
package journal

import _ "example.org/house/core/storage/sqlite" // want "core/journal imports core/storage/sqlite"
