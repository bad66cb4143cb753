// Package postgres takes the other backend's library, and one that nobody wrote down.
package postgres

import (
	_ "github.com/nobody/knows" // want "imports github.com/nobody/knows"
	_ "modernc.org/sqlite"      // want "imports modernc.org/sqlite"
)
