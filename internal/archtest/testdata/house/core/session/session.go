// Package session is a service that knows a module.
package session

import (
	_ "example.org/house/core/modules/muc" // want "core/session imports core/modules/muc"
	_ "example.org/house/core/transport"
)
