// Package gateway knows a process.
package gateway

import (
	_ "example.org/house/core/event"
	_ "example.org/house/plugins/host" // want "bridges/gateway imports plugins/host"
)
