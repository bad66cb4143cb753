// Package jid imports what a pure package must not.
package jid

import (
	_ "example.org/house/core/ns" // want "core/jid imports core/ns"
	_ "strings"
)
