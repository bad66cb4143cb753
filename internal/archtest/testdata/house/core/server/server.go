// Package server links test support and something outside of core.
package server

import (
	_ "example.org/house/configs" // want "core/server imports configs"
	_ "example.org/house/core/modules/muc"
	_ "example.org/house/core/xmpptest" // want "core/server imports core/xmpptest" // want "cmd/viaduct links example.org/house/core/xmpptest .cmd/viaduct -> core/server."
)
